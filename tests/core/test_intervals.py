from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.scoring.intervals import bootstrap_means, holm, interval, paired_p_value


def test_interval_covers_the_mean_and_is_repeatable() -> None:
    random = np.random.default_rng(1)
    hits = (random.random((400, 2)) < [0.3, 0.8]).astype(float)
    clusters = np.arange(400)
    first = interval(bootstrap_means(hits, clusters, seed=7))
    assert first == interval(bootstrap_means(hits, clusters, seed=7))
    for column, (low, high) in enumerate(first):
        assert low < hits[:, column].mean() < high
        # standard error of a proportion, as the normal approximation gives it
        width = 2 * 1.96 * np.sqrt(hits[:, column].mean() * (1 - hits[:, column].mean()) / 400)
        assert high - low == pytest.approx(width, rel=0.15)


def test_mentions_of_one_document_widen_the_interval() -> None:
    hits = np.repeat(np.array([0.0, 1.0] * 20), 10)[:, None]
    alone = interval(bootstrap_means(hits, np.arange(400), seed=0))[0]
    together = interval(bootstrap_means(hits, np.repeat(np.arange(40), 10), seed=0))[0]
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])


def test_paired_test_finds_a_difference_and_none_where_there_is_none() -> None:
    random = np.random.default_rng(3)
    base = (random.random(500) < 0.5).astype(float)
    better = np.where(random.random(500) < 0.15, 1.0, base)
    clusters = np.arange(500)
    assert paired_p_value(better, base, clusters, seed=0) < 0.001
    assert paired_p_value(base, base, clusters, seed=0) == 1.0
    shuffled = base.copy()
    flips = random.choice(500, 40, replace=False)
    shuffled[flips] = 1 - shuffled[flips]
    assert paired_p_value(shuffled, base, clusters, seed=0) > 0.01


def test_holm_against_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(a >= v and a <= 1 for a, v in zip(adjusted, values, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[i] for i in order] == sorted(adjusted)
