from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bioelx_bench_sapbert.seen_aliases import read_seen
from bioelx_bench_sapbert.training.command import read_settings
from bioelx_bench_sapbert.training.development import make_development_set, read_queries
from bioelx_bench_sapbert.training.encoder import NameEncoder
from bioelx_bench_sapbert.training.run import last_whole_checkpoint, train
from bioelx_bench_sapbert.training.settings import TrainingSettings
from run_samples import environment as make_environment
from run_samples import losses, request, start_training, stop_after_checkpoint, weights
from safetensors.torch import load_file

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.kb.store import KnowledgeBase


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return make_environment(tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(
    base_model: Path, small_kb: KnowledgeBase, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "model"
    train(request(base_model, small_kb, folder), Environment(cache=Cache(folder.parent / "cache")))
    return folder


def test_training_learns_and_makes_a_model_folder(
    base_model: Path, small_kb: KnowledgeBase, uninterrupted: Path, environment: Environment
) -> None:
    report = json.loads((uninterrupted / "training.json").read_text())
    found = losses(report)
    assert len(found) == 20
    assert sum(found[-5:]) < 0.9 * sum(found[:5])
    from bioelx_bench_sapbert.encoder import Encoder
    from bioelx_bench_sapbert.options import EncodingOptions, SapBertXOptions
    from bioelx_bench_sapbert.retriever import DenseRetriever

    encoder = Encoder.load(str(uninterrupted), environment, EncodingOptions(pooling="mean"))
    assert encoder.encode(["ab disease"]).shape == (1, 32)
    seen = read_seen(uninterrupted)
    assert seen is not None
    assert seen.flags(["ABAB  Krankheit", "something else"]) == [True, False]
    assert len(seen) == report["seen_aliases"]
    retriever = DenseRetriever(SapBertXOptions(model=str(uninterrupted)), environment)
    assert retriever.trained_on(["abab krankheit", "something else"]) == [True, False]
    untrained = DenseRetriever(SapBertXOptions(model=str(base_model)), environment)
    assert untrained.trained_on(["abab krankheit"]) is None
    card = (uninterrupted / "README.md").read_text()
    assert report["weights_sha256"]["model.safetensors"] in card
    assert small_kb.sha256 in card
    again = train(request(base_model, small_kb, uninterrupted), environment)
    assert again["id"] == report["id"]
    assert again["status"] == "finished"


def test_a_folder_with_something_else_is_refused(
    base_model: Path, small_kb: KnowledgeBase, uninterrupted: Path, environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="not empty") as error:
        train(request(base_model, small_kb, uninterrupted, learning_rate=1e-4), environment)
    assert "settings" in str(error.value)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UsageError, match="other files"):
        train(request(base_model, small_kb, tmp_path / "other"), environment)


@pytest.mark.slow
def test_after_a_kill_training_ends_with_the_same_weights(
    base_model: Path, small_kb: KnowledgeBase, uninterrupted: Path, environment: Environment, tmp_path: Path
) -> None:
    stop_after_checkpoint(start_training(tmp_path, [], base_model, small_kb), 5)
    report = train(request(base_model, small_kb, tmp_path / "model"), environment)
    assert report["status"] == "finished"
    for name, value in weights(uninterrupted).items():
        assert torch.equal(value, weights(tmp_path / "model")[name]), name


@pytest.mark.slow
def test_two_ranks_give_the_loss_of_the_doubled_batch(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    calm = {"dropout": 0.0}  # each process draws its own dropout
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone"]
    started = start_training(tmp_path, torchrun, base_model, small_kb, **calm, batch_pairs=8)
    _, said = started.process.communicate(timeout=300)
    assert started.process.returncode == 0, said[-2000:]
    report = started.report()
    assert report["world_size"] == 2
    alone = train(request(base_model, small_kb, tmp_path / "alone", **calm), environment)
    assert len(losses(report)) == 20
    assert losses(report) == pytest.approx(losses(alone), abs=1e-4)


def test_lora_writes_an_adapter_that_names_its_base(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    report = train(
        request(
            base_model,
            small_kb,
            tmp_path / "adapter",
            lora_rank=4,
            steps=4,
        ),
        environment,
    )
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base_model)
    stored = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {v.dtype for v in stored.values()} == {torch.float16}
    assert sum(v.numel() for v in stored.values()) == report["trained_parameters"]
    from bioelx_bench_sapbert.encoder import Encoder
    from bioelx_bench_sapbert.options import EncodingOptions

    options = EncodingOptions(pooling="mean", dtype="fp32")
    adapted = Encoder.load(str(tmp_path / "adapter"), environment, options).encode(["abc"])
    plain = Encoder.load(str(base_model), environment, options).encode(["abc"])
    assert abs(adapted - plain).max() > 1e-4


@pytest.mark.parametrize("compiled", [False, True])
def test_the_change_of_whole_layers_is_kept_as_an_adapter(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path, compiled: bool
) -> None:
    if compiled and shutil.which("g++") is None:
        pytest.skip("skipped: torch.compile needs a C++ compiler")
    wanted = request(
        base_model,
        small_kb,
        tmp_path / "model",
        adapter_rank=64,
        steps=4,
        learning_rate=1e-3,
        precision="fp32",
        compile=compiled,
    )
    report = train(wanted, environment)
    assert report["adapter_share_of_change"] == 1.0
    assert "that the adapter keeps | 100.0 % |" in (tmp_path / "model" / "README.md").read_text()
    from bioelx_bench_sapbert.encoder import Encoder
    from bioelx_bench_sapbert.options import EncodingOptions

    options = EncodingOptions(pooling="mean", dtype="fp32")
    names = ["abc", "heart attack"]
    adapted = Encoder.load(str(tmp_path / "model"), environment, options).encode(names)
    whole = Encoder.load(str(base_model), environment, options)
    untrained = whole.encode(names)
    trained = load_file(tmp_path / "model" / "checkpoints" / "checkpoint-4" / "trained.safetensors")
    parameters = dict(whole.model.named_parameters())
    with torch.no_grad():
        for name, value in trained.items():
            parameters[name.removeprefix("model.")].copy_(value)
    assert abs(adapted - untrained).max() > 1e-2
    assert adapted == pytest.approx(whole.encode(names), abs=1e-3)


def test_out_of_memory_is_answered_by_smaller_chunks_with_the_same_weights(
    base_model: Path,
    small_kb: KnowledgeBase,
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calm = {"chunk_names": 0, "steps": 3, "save_steps": 3, "precision": "fp32", "dropout": 0.0}
    expected = train(request(base_model, small_kb, tmp_path / "whole", **calm), environment)
    encode, room = NameEncoder.encode, 6

    def small(self: NameEncoder, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """A device that has room for a few names."""
        if self.training and len(input_ids) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 151 GiB")
        return encode(self, input_ids, attention_mask)

    monkeypatch.setattr(NameEncoder, "encode", small)
    report = train(request(base_model, small_kb, tmp_path / "small", **calm), environment)
    assert report["oom_retries"] > 0
    assert expected["oom_retries"] == 0
    assert losses(report) == pytest.approx(losses(expected), abs=1e-5)
    room = 1
    with pytest.raises(BenchError, match="does not suffice for a step of 32 names") as error:
        train(request(base_model, small_kb, tmp_path / "none", **calm), environment)
    assert error.value.hint == "lower batch_pairs or max_length"


def test_a_missing_compiler_is_said_before_anything_is_made(
    base_model: Path,
    small_kb: KnowledgeBase,
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MissingError, match="no C\\+\\+ compiler"):
        train(request(base_model, small_kb, tmp_path / "model", compile=True), environment)
    assert not (tmp_path / "model").exists()


def test_two_ways_of_making_an_adapter_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="two ways of making an adapter"):
        read_settings(["lora_rank=4", "adapter_rank=4"])


def test_a_knowledge_base_without_pairs_leaves_no_output_behind(
    base_model: Path,
    make_kb: Callable[[list[tuple[str, str, str]]], KnowledgeBase],
    environment: Environment,
    tmp_path: Path,
) -> None:
    single = make_kb([("C0000001", "en", "a"), ("C0000001", "en", "b")])
    for _ in range(2):
        with pytest.raises(DataError, match="one concept"):
            train(request(base_model, single, tmp_path / "model"), environment)
        assert not (tmp_path / "model").exists()


def test_names_longer_than_the_model_takes_and_a_file_as_output_are_refused(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="takes 64 tokens at most"):
        train(request(base_model, small_kb, tmp_path / "model", max_length=65), environment)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        train(request(base_model, small_kb, tmp_path / "file"), environment)


def test_standard_output_is_left_to_the_report(
    base_model: Path,
    small_kb: KnowledgeBase,
    environment: Environment,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    train(request(base_model, small_kb, tmp_path / "model", steps=2), environment)
    assert capfd.readouterr() == ("", "")


def test_a_loss_that_is_no_number_stops_and_saves_the_batch(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match="the loss became nan") as error:
        train(request(base_model, small_kb, tmp_path / "model", learning_rate=1e30), environment)
    assert error.value.where is not None
    saved = json.loads(Path(error.value.where).read_text())
    assert len(saved["names"]) == 32
    assert saved["names"][0]["concept"].startswith("C")


def test_development_recall_is_measured_before_during_and_after(
    base_model: Path, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text("C0000003||ghab disease\nC9999999||unknown\nC0000001|C0000002||cdab disease\n")
    assert len(read_queries(queries, small_kb)) == 2
    report = train(
        request(
            base_model, small_kb, tmp_path / "m", development=(queries,), held_out=0.2, steps=4, eval_steps=2
        ),
        environment,
    )
    figures = report["development_figures"]
    assert figures["untrained"]["queries"] == 1.0  # the mention is one of the names
    assert set(figures["trained"]) == {"mean", "queries", "de"}
    assert [e["step"] for e in report["log"] if "dev_recall@1/mean" in e] == [2, 4]
    seen = read_seen(tmp_path / "m")
    development = make_development_set(small_kb, TrainingSettings(held_out=0.2), ())
    assert seen is not None
    assert development is not None
    assert not any(seen.flags([q.text for q in development.queries]))


def test_bad_development_files_are_refused(small_kb: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_queries(tmp_path / "absent.txt", small_kb)
    bad = tmp_path / "bad.txt"
    bad.write_text("C0000001||fine\nno bars\n")
    with pytest.raises(DataError, match="not CUI") as error:
        read_queries(bad, small_kb)
    assert error.value.where == f"{bad}:2"
    bad.write_text("C9999999||fine\n")
    with pytest.raises(DataError, match="no mention"):
        read_queries(bad, small_kb)


def test_a_half_written_checkpoint_is_not_continued_from(tmp_path: Path) -> None:
    for step, state in ((5, "{}"), (10, '{"log'), (15, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-5")
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint-5"]


def test_a_stop_between_the_last_step_and_the_end_loses_nothing(
    base_model: Path, small_kb: KnowledgeBase, uninterrupted: Path, environment: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(uninterrupted / "checkpoints", folder / "checkpoints")
    record = json.loads((uninterrupted / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps({**record, "status": "running"}))
    report = train(request(base_model, small_kb, folder), environment)
    assert report["weights_sha256"] == record["weights_sha256"]
    assert report["pairs_per_second"] is None
