"""Vectors are those of a plain loop over padded batches, and do not depend on what is encoded together."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
import torch
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.model_files import locate_model
from bioelx_bench_sapbert.options import EncodingOptions
from dense_helpers import embedded_encoder, make_environment, tiny_encoder
from transformers import AutoModel, AutoTokenizer

from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.testing.data import HOSTILE_TEXTS, SMALL_NAMES

TEXTS = [text for _, _, text in SMALL_NAMES] + [
    t for t in HOSTILE_TEXTS if "\ud800" not in t and len(t) < 10_000
]


def load(folder: Path, tmp_path: Path, **options: Any) -> Encoder:
    return Encoder.load(
        str(folder), make_environment(tmp_path), EncodingOptions(**{"dtype": "fp32", **options})
    )


def plain_loop(folder: Path, texts: list[str], pooling: str, max_length: int = 25) -> np.ndarray[Any, Any]:
    """The straightforward way: fixed order, padded to max_length, fp32."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for start in range(0, len(texts), 16):
        batch = tokenizer(
            texts[start : start + 16],
            padding="max_length",
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        with torch.no_grad():
            states = model(**batch).last_hidden_state
        if pooling == "cls":
            vectors.append(states[:, 0])
        elif pooling == "mean_all_tok":
            vectors.append(states.mean(1))
        else:
            mask = batch["attention_mask"][:, :, None]
            vectors.append((states * mask).sum(1) / mask.sum(1))
    return torch.cat(vectors).numpy()


@pytest.mark.parametrize("pooling", ["cls", "mean", "mean_all_tok"])
def test_equals_the_plain_loop(pooling: str, tmp_path: Path) -> None:
    vectors = load(tiny_encoder(), tmp_path, pooling=pooling).encode(TEXTS)
    np.testing.assert_allclose(vectors, plain_loop(tiny_encoder(), TEXTS, pooling), atol=2e-6)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_vector_does_not_depend_on_its_neighbours(dtype: str, tmp_path: Path) -> None:
    encoder = load(tiny_encoder(), tmp_path, dtype=dtype)
    together = encoder.encode(TEXTS)
    assert np.array_equal(encoder.encode(TEXTS[::-1])[::-1], together)
    assert np.array_equal(np.concatenate([encoder.encode([text]) for text in TEXTS[:8]]), together[:8])
    assert np.array_equal(encoder.encode(TEXTS + TEXTS)[len(TEXTS) :], together)


def test_options_do_what_they_say(tmp_path: Path) -> None:
    plain = load(tiny_encoder(), tmp_path)
    vectors = plain.encode(TEXTS)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normal = load(tiny_encoder(), tmp_path, normalize=True).encode(TEXTS)
    np.testing.assert_allclose(normal, vectors / lengths, atol=1e-6)
    prefixed = load(tiny_encoder(), tmp_path, prefix="query: ").encode(["asthma"])
    assert np.array_equal(prefixed, plain.encode(["query: asthma"]))
    short = load(tiny_encoder(), tmp_path, max_length=5)
    assert max(len(ids) for ids in short.tokenization.ids(TEXTS)) == 5
    assert plain.encode([]).shape == (0, 32)
    assert np.isfinite(plain.encode(["\ud800 broken"])).all()


def test_out_of_memory_halves_the_batch_and_goes_on(tmp_path: Path) -> None:
    encoder = load(tiny_encoder(), tmp_path, batch_size=16)
    expected = encoder.encode(TEXTS)
    model = encoder.model

    class Small(torch.nn.Module):
        """A model on a device that has room for four strings."""

        config = model.config

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> Any:
            if len(input_ids) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return model(input_ids=input_ids, attention_mask=attention_mask)

    encoder.model = Small()
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert (encoder.batch_size, encoder.oom_retries) == (4, 2)
    encoder.model.forward = lambda **_: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory"))
    with pytest.raises(BenchError, match="single string"):
        encoder.encode(TEXTS)


def test_precision_is_measured_and_bad_precision_refused(tmp_path: Path) -> None:
    encoder = load(tiny_encoder(), tmp_path, dtype="bf16")
    report = encoder.measure_precision(TEXTS[:12])
    assert report["dtype"] == "bf16"
    assert 0.99 < report["least_cosine_to_fp32"] < 1
    for weight in encoder.model.parameters():
        weight.mul_(torch.where(torch.rand_like(weight) < 0.5, -1, 1))
    with pytest.raises(DataError, match="turn away"):
        encoder.measure_precision(TEXTS[:12])


def test_embedded_encoder_knows_translations(tmp_path: Path) -> None:
    encoder = load(embedded_encoder(), tmp_path, pooling="mean", normalize=True, prefix="query: ")
    vectors = encoder.encode(["糖尿病", "diabetes mellitus", "headache", "Kopfschmerzen"])
    product = vectors @ vectors.T
    assert product[0, 1] > product[0, 2]
    assert product[2, 3] > product[1, 3]


def broken(tmp_path: Path, change: str) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(tiny_encoder(), folder)
    if change == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif change == "no weights":
        (folder / "model.safetensors").unlink()
    elif change == "no config":
        (folder / "config.json").unlink()
    elif change == "torn weights":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif change == "other weights":
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        save_file({k: v for k, v in weights.items() if "layer.1" not in k}, folder / "model.safetensors")
    elif change == "generator":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(
            json.dumps(config | {"architectures": ["GPT2LMHeadModel"], "is_decoder": True})
        )
    elif change == "torn tokenizer":
        (folder / "tokenizer.json").write_text('{"version": "1.0"')
    elif change == "torn config":
        (folder / "config.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ("no tokenizer", MissingError, "has no tokenizer"),
        ("no weights", MissingError, "has no weights"),
        ("no config", MissingError, "no model in"),
        ("torn weights", DataError, "damaged|cannot be loaded"),
        ("other weights", DataError, "do not fill the model"),
        ("generator", DataError, "not an encoder"),
        ("torn tokenizer", MissingError, "tokenizer of .* cannot be loaded"),
        ("torn config", DataError, "not JSON"),
    ],
)
def test_folders_that_are_no_encoders(
    change: str, error: type[BenchError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        load(broken(tmp_path, change), tmp_path)


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    encoder = load(tiny_encoder(), tmp_path)
    encoder.model.embeddings.word_embeddings.weight[:] = torch.nan
    with pytest.raises(DataError, match="not finite"):
        encoder.encode(["asthma"])


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    with pytest.raises(MissingError) as caught:
        locate_model("bioelx-nlp/no_such_model", environment)
    assert "hf download bioelx-nlp/no_such_model" in str(caught.value)
    assert "offline:sapbert-x-mini" in str(caught.value)
    with pytest.raises(MissingError, match="no model folder"):
        locate_model(str(tmp_path / "nowhere"), environment)


def test_devices_and_precisions_that_are_not_here(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("skipped: this machine has a GPU")
    with pytest.raises(MissingError, match="no device cuda"):
        load(tiny_encoder(), tmp_path, device="cuda")
    with pytest.raises(UsageError, match="needs a GPU"):
        load(tiny_encoder(), tmp_path, dtype="fp16", device="cpu")


def test_revision_names_what_matters(tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    folder = tmp_path / "model"
    shutil.copytree(tiny_encoder(), folder)
    before = locate_model(str(folder), environment).revision
    (folder / "README.md").write_text("words")
    assert locate_model(str(folder), environment).revision == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}))
    assert locate_model(str(folder), environment).revision != before


def test_an_adapter_is_merged_into_its_base(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = tiny_encoder()
    model = get_peft_model(
        AutoModel.from_pretrained(base),
        LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False),
    )
    folder = tmp_path / "adapter"
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    adapted = load(folder, tmp_path)
    merged = tmp_path / "merged"
    model.merge_and_unload().save_pretrained(merged)
    for path in base.glob("tokenizer*"):
        shutil.copy(path, merged)
    vectors = adapted.encode(TEXTS)
    np.testing.assert_allclose(vectors, load(merged, tmp_path).encode(TEXTS), atol=2e-6)
    plain = load(base, tmp_path)
    assert np.abs(vectors - plain.encode(TEXTS)).max() > 1e-3
    assert adapted.files.revision.endswith("+" + plain.files.revision)
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    with pytest.raises(DataError, match="which model it adapts"):
        load(folder, tmp_path)


def test_an_adapter_that_lacks_weights_is_refused_not_left_without_effect(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file

    base = tiny_encoder()
    model = get_peft_model(
        AutoModel.from_pretrained(base), LoraConfig(r=4, target_modules=["query", "dense"])
    )
    folder = tmp_path / "adapter"
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    without_pooler = {name: value for name, value in weights.items() if "pooler" not in name}
    assert len(without_pooler) < len(weights)
    save_file(without_pooler, folder / "adapter_model.safetensors")
    load(folder, tmp_path)
    without_pooler.pop(next(name for name in without_pooler if "query" in name))
    save_file(without_pooler, folder / "adapter_model.safetensors")
    with pytest.raises(DataError, match="do not fill it: 1 are missing"):
        load(folder, tmp_path)
    whole = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="weights are damaged"):
        load(folder, tmp_path)
