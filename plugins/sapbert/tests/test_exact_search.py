"""Exact search finds what comparing every pair in fp64 finds, whatever the vectors, and proves it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import numpy.typing as npt
import pytest
import torch
from bioelx_bench_sapbert import exact as exact_module
from bioelx_bench_sapbert.exact import ExactSearch
from bioelx_bench_sapbert.products import Bf16Products, Fp32Products
from bioelx_bench_sapbert.rounding import bf16_error, fp32_error
from bioelx_bench_sapbert.statistics import Statistics, mean_direction, measure, round_to_bf16
from dense_helpers import store_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.progress import Progress

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


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 3000),
    dimension=st.sampled_from([1, 7, 64]),
    kind=KINDS,
    dtype=st.sampled_from(["float16", "float32"]),
    k=st.integers(1, 12),
    bf16=st.booleans(),
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
) -> None:
    vectors = vectors_of(seed, rows, dimension, kind, dtype)
    queries = vectors_of(seed + 1, 9, dimension, kind, "float32")
    queries[0] = vectors[0]
    search = ExactSearch(store_vectors(tmp_path_factory.mktemp("e"), vectors), CPU, bf16=bf16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_module, "FIRST_ROWS", 64)
        patch.setattr(exact_module, "BLOCK_ROWS", 320)
        answers = {
            number: best(found, scores, k)
            for number, found, scores in search.search(
                queries,
                k + 3,
                lambda _, r, s, bound: len(r) >= k and np.sort(s)[-k] > np.float32(bound),
                SILENT,
            )
        }
    true = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    assert sorted(answers) == list(range(len(queries)))
    for number, scores in enumerate(true):
        assert answers[number] == best(np.arange(rows), scores, k)


def best(rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    order = np.lexsort((rows, -scores))[:k]
    return [(int(rows[i]), float(scores[i])) for i in order]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), kind=KINDS, dimension=st.sampled_from([2, 33, 768]), shift=st.booleans())
def test_bounds_hold(seed: int, kind: str, dimension: int, shift: bool) -> None:
    """No true product is above the upper bound that a quick one gives, nor below it by twice the error."""
    vectors = vectors_of(seed, 200, dimension, kind, "float16")
    queries = vectors_of(seed + 1, 5, dimension, kind, "float32")
    center = mean_direction([vectors], dimension)
    statistics = measure([vectors], center)
    true = queries.astype(np.float64) @ vectors.astype(np.float64).T
    numbers = torch.arange(5)[:, None].expand(5, 200)
    products = Bf16Products(queries, statistics, center, CPU), Fp32Products(queries, statistics, CPU)
    errors = bf16_error(queries, statistics, center, dimension), fp32_error(queries, statistics)
    for made, error in zip(products, errors, strict=True):
        if shift:
            made.set_thresholds(torch.from_numpy(np.quantile(true, 0.9, axis=1).astype(np.float32)))
        results = made.multiply(vectors)
        upper = made.upper(results, numbers).double().numpy()
        assert (upper >= true).all()
        spread = np.abs(true).max() + error.max()
        assert (upper - true <= 2.5 * error[:, None] + 0.02 * spread + 1e-30).all()
        if shift:
            thresholds = np.quantile(true, 0.9, axis=1).astype(np.float32)
            dismissed = ~(results > made.floor).numpy()
            assert (true[dismissed] <= np.broadcast_to(thresholds[:, None], true.shape)[dismissed]).all()


def test_results_do_not_depend_on_batches_threads_or_precision(tmp_path: Path) -> None:
    vectors = vectors_of(3, 5000, 96, "one direction", "float16")
    queries = vectors_of(4, 40, 96, "one direction", "float32")
    stored = store_vectors(tmp_path, vectors)

    def answers(queries: npt.NDArray[np.float32], bf16: bool) -> list[list[tuple[int, float]]]:
        search = ExactSearch(stored, CPU, bf16=bf16)
        found = search.search(queries, 40, lambda _, r, s, b: np.sort(s)[-10] > np.float32(b), SILENT)
        return [best(r, s, 10) for _, r, s in sorted(found, key=lambda item: item[0])]

    expected = answers(queries, bf16=True)
    assert answers(queries, bf16=False) == expected
    assert [answers(queries[i : i + 1], bf16=True)[0] for i in range(5)] == expected[:5]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert answers(queries, bf16=False) == expected
    finally:
        torch.set_num_threads(threads)


def test_unproven_queries_are_searched_again_and_counted(tmp_path: Path) -> None:
    vectors = vectors_of(5, 4000, 32, "near ties", "float32")
    search = ExactSearch(store_vectors(tmp_path, vectors), CPU, bf16=True)
    queries = vectors[:20]
    found = {
        n: best(r, s, 5)
        for n, r, s in search.search(queries, 8, lambda _, r, s, b: np.sort(s)[-5] > np.float32(b), SILENT)
    }
    assert search.report.again > 0
    assert search.report.passes > 1
    true = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    assert all(found[i] == best(np.arange(4000), true[i], 5) for i in range(20))


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=50))
def test_rounding_to_bf16_is_torchs(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert np.array_equal(round_to_bf16(array), torch.from_numpy(array).bfloat16().float().numpy())


def test_statistics_of_known_vectors() -> None:
    vectors = np.array([[3.0, 4.0], [3.0, -4.0]], np.float32)
    center = mean_direction([vectors], 2)
    assert center.tolist() == [1.0, 0.0]
    assert measure([vectors], center) == Statistics(5.0, 3.0, 4.0, 0.0, 0.0)
