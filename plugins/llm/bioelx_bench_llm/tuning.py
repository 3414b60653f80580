"""How much weight a ranker's evidence should have against the retriever's scores, from development data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.records import Interpolation
from bioelx_bench.scoring.interpolation import mix, order, score_scale

WEIGHTS: Final = tuple(round(step / 20, 2) for step in range(21))
SAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class JudgedList:
    """A mention's candidates in the retriever's order.

    Attributes:
        scores: The retriever's raw scores.
        evidence: The ranker's, NaN where it found nothing.
        right: Whether each is a gold concept.
    """

    scores: npt.NDArray[np.float64]
    evidence: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the development data say.

    Attributes:
        weights: The weights that were tried.
        recall: Recall@1 (share of mentions) with each.
        interpolation: The best one: the middle of the weights whose recall is the highest.
        interval: 95 per cent of bootstrap samples have their best weight within it.
        gain: Recall@1 beyond the retriever's own, with its 95 per cent interval.
        mentions: How many there were.
    """

    weights: tuple[float, ...]
    recall: tuple[float, ...]
    interpolation: Interpolation
    interval: tuple[float, float]
    gain: tuple[float, float, float]
    mentions: int


def tune(lists: Sequence[JudgedList], seed: int) -> Tuned:
    """Choose the weight of the evidence, on the scale on which a run is mixed.

    The order of candidates depends on weight and temperature by one number alone, so the temperature is set to the
    evidence's standard deviation, which makes both sides of like size, and the weight is searched.

    Args:
        lists: At least one mention with candidates.
        seed: Seed of the bootstrap.
    """
    scores = np.concatenate([found.scores for found in lists])
    evidence = np.concatenate([found.evidence for found in lists])
    offsets = np.concatenate([[0], np.cumsum([len(found.scores) for found in lists])]).astype(np.int64)
    spread = float(np.nanstd(evidence)) if not np.isnan(evidence).all() else 0.0
    temperature = round(spread, 2) or 1.0
    scale = score_scale([scores])
    owners = np.repeat(np.arange(len(lists)), np.diff(offsets))
    places = np.arange(len(scores)) - offsets[owners]
    right = np.concatenate([found.right for found in lists])
    hits = np.empty((len(WEIGHTS), len(lists)))
    for row, weight in enumerate(WEIGHTS):
        mixed = mix(scores, evidence, offsets, scale, Interpolation(weight, temperature))
        hits[row] = right[order(mixed, places, owners)[offsets[:-1]]]
    recall = hits.mean(1)
    chosen = WEIGHTS[best(recall)]
    draws = np.random.default_rng(seed).integers(0, len(lists), (SAMPLES, len(lists)))
    sampled = np.stack([hits[:, draw].mean(1) for draw in draws])
    bests = [WEIGHTS[best(values)] for values in sampled]
    gains = sampled[:, WEIGHTS.index(chosen)] - sampled[:, 0]
    low, high = np.percentile(gains, [2.5, 97.5])
    weight_low, weight_high = np.percentile(bests, [2.5, 97.5])
    return Tuned(
        weights=WEIGHTS,
        recall=tuple(float(value) for value in recall),
        interpolation=Interpolation(chosen, temperature),
        interval=(float(weight_low), float(weight_high)),
        gain=(float(recall[WEIGHTS.index(chosen)] - recall[0]), float(low), float(high)),
        mentions=len(lists),
    )


def best(recall: npt.NDArray[np.float64]) -> int:
    """The middle one of the weights with the highest recall."""
    top = np.flatnonzero(recall >= recall.max() - 1e-12)
    return int(top[len(top) // 2])
