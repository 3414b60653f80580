from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bioelx_bench_sapbert.training.encoder import NameEncoder, Tokens, encode_names, load_base
from bioelx_bench_sapbert.training.negatives import DEPTH, ConceptNames, HardNegatives, Searcher
from bioelx_bench_sapbert.training.order import PairOrder, group_pairs
from bioelx_bench_sapbert.training.pairs import PairRules, write_pairs
from bioelx_bench_sapbert.training.run import train
from bioelx_bench_sapbert.training.settings import TrainingSettings
from run_samples import environment, losses, request, start_training, stop_after_checkpoint, weights

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress

HARD = {
    "loss": "infonce",
    "hard_negatives": 2,
    "negative_languages": ("en",),
    "negative_steps": 4,
    "negative_pool": 60,
}


def searcher(model: Path, settings: TrainingSettings) -> Searcher:
    loaded, tokenizer = load_base(str(model), model, offline=True)
    tokens = Tokens(tokenizer, settings, 48)
    return Searcher(
        encoder=NameEncoder(loaded, settings.pooling),
        tokens=tokens,
        precision="fp32",
        progress=Progress(enabled=False),
    )


def test_negatives_are_among_the_nearest_names_of_other_concepts(
    base_model: Path, small_kb: KnowledgeBase, tmp_path: Path
) -> None:
    settings = TrainingSettings(
        pooling="mean",
        loss="infonce",
        batch_pairs=8,
        hard_negatives=3,
        negative_languages=("en",),
        negative_steps=2,
    )
    pairs = write_pairs(small_kb, PairRules(), tmp_path / "pairs.npy")
    languages = small_kb.names.column("language").to_numpy().astype(np.int16)
    groups, crossing = group_pairs(pairs, languages)
    order = PairOrder(groups, crossing)
    found = searcher(base_model, settings)
    arguments = (small_kb, pairs, order, 40, settings, 1)
    negatives = HardNegatives(*arguments, found, tmp_path)
    for step in range(6):
        negatives.prepare(step)
    english = np.flatnonzero(languages == small_kb.languages.index("en"))
    names = [small_kb.name_text(int(r)) for r in range(small_kb.name_count)]
    vectors = encode_names(found.encoder, found.tokens, "fp32", names).numpy()
    for position in range(40):
        chosen = negatives[position]
        assert len(set(chosen)) == 3
        first, second = (int(r) for r in pairs[order[position]])
        anchor = second if first in english and second not in english else first
        own = {int(r) for r in english if small_kb.name_concepts[r] == small_kb.name_concepts[anchor]}
        own |= {int(r) for r in english if names[r] in {names[i] for i in own}}
        others = [int(r) for r in english if int(r) not in own]
        cosines = vectors[others] @ vectors[anchor]
        least = np.sort(cosines)[-DEPTH]
        assert not set(chosen) & own
        assert all(vectors[row] @ vectors[anchor] >= least - 1e-6 for row in chosen)
    torch.nn.init.normal_(found.encoder.model.embeddings.word_embeddings.weight)
    kept = HardNegatives(*arguments, found, tmp_path)
    assert [kept[p] for p in range(40)] == [negatives[p] for p in range(40)]


def test_with_a_half_a_pair_every_second_pair_has_a_negative(
    base_model: Path, small_kb: KnowledgeBase, tmp_path: Path
) -> None:
    settings = TrainingSettings(
        loss="infonce", batch_pairs=8, hard_negatives=0.5, negative_languages=("en",), negative_steps=1
    )
    pairs = write_pairs(small_kb, PairRules(), tmp_path / "pairs.npy")
    groups, spoken = group_pairs(pairs, small_kb.names.column("language").to_numpy().astype(np.int16))
    order = PairOrder(groups, spoken[:, 0] != spoken[:, 1])
    arguments = (small_kb, pairs, order, 40, settings, 1, searcher(base_model, settings), tmp_path)
    negatives = HardNegatives(*arguments)
    negatives.prepare(5)
    found = [negatives[position] for position in range(40)]
    assert [len(rows) for rows in found] == [0, 1] * 20
    assert all(0 <= row < small_kb.name_count for rows in found for row in rows)


@pytest.mark.slow
def test_with_hard_negatives_a_kill_changes_nothing_and_two_ranks_are_one(
    base_model: Path, small_kb: KnowledgeBase, tmp_path: Path
) -> None:
    calm = {"dropout": 0.0, "precision": "fp32", **HARD}  # rounding to bf16 makes ties, and these other draws
    whole = train(request(base_model, small_kb, tmp_path / "whole", **calm), environment(tmp_path))
    assert sum(losses(whole)[-5:]) < 0.9 * sum(losses(whole)[:5])
    stop_after_checkpoint(start_training(tmp_path / "killed", [], base_model, small_kb, **calm), 5)
    again = tmp_path / "killed" / "model"
    assert train(request(base_model, small_kb, again, **calm), environment(tmp_path))["status"] == "finished"
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(again)[name]), name
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone"]
    started = start_training(
        tmp_path / "ranks", torchrun, base_model, small_kb, **{**calm, "batch_pairs": 8, "negative_steps": 4}
    )
    _, said = started.process.communicate(timeout=300)
    assert started.process.returncode == 0, said[-2000:]
    assert losses(started.report()) == pytest.approx(losses(whole), abs=1e-4)


def test_what_cannot_be_searched_is_said_before_anything_is_made(
    base_model: Path, small_kb: KnowledgeBase, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no name in the language 'fi'") as error:
        wanted = request(base_model, small_kb, tmp_path / "m", **{**HARD, "negative_languages": ("fi",)})
        train(wanted, environment(tmp_path))
    assert error.value.where == "--set negative_languages=fi"
    with pytest.raises(DataError, match="60 names to find 61 hard negatives"):
        train(
            request(base_model, small_kb, tmp_path / "m", **{**HARD, "hard_negatives": 61}),
            environment(tmp_path),
        )
    assert not (tmp_path / "m").exists()


def test_what_fills_up_is_never_a_name_of_the_pairs_concept(
    base_model: Path, small_kb: KnowledgeBase, tmp_path: Path
) -> None:
    settings = TrainingSettings(loss="infonce", batch_pairs=8, hard_negatives=9, negative_languages=("en",))
    pairs = write_pairs(small_kb, PairRules(), tmp_path / "pairs.npy")
    groups, spoken = group_pairs(pairs, small_kb.names.column("language").to_numpy().astype(np.int16))
    order = PairOrder(groups, spoken[:, 0] != spoken[:, 1])
    negatives = HardNegatives(small_kb, pairs, order, 40, settings, 1, None, tmp_path)
    pool = np.arange(8)  # two concepts of four names each
    for seed in range(20):
        drawn = negatives.draw(1, [], pool, 9, ConceptNames(small_kb), np.random.default_rng(seed))
        assert sorted(drawn) == [4, 5, 6, 7]


def test_hard_negatives_with_sapberts_loss_are_refused() -> None:
    with pytest.raises(ValueError, match="need loss=infonce"):
        TrainingSettings(hard_negatives=1)
