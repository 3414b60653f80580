"""Mixing a retriever's scores with a ranker's evidence, on one scale for a whole run (`records.Interpolation`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import UsageError
from bioelx_bench.records import Interpolation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Mean and spread of the retriever's scores over all ranked candidates of a run.

    Only candidates that a ranker saw count, so that the same answers give the same mix whatever was retrieved beyond
    them. One scale for the whole run leaves the distance between two scores its meaning: within one list, a retriever
    that is sure keeps its lead, which stretching each list to the same width would take from it.

    Attributes:
        mean: Their mean.
        spread: Their standard deviation; 1 where all scores are alike.
    """

    mean: float
    spread: float


def score_scale(blocks: Iterable[Sequence[float] | Floats]) -> ScoreScale:
    """The scale of a run from the scores of its lists, read once.

    Means and squares are merged block by block (Chan, Golub and LeVeque 1983), so that large scores lose nothing.
    """
    count, mean, squares = 0, 0.0, 0.0
    for block in blocks:
        values = np.asarray(block, np.float64)
        if not len(values):
            continue
        size, centre = len(values), float(values.mean())
        shift = centre - mean
        total = count + size
        squares += float(((values - centre) ** 2).sum()) + shift * shift * count * size / total
        mean += shift * size / total
        count = total
    spread = math.sqrt(squares / count) if count else 0.0
    # What is left of scores that are all alike is rounding, which must not be stretched to a spread of 1.
    told_apart = spread > abs(mean) * 1e-12 and math.isfinite(spread)
    return ScoreScale(mean, spread if told_apart else 1.0)


def validate_interpolation(interpolation: Interpolation) -> None:
    """Refuse a weight outside [0, 1] or a temperature that is not above 0.

    Raises:
        UsageError: One of them is.
    """
    if not 0 <= interpolation.weight <= 1:
        raise UsageError(f"the weight of the evidence is {interpolation.weight}, not from 0 to 1")
    if not 0 < interpolation.temperature < math.inf:
        raise UsageError(f"the temperature is {interpolation.temperature}, not above 0")


def mix(
    scores: Floats, evidence: Floats, offsets: npt.NDArray[np.int64], scale: ScoreScale, how: Interpolation
) -> Floats:
    """Mixed scores of candidates whose lists lie one after the other.

    A candidate without evidence in a list that has some stands at the mean of its list's evidence: what the ranker
    did not say speaks neither for nor against it, and the retriever decides how it stands to the others. A list
    without any evidence keeps the retriever's scores.

    Args:
        scores: The retriever's raw scores, shape (candidates,).
        evidence: The ranker's, NaN where it found nothing; shape (candidates,).
        offsets: Where each list begins, and the end; shape (lists + 1,).
        scale: The run's.
        how: Weight and temperature.
    """
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known = ~np.isnan(evidence)
    counts = np.bincount(owners[known], minlength=len(offsets) - 1)
    sums = np.bincount(owners[known], weights=evidence[known], minlength=len(offsets) - 1)
    means = sums / np.maximum(counts, 1)
    filled = np.where(known, evidence, means[owners])
    centred = (scores - scale.mean) / scale.spread
    mixed = (1 - how.weight) * centred + how.weight * filled / how.temperature
    return np.where(counts[owners] > 0, mixed, centred)


def order(
    mixed: Floats, places: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Indices of candidates, list by list, best first; equal scores stand in the retriever's order.

    Args:
        mixed: Their scores.
        places: Where each stood in the retriever's list.
        owners: The list of each.
    """
    return np.lexsort((places, -mixed, owners))
