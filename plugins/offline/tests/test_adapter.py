"""The embedded adapter: complete, what its card says, and used as it was trained without any option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bioelx_bench_offline.adapters import sapbert_x_mini
from bioelx_bench_sapbert.seen_aliases import read_seen

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.files import hash_file
from bioelx_bench.models import resolve_model
from bioelx_bench.plugins import load_plugins

NEAREST = {
    "頭痛": "headache",
    "Fieber": "fever",
    "diabète sucré": "diabetes mellitus",
    "Lungenentzündung": "pneumonia",
    "asma": "asthma",
    "骨折": "fracture",
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(cache=Cache(tmp_path), plugins=load_plugins(), offline=True)


def test_the_embedded_adapter_is_what_its_card_says(environment: Environment) -> None:
    folder = resolve_model("offline:sapbert-x-mini", environment)
    assert folder == sapbert_x_mini(environment)
    record = json.loads((folder / "training.json").read_text())
    card = (folder / "README.md").read_text()
    assert record["status"] == "finished"
    assert {n: hash_file(folder / n) for n in record["weights_sha256"]} == record["weights_sha256"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "offline:e5-small"
    assert sum(f.stat().st_size for f in folder.iterdir()) < 20 << 20
    seen = read_seen(folder)
    assert seen is not None
    assert len(seen) == record["seen_aliases"]
    assert record["kb"]["sha256"] in card
    assert record["command"] in card
    assert all(digest in card for digest in record["weights_sha256"].values())
    assert "/" not in record["command"].split("--kb ")[1].split()[0]


def test_its_base_is_the_embedded_encoder_it_was_trained_on(environment: Environment) -> None:
    record = json.loads((sapbert_x_mini(environment) / "training.json").read_text())
    shared = Environment(cache=Cache(default_cache_folder()), plugins=load_plugins(), offline=True)
    base = resolve_model(record["base_model"], shared)
    assert base is not None
    assert {f.name: hash_file(f) for f in base.glob("*.safetensors")} == record["base_sha256"]


def test_the_retriever_uses_it_as_it_was_trained_without_any_option() -> None:
    pytest.importorskip("bioelx_bench_sapbert")
    from bioelx_bench_sapbert.options import SapBertXOptions
    from bioelx_bench_sapbert.retriever import DenseRetriever

    shared = Environment(cache=Cache(default_cache_folder()), plugins=load_plugins(), offline=True)
    retriever = DenseRetriever(SapBertXOptions(model="offline:sapbert-x-mini"), shared)
    settings = json.loads((sapbert_x_mini(shared) / "training.json").read_text())["settings"]
    used = retriever.options
    assert (used.pooling, used.max_length, used.prefix, used.normalize) == (
        settings["pooling"],
        settings["max_length"],
        settings["prefix"],
        True,
    )
    assert used.lowercase == ("both" if settings["lowercase"] else "none")
    adapter, plus, base = retriever.model_revision.partition("+")
    assert adapter.startswith("sha256-")
    assert plus
    assert base == DenseRetriever(SapBertXOptions(model="offline:e5-small"), shared).model_revision
    assert retriever.trained_on(["headache", "no such alias was ever trained on"]) == [True, False]


@pytest.mark.slow
def test_the_adapter_brings_names_of_other_languages_nearer() -> None:
    pytest.importorskip("bioelx_bench_sapbert")
    from bioelx_bench_sapbert.encoder import Encoder
    from bioelx_bench_sapbert.options import EncodingOptions

    shared = Environment(cache=Cache(default_cache_folder()), plugins=load_plugins(), offline=True)
    options = EncodingOptions(pooling="mean", normalize=True)
    margins = []
    for model in ("offline:e5-small", "offline:sapbert-x-mini"):
        encoder = Encoder.load(model, shared, options)
        cosines = encoder.encode(list(NEAREST)) @ encoder.encode(list(NEAREST.values())).T
        others = (cosines.sum(1) - cosines.diagonal()) / (len(NEAREST) - 1)
        margins.append(float((cosines.diagonal() - others).mean()))
    assert margins[1] > 2 * margins[0]
