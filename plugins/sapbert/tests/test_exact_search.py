"""Exact search finds what comparing every pair in fp64 finds, whatever the vectors, and proves it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import numpy.typing as npt
import pytest
import torch
from bioelx_bench_sapbert import search as search_module
from bioelx_bench_sapbert.aggregation import ConceptAggregation, TopK
from bioelx_bench_sapbert.name_strings import group_names
from bioelx_bench_sapbert.search import ExactSearch, convert, multiply, upper_bounds
from bioelx_bench_sapbert.vectors import round_to_bf16
from dense_helpers import store_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.progress import Progress
from bioelx_bench.testing.data import make_knowledge_base

CPU = torch.device("cpu")
SILENT = Progress(enabled=False)


def vectors_of(seed: int, rows: int, dimension: int, kind: str, dtype: str) -> npt.NDArray[np.floating]:
    """Vectors as encoders give them, and as they would make the bounds fail."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((rows, dimension))
    if kind == "one direction":  # as XLM-R's: all cosines above 0.9
        vectors = vectors * 0.2 + generator.standard_normal(dimension)
    elif kind == "ties":
        vectors = vectors[generator.integers(0, max(1, rows // 8), rows)]
    elif kind == "near ties":
        vectors = vectors[:1] + 1e-3 * vectors
    elif kind == "lengths":
        vectors *= 10.0 ** generator.uniform(-3, 2, (rows, 1))
    elif kind == "zero":
        vectors *= 0
    return vectors.astype(dtype)


KINDS = st.sampled_from(["plain", "one direction", "ties", "near ties", "lengths", "zero"])


def top_vectors(k: int) -> search_module.Aggregate:
    """Vectors themselves as places."""

    def aggregate(rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> TopK:
        found = TopK.empty(len(rows), k)
        for number, (row, score) in enumerate(zip(rows, scores, strict=True)):
            order = np.lexsort((row, -score))[:k]
            found.names[number, : len(order)] = row[order]
            found.scores[number, : len(order)] = score[order]
        return found

    return aggregate


def assert_best(found: TopK, vectors: npt.NDArray[np.floating], queries: npt.NDArray[np.float32]) -> None:
    """The places are those of comparing every pair in fp64."""
    true = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    for names, scores, expected in zip(found.names, found.scores, true, strict=True):
        order = np.lexsort((np.arange(len(expected)), -expected))[: len(names)]
        assert names[: len(order)].tolist() == order.tolist()
        assert scores[: len(order)].tolist() == expected[order].tolist()
        assert (names[len(order) :] == -1).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 3000),
    dimension=st.sampled_from([1, 7, 64]),
    kind=KINDS,
    dtype=st.sampled_from(["float16", "float32"]),
    k=st.integers(1, 12),
    bf16=st.booleans(),
    block=st.sampled_from([64, 320, 1000]),
    query_block=st.sampled_from([1, 4, 100]),
    resident=st.booleans(),
    sample=st.sampled_from([8, 100, 8192]),
)
def test_equals_comparing_every_pair(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    rows: int,
    dimension: int,
    kind: str,
    dtype: str,
    k: int,
    bf16: bool,
    block: int,
    query_block: int,
    resident: bool,
    sample: int,
) -> None:
    """With blocks of several sizes, streamed from the disk or kept on the device as on a GPU."""
    vectors = vectors_of(seed, rows, dimension, kind, dtype)
    queries = vectors_of(seed + 1, 9, dimension, kind, "float32")
    queries[0] = vectors[0]
    store = store_vectors(tmp_path_factory.mktemp("e"), vectors)
    search = ExactSearch(store, CPU, bf16=bf16, resident=resident)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "BLOCK_ROWS", block)
        patch.setattr(search_module, "SAMPLE_ROWS", sample)
        patch.setattr(search_module, "QUERY_BLOCK", query_block)
        found = search.search(queries, k + 3, top_vectors(k), SILENT)
    assert_best(found, vectors, queries)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), kind=KINDS, dimension=st.sampled_from([2, 33, 768]), bf16=st.booleans())
def test_bounds_hold(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str, dimension: int, bf16: bool
) -> None:
    """No true product is above the bound that a computed one gives, and the bound is not idle."""
    vectors = vectors_of(seed, 200, dimension, kind, "float16")
    queries = vectors_of(seed + 1, 5, dimension, kind, "float32")
    store = store_vectors(tmp_path_factory.mktemp("e"), vectors)
    dtype = torch.bfloat16 if bf16 else torch.float32
    block = torch.empty((200, dimension), dtype=dtype)
    convert(torch.from_numpy(vectors), torch.from_numpy(store.center), block)
    products = multiply(
        torch.from_numpy(queries).to(dtype), block, torch.empty((5, 200), dtype=dtype)
    ).float()
    true = queries.astype(np.float64) @ vectors.astype(np.float64).T
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    for column in range(0, 200, 7):
        upper = upper_bounds(products[:, column].numpy(), queries, store, bf16)
        assert (upper >= true[:, column]).all()
        slack = (0.02 if bf16 else 1e-3) * lengths * (store.manifest.radius + np.linalg.norm(store.center))
        assert (upper - true[:, column] <= slack + 1e-30).all()


def test_results_do_not_depend_on_batches_threads_or_precision(tmp_path: Path) -> None:
    vectors = vectors_of(3, 5000, 96, "one direction", "float16")
    queries = vectors_of(4, 40, 96, "one direction", "float32")
    stored = store_vectors(tmp_path, vectors)

    def answers(queries: npt.NDArray[np.float32], bf16: bool) -> TopK:
        return ExactSearch(stored, CPU, bf16=bf16).search(queries, 40, top_vectors(10), SILENT)

    expected = answers(queries, bf16=True)
    assert_best(expected, vectors, queries)
    for other in (answers(queries, bf16=False), *(answers(queries[i : i + 1], bf16=True) for i in range(5))):
        numbers = (
            slice(None)
            if len(other.names) > 1
            else np.flatnonzero((expected.names == other.names[0]).all(axis=1))
        )
        assert np.array_equal(expected.names[numbers], other.names)
        assert np.array_equal(expected.scores[numbers], other.scores)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert np.array_equal(answers(queries, bf16=False).scores, expected.scores)
    finally:
        torch.set_num_threads(threads)


def test_unproven_queries_are_searched_again_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SAMPLE_ROWS", 500)
    vectors = vectors_of(5, 4000, 32, "near ties", "float32")
    vectors[::2] *= -1  # two dense crowds, so that near neighbours differ by less than what rounding changes
    search = ExactSearch(store_vectors(tmp_path, vectors), CPU, bf16=True)
    queries = vectors[:20]
    assert_best(search.search(queries, 8, top_vectors(5), SILENT), vectors, queries)
    assert search.report.fallback_queries > 0
    assert search.report.passes > 1


def test_no_python_call_and_no_array_for_each_mention(tmp_path: Path) -> None:
    """What a search does for each mention is in arrays: calls and allocations are those of its blocks."""
    vectors = vectors_of(6, 20_000, 32, "one direction", "float16")
    search = ExactSearch(store_vectors(tmp_path, vectors), CPU, bf16=False)
    kb = make_knowledge_base(tmp_path / "kb", [(f"C{i // 3:07d}", "en", f"name {i}") for i in range(20_000)])
    aggregation = ConceptAggregation(kb, group_names(kb, False), 10, "concept")

    def calls(count: int) -> int:
        queries = vectors_of(7, count, 32, "one direction", "float32")
        made = 0

        def profile(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        sys.setprofile(profile)
        try:
            found = search.search(queries, 104, aggregation.top, SILENT)
            lists = aggregation.candidates(found)
        finally:
            sys.setprofile(None)
        assert [len(candidates) for candidates in lists] == [10] * count
        return made

    calls(10)
    few, many = calls(100), calls(2000)
    assert (many - few) / 1900 < 25  # ten of them are the candidates


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=50))
def test_rounding_to_bf16_is_torchs(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert np.array_equal(round_to_bf16(array), torch.from_numpy(array).bfloat16().float().numpy())


def test_measures_of_known_vectors(tmp_path: Path) -> None:
    store = store_vectors(tmp_path, np.array([[3.0, 4.0], [3.0, -4.0]], np.float32))
    assert store.center.tolist() == [3.0, 0.0]
    assert store.manifest.radius == pytest.approx(4, rel=1e-5)
    assert store.manifest.bf16_error == 0
