from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import UsageError
from bioelx_bench.records import Interpolation
from bioelx_bench.scoring.interpolation import mix, order, score_scale, validate_interpolation
from bioelx_bench.scoring.matching import offsets_of

# cosine in [-1, 1], dot products in the hundreds, BM25 from 0 to 60, reciprocal ranks near 0.03
RANGES = {"cosine": (-1, 1), "dot": (50, 900), "bm25": (0, 60), "fused": (0.01, 0.033)}


@st.composite
def runs(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores that do not increase along a list, evidence with gaps, offsets."""
    low, high = RANGES[draw(st.sampled_from(sorted(RANGES)))]
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=6))
    scores: list[float] = []
    for length in lengths:
        scores += sorted(draw(st.lists(st.floats(low, high), min_size=length, max_size=length)), reverse=True)
    n = sum(lengths)
    said = draw(st.lists(st.one_of(st.just(float("nan")), st.floats(-20, 20)), min_size=n, max_size=n))
    return np.array(scores, float), np.array(said, float), offsets_of(lengths)


def ordered(scores: Any, evidence: Any, offsets: Any, how: Interpolation) -> list[list[int]]:
    lengths = np.diff(offsets)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(scores)) - offsets[:-1][owners]
    mixed = mix(scores, evidence, offsets, score_scale([scores]), how)
    chosen = order(mixed, places, owners)
    return [places[chosen[a:b]].tolist() for a, b in pairwise(offsets)]


@given(runs())
def test_weight_0_keeps_the_retriever_s_order(run: Any) -> None:
    for found in ordered(*run, Interpolation(0.0)):
        assert found == list(range(len(found)))


@given(runs())
def test_weight_1_takes_the_evidence_alone_and_ties_in_the_retriever_s_order(run: Any) -> None:
    _, evidence, offsets = run
    for found, a, b in zip(ordered(*run, Interpolation(1.0)), offsets[:-1], offsets[1:], strict=True):
        said = evidence[a:b]
        if np.isnan(said).all():
            assert found == list(range(b - a))
            continue
        filled = np.where(np.isnan(said), said[~np.isnan(said)].sum() / (~np.isnan(said)).sum(), said)
        assert found == sorted(range(b - a), key=lambda i: (-filled[i], i))


@given(runs(), st.floats(0.05, 0.95), st.sampled_from([2.0, 8.0]), st.integers(-64, 64))
def test_only_the_shape_of_scores_matters_and_not_their_unit(
    run: Any, weight: float, factor: float, shift: int
) -> None:
    scores, evidence, offsets = run
    exact = np.round(scores * 1024) / 1024  # so that scaling and shifting lose no bits
    first = mix(exact, evidence, offsets, score_scale([exact]), Interpolation(weight))
    other = exact * factor + shift
    second = mix(other, evidence, offsets, score_scale([other]), Interpolation(weight))
    assert first == pytest.approx(second, abs=1e-6)


@given(runs(), st.floats(0, 1), st.floats(0.1, 10))
def test_temperature_divides_the_evidence(run: Any, weight: float, temperature: float) -> None:
    scores, evidence, offsets = run
    scale = score_scale([scores])
    first = mix(scores, evidence * temperature, offsets, scale, Interpolation(weight, temperature))
    assert first == pytest.approx(mix(scores, evidence, offsets, scale, Interpolation(weight)), abs=1e-9)


@given(runs(), st.floats(0, 1))
def test_a_list_without_evidence_keeps_its_order_whatever_the_weight(run: Any, weight: float) -> None:
    scores, _, offsets = run
    for found in ordered(scores, np.full(len(scores), np.nan), offsets, Interpolation(weight)):
        assert found == list(range(len(found)))


@given(runs(), st.floats(0.01, 0.99))
def test_missing_evidence_stands_at_the_mean_of_its_list(run: Any, weight: float) -> None:
    scores, evidence, offsets = run
    filled = evidence.copy()
    for a, b in pairwise(offsets):
        known = evidence[a:b][~np.isnan(evidence[a:b])]
        if len(known):
            filled[a:b] = np.where(np.isnan(evidence[a:b]), known.mean(), evidence[a:b])
    scale = score_scale([scores])
    first = mix(scores, evidence, offsets, scale, Interpolation(weight))
    assert first == pytest.approx(mix(scores, filled, offsets, scale, Interpolation(weight)), abs=1e-9)


@settings(max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(1, 20))
@example([349525.6989604455] * 3, 1)
def test_the_scale_does_not_depend_on_blocks(values: list[float], size: int) -> None:
    whole = score_scale([values])
    parts = score_scale([values[i : i + size] for i in range(0, len(values), size)])
    assert parts.mean == pytest.approx(whole.mean, abs=1e-6)
    assert parts.spread == pytest.approx(whole.spread, rel=1e-6, abs=1e-4)
    if values and np.std(values) > 1e-3:
        assert whole.spread == pytest.approx(np.std(values))


def test_scores_that_are_all_alike_have_spread_1() -> None:
    assert score_scale([[3.0, 3.0]]).spread == 1.0
    assert score_scale([]).spread == 1.0
    assert score_scale([[349525.6989604455]] * 3).spread == 1.0  # rounding between blocks is no spread


@pytest.mark.parametrize(
    ("weight", "temperature"), [(-0.1, 1), (1.1, 1), (0.5, 0), (0.5, -1), (0.5, float("inf"))]
)
def test_what_is_no_mix_is_refused(weight: float, temperature: float) -> None:
    with pytest.raises(UsageError):
        validate_interpolation(Interpolation(weight, temperature))
