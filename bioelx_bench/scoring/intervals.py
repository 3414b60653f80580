"""Uncertainty: document-clustered bootstrap intervals and paired tests with Holm's correction.

scipy resamples and permutes independent observations only; mentions of one document are not, so whole documents are
drawn here. The tests check coverage and false positives by simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

REPLICATES: Final = 2000
PERMUTATIONS: Final = 10_000
BLOCK_ELEMENTS: Final = 4_000_000

Floats = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]


def cluster_sums(values: Floats, clusters: Clusters, count: int) -> Floats:
    """Sums of the values of each cluster, shape (count,)."""
    return np.bincount(clusters, weights=values, minlength=count).astype(np.float64)


def scrambled(values: Floats) -> npt.NDArray[np.uint64]:
    """A well-mixed 64-bit key of each value's bits (the finaliser of splitmix64, Steele, Lea and Flood 2014)."""
    bits = np.ascontiguousarray(values + 0.0).view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits


def bootstrap_sums(columns: Callable[[], Iterable[Floats]], clusters: Clusters, seed: int) -> Floats:
    """Sums of each column over resampled documents, shape (REPLICATES, columns).

    Mentions of one document are not independent, so whole documents are drawn with replacement (cluster bootstrap;
    Davison and Hinkley 1997, section 3.8). Documents that agree in every column are drawn as one category of a
    multinomial distribution with their joint probability, which is the same thing and needs far fewer draws.

    Args:
        columns: Gives the columns, each of shape (mentions,), the same ones each time; never all held at once.
        clusters: Document number of each mention, from 0, shape (mentions,).
        seed: Seed of the draws.
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    if count == 0:
        return np.empty((REPLICATES, 0))
    random = np.random.default_rng(seed)
    keys = np.zeros(count, np.uint64)
    mixer = np.random.default_rng(0)
    for column in columns():
        factor = np.uint64(int(mixer.integers(1, 2**63, dtype=np.int64)) * 2 + 1)
        keys += scrambled(cluster_sums(column, clusters, count)) * factor
    _, first, sizes = np.unique(keys, return_index=True, return_counts=True)
    ordered = np.argsort(first)
    first, sizes = first[ordered], sizes[ordered]
    table = np.stack([cluster_sums(column, clusters, count)[first] for column in columns()], axis=1)
    sums = np.empty((REPLICATES, table.shape[1]))
    block = max(1, BLOCK_ELEMENTS // len(sizes))
    for start in range(0, REPLICATES, block):
        size = min(block, REPLICATES - start)
        weights = random.multinomial(count, sizes / count, size=size).astype(np.float64)
        sums[start : start + size] = weights @ table
    return sums


def interval(replicates: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """Percentile interval of one figure's replicates; NaN among them (no mention was drawn) are left out."""
    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return None
    tail = (1 - level) / 2 * 100
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def ratio(sums: Floats, sizes: Floats) -> Floats:
    """Means from sums and sizes, NaN over no mentions."""
    means: Floats = np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)
    return means


def paired_p_value(differences: Floats, clusters: Clusters, seed: int, draws: int = PERMUTATIONS) -> float:
    """Two-sided p of no difference between two systems on the same mentions.

    A sign-flip permutation test on the differences summed by document (Noreen 1989), with the observed labelling
    counted among the draws, so that p is never 0. Documents with the same difference are flipped together as a
    binomial draw, which is the same distribution.

    Args:
        differences: Value of one system minus that of the other, shape (mentions,).
        clusters: Document number of each mention, from 0.
        seed: Seed of the draws.
        draws: Number of random labellings.
    """
    count = int(clusters.max()) + 1 if len(clusters) else 0
    sums = np.abs(cluster_sums(differences, clusters, count))
    sizes, numbers = np.unique(sums[sums > 1e-12], return_counts=True)
    if not len(sizes):
        return 1.0
    observed = abs(float(differences.sum()))
    random = np.random.default_rng(seed)
    totals = np.zeros(draws)
    for size, number in zip(sizes, numbers, strict=True):
        totals += size * (2.0 * random.binomial(int(number), 0.5, size=draws) - number)
    extreme = 1 + int(np.sum(np.abs(totals) >= observed - 1e-9))
    return extreme / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * (len(values) - np.arange(len(values)))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]
