"""The weight follows from the data: what is right gets it, and noise gets none."""

from __future__ import annotations

import numpy as np
import pytest
from bioelx_bench_llm.tuning import JudgedList, tune


def lists(evidence_knows: float, retriever_knows: float) -> list[JudgedList]:
    dice = np.random.default_rng(1)
    found = []
    for _ in range(200):
        right = np.zeros(10, bool)
        right[dice.integers(10)] = True
        noise = dice.normal(size=(2, 10))
        scores = noise[0] + retriever_knows * right
        order = np.argsort(-scores)
        found.append(JudgedList(scores[order], 3 * (noise[1] + evidence_knows * right)[order], right[order]))
    return found


@pytest.mark.parametrize(
    ("evidence", "retriever", "low", "high"), [(3, 0, 0.7, 1.0), (0, 3, 0.0, 0.3), (2, 2, 0.3, 0.7)]
)
def test_the_side_that_knows_more_gets_more_weight(
    evidence: float, retriever: float, low: float, high: float
) -> None:
    found = tune(lists(evidence, retriever), seed=0)
    assert low <= found.interpolation.weight <= high
    assert found.interval[0] <= found.interpolation.weight <= found.interval[1]
    assert found.gain[0] >= 0 and found.interpolation.temperature > 0


def test_a_ranker_that_said_nothing_changes_nothing() -> None:
    silent = [JudgedList(x.scores, np.full(10, np.nan), x.right) for x in lists(1, 1)]
    assert len(set(tune(silent, seed=0).recall)) == 1
