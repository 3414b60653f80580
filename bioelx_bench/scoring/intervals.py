"""Uncertainty: document-clustered bootstrap intervals and paired tests with Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

REPLICATES: Final = 2000
BLOCK: Final = 100

Floats = npt.NDArray[np.float64]


def cluster_sums(values: Floats, clusters: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Sum the rows of `values`, shape (mentions, columns), by cluster.

    Returns:
        Sums, shape (clusters, columns), and the number of mentions in each, shape (clusters,).
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, clusters, values)
    return sums, np.bincount(clusters, minlength=count).astype(np.float64)


def bootstrap_means(values: Floats, clusters: npt.NDArray[np.int64], seed: int) -> Floats:
    """Means of resampled documents, shape (REPLICATES, columns).

    Mentions of one document are not independent, so whole documents are drawn with replacement (cluster
    bootstrap; Davison and Hinkley 1997, section 3.8).

    Args:
        values: One row a mention, such as hit (1) or miss (0) at each k; shape (mentions, columns).
        clusters: Document number of each mention, from 0, shape (mentions,).
        seed: Seed of the draws.
    """
    sums, sizes = cluster_sums(values, clusters)
    count = len(sizes)
    random = np.random.default_rng(seed)
    means = np.empty((REPLICATES, values.shape[1]))
    for start in range(0, REPLICATES, BLOCK):
        weights = random.multinomial(count, np.full(count, 1 / count), size=BLOCK).astype(np.float64)
        means[start : start + BLOCK] = (weights @ sums) / (weights @ sizes)[:, None]
    return means


def interval(means: Floats, level: float = 0.95) -> list[list[float]]:
    """Percentile interval of each column of replicates: `[low, high]` for each."""
    tail = (1 - level) / 2 * 100
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return [[float(a), float(b)] for a, b in zip(low, high, strict=True)]


def paired_p_value(
    first: Floats, second: Floats, clusters: npt.NDArray[np.int64], seed: int, draws: int = 10_000
) -> float:
    """Two-sided p of no difference between two systems on the same mentions.

    A sign-flip permutation test on the differences summed by document (Noreen 1989), with the observed
    labelling counted among the draws, so that p is never 0.

    Args:
        first: Hits of one system, shape (mentions,).
        second: Hits of the other, in the same order.
        clusters: Document number of each mention, from 0.
        seed: Seed of the draws.
        draws: Number of random labellings.
    """
    sums, _ = cluster_sums((first - second)[:, None], clusters)
    differences = sums[:, 0]
    differences = differences[differences != 0]
    if len(differences) == 0:
        return 1.0
    observed = abs(differences.sum())
    random = np.random.default_rng(seed)
    extreme = 1
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        signs = random.integers(0, 2, size=(size, len(differences))) * 2 - 1
        extreme += int(np.sum(np.abs(signs @ differences) >= observed - 1e-9))
    return extreme / (draws + 1)


def holm(p_values: Mapping[str, float] | Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    values = list(p_values.values()) if isinstance(p_values, Mapping) else list(p_values)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for position, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, values[index] * (len(values) - position)))
        adjusted[index] = highest
    return adjusted
