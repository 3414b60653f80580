"""The approximate engine: inverted lists that report their own recall, and an index that is damaged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
import torch
from bioelx_bench_sapbert.aggregation import ConceptAggregation
from bioelx_bench_sapbert.ivf import FILE, IvfSearch, build_ivf
from bioelx_bench_sapbert.name_strings import group_names
from bioelx_bench_sapbert.search import ExactSearch
from dense_helpers import make_environment, store_vectors, tiny_encoder

from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.testing.data import make_knowledge_base

ROWS = 3000
SILENT = Progress(enabled=False)
K = 5
LISTS = int(4 * ROWS**0.5)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    names = [(f"C{i // 2:07d}", "en", f"name {i}") for i in range(ROWS)]
    return make_knowledge_base(tmp_path_factory.mktemp("kb") / "kb", names)


@pytest.fixture(scope="module")
def vectors() -> Any:
    """Clusters with some spread, so that a few lists hold most neighbours but not all."""
    generator = np.random.default_rng(0)
    centers = generator.standard_normal((60, 32))
    own = centers[generator.integers(0, 60, ROWS)] + 0.5 * generator.standard_normal((ROWS, 32))
    return own.astype(np.float16)


def search(folder: Path, kb: KnowledgeBase, vectors: Any, nprobe: int) -> tuple[list[Any], dict[str, Any]]:
    store = store_vectors(folder / "vectors", vectors)
    if not (folder / FILE).exists():
        build_ivf(store, folder, make_environment(folder / "cache"))
    engine = IvfSearch(folder, store, nprobe)
    aggregation = ConceptAggregation(kb, group_names(kb, True), K, "concept")
    exact = ExactSearch(store, torch.device("cpu"), bf16=False)
    queries = vectors[:200].astype(np.float32) + np.float32(0.1)
    found = engine.search(queries, 40, aggregation, exact, SILENT)
    return aggregation.candidates(found), dict(engine.facts())


def test_all_lists_give_what_exact_search_gives(kb: KnowledgeBase, vectors: Any, tmp_path: Path) -> None:
    found, notes = search(tmp_path, kb, vectors, LISTS)
    assert notes["engine"] == "faiss-ivf"
    assert notes["recall_against_exact"] == {"value": 1.0, "sample": 64}
    queries = vectors[:200].astype(np.float32) + np.float32(0.1)
    true = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    best = true.reshape(200, ROWS // 2, 2).max(2)
    for candidates, scores in zip(found, best, strict=True):
        order = np.lexsort((np.arange(len(scores)), -scores))[:K]
        assert [(c.concept_id, c.score) for c in candidates] == [(f"C{i:07d}", scores[i]) for i in order]


def test_fewer_lists_find_less_and_say_how_much(kb: KnowledgeBase, vectors: Any, tmp_path: Path) -> None:
    full, _ = search(tmp_path, kb, vectors, LISTS)
    few, notes = search(tmp_path, kb, vectors, 1)
    shared = [
        len({c.concept_id for c in a} & {c.concept_id for c in b})
        for a, b in zip(full[:64], few[:64], strict=True)
    ]
    assert notes["recall_against_exact"]["value"] == pytest.approx(sum(shared) / (64 * K))
    assert 0.2 < notes["recall_against_exact"]["value"] < 1
    assert notes["ivf"] == {"nlist": LISTS, "nprobe": 1, "quantizer": "fp16"}


@pytest.mark.parametrize("damage", ["gone", "cut", "another"])
def test_a_damaged_index_is_an_error(kb: KnowledgeBase, vectors: Any, tmp_path: Path, damage: str) -> None:
    search(tmp_path, kb, vectors, LISTS)
    file = tmp_path / FILE
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    store = store_vectors(tmp_path / "other", vectors[:1000] if damage == "another" else vectors)
    with pytest.raises(DataError) as caught:
        IvfSearch(tmp_path, store, 8)
    assert FILE in str(caught.value)


def test_runs_share_the_vectors_whatever_the_engine_and_mend_its_index(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(cache))
    table = tmp_path / "names.tsv"
    rows = [f"C{i:07d}\tde\tKrankheit {i % 13} der Leber {i}" for i in range(400)]
    table.write_text("\n".join(["cui\tlang\tname", *rows]) + "\n", encoding="utf-8")
    folder = tmp_path / "kb"
    assert invoke(["kb", "build", "table", str(table), "--name", "t", "--output", str(folder)]) == 0
    arguments = [
        *("run", "--dataset", "xl-bel", "--subset", "de", "--limit", "30", "--kb", str(folder)),
        *("--retriever", "sapbert", "--ranker", "none", "--json", "--output", str(tmp_path / "runs")),
        *("-R", f"model={tiny_encoder()}", "-R", "device=cpu", "-R", "dtype=fp32"),
    ]
    capsys.readouterr()

    def run(*more: str) -> tuple[dict[str, Any], str]:
        code = invoke([*arguments, *more])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out), captured.err

    exact, _ = run()
    vectors = {path: path.stat().st_mtime_ns for path in (cache / "embeddings").glob("*/vectors.bin")}
    assert len(vectors) == 1
    every_list = ("-R", "engine=ivf", "-R", "nprobe=1000")
    approximate, _ = run(*every_list)
    assert {path: path.stat().st_mtime_ns for path in vectors} == vectors
    assert exact["notes"]["retriever"]["engine"].startswith("exact")
    assert approximate["notes"]["retriever"]["engine"] == "faiss-ivf"
    assert approximate["notes"]["retriever"]["recall_against_exact"]["value"] == 1
    assert approximate["scores"] == exact["scores"]
    (index,) = (cache / "indexes").glob(f"*/{FILE}")
    index.write_bytes(index.read_bytes()[:100])
    again, _ = run(*every_list, "--k", "40")
    assert "damaged and made again" in caplog.text
    assert again["notes"]["retriever"]["recall_against_exact"]["value"] == 1
    assert {path: path.stat().st_mtime_ns for path in vectors} == vectors
