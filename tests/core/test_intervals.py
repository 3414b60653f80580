from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.scoring import intervals
from bioelx_bench.scoring.intervals import bootstrap_sums, holm, interval, paired_p_value, ratio

Floats = npt.NDArray[np.float64]


def mean_interval(values: Floats, clusters: npt.NDArray[np.int64], seed: int = 0) -> tuple[float, float]:
    def columns() -> Iterable[Floats]:
        return np.ones(len(values)), values

    sums = bootstrap_sums(columns, clusters, seed)
    found = interval(ratio(sums[:, 1], sums[:, 0]))
    assert found is not None
    return found


def test_the_interval_is_that_of_a_proportion_and_repeatable() -> None:
    random = np.random.default_rng(1)
    for share in (0.3, 0.8):
        hits = (random.random(400) < share).astype(float)
        low, high = mean_interval(hits, np.arange(400), seed=7)
        assert (low, high) == mean_interval(hits, np.arange(400), seed=7)
        assert low < hits.mean() < high
        # standard error of a proportion, as the normal approximation gives it
        width = 2 * 1.96 * np.sqrt(hits.mean() * (1 - hits.mean()) / 400)
        assert high - low == pytest.approx(width, rel=0.15)


def test_drawing_equal_documents_together_is_drawing_them_one_by_one() -> None:
    random = np.random.default_rng(2)
    clusters = np.sort(random.integers(0, 60, 300))
    values = (random.random(300) < 0.4).astype(float)
    sums = np.bincount(clusters, weights=values, minlength=60)
    sizes = np.bincount(clusters, minlength=60)
    drawn = random.integers(0, 60, size=(20_000, 60))
    plain = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    assert mean_interval(values, clusters) == pytest.approx(plain, abs=0.01)


def test_mentions_of_one_document_widen_the_interval() -> None:
    hits = np.repeat(np.array([0.0, 1.0] * 20), 10)
    alone = mean_interval(hits, np.arange(400))
    together = mean_interval(hits, np.repeat(np.arange(40), 10))
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])


def clustered(random: np.random.Generator, documents: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Hits of mentions whose documents differ in how hard they are; the expected share is 0.5."""
    sizes = random.integers(1, 8, documents)
    clusters = np.repeat(np.arange(documents), sizes)
    hard = np.repeat(random.beta(2, 2, documents), sizes)
    return (random.random(len(clusters)) < hard).astype(float), clusters


def test_95_per_cent_intervals_cover_in_95_per_cent_of_simulations() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for seed in range(1000):
        low, high = mean_interval(*clustered(random, 150), seed=seed)
        covered += low <= 0.5 <= high
    assert 0.93 <= covered / 1000 <= 0.97


def test_false_positives_of_the_paired_test_are_at_their_level() -> None:
    random = np.random.default_rng(12)
    below = 0
    for seed in range(2000):
        first, clusters = clustered(random, 60)
        second, _ = clustered(np.random.default_rng(seed), 60)
        n = min(len(first), len(second))
        swap = random.random(60)[clusters[:n]] < 0.5  # whole documents change sides: the null holds
        gap = np.where(swap, first[:n] - second[:n], second[:n] - first[:n])
        below += paired_p_value(gap, clusters[:n], seed, draws=999) <= 0.05
    assert 0.035 <= below / 2000 <= 0.065


def test_the_paired_test_agrees_with_scipy_where_documents_are_single_mentions() -> None:
    from scipy.stats import permutation_test

    random = np.random.default_rng(3)
    first = (random.random(60) < 0.5).astype(float)
    second = np.where(random.random(60) < 0.3, 1.0, first)
    theirs = permutation_test(
        (first, second),
        lambda a, b, axis: (a - b).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    ours = paired_p_value(first - second, np.arange(60), seed=0, draws=20_000)
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)


def test_no_difference_is_no_evidence() -> None:
    assert paired_p_value(np.zeros(10), np.arange(10), seed=0) == 1.0
    assert paired_p_value(np.empty(0), np.empty(0, np.int64), seed=0) == 1.0


def test_blocks_of_draws_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values, clusters = clustered(np.random.default_rng(4), 40)
    whole = mean_interval(values, clusters)
    monkeypatch.setattr(intervals, "BLOCK_ELEMENTS", 1000)
    assert mean_interval(values, clusters) == whole


def test_holm_against_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(a >= v and a <= 1 for a, v in zip(adjusted, values, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[i] for i in order] == sorted(adjusted)
