"""The order in which pairs are trained on: shuffled by epoch, balanced over languages; a function of the seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


class PairOrder:
    """Which pair comes at each position of an endless training run.

    Args:
        groups: Language-pair group of each pair, shape (pairs,), from `group_pairs`.
        crosslingual: For each group, whether it is of two languages.
        temperature: 1 leaves the groups' shares as they are; above, share to the power 1/temperature.
        crosslingual_share: Share of cross-lingual pairs, or None to leave it.
        seed: The seed.
    """

    def __init__(
        self,
        groups: npt.NDArray[np.int32],
        crosslingual: npt.NDArray[np.bool_],
        *,
        temperature: float = 1.0,
        crosslingual_share: float | None = None,
        seed: int = 0,
    ) -> None:
        self.count = len(groups)
        self.seed = seed
        self._natural = temperature == 1.0 and crosslingual_share is None
        self._groups = groups
        sizes = np.bincount(groups, minlength=len(crosslingual))
        self.shares = group_shares(sizes, crosslingual, temperature, crosslingual_share)
        self._epoch = lru_cache(maxsize=2)(self.epoch)

    def __getitem__(self, position: int) -> int:
        """The pair at a position; position divided by the number of pairs is the epoch."""
        epoch, offset = divmod(position, self.count)
        return int(self._epoch(epoch)[offset])

    def epoch(self, epoch: int) -> Indices:
        """The pairs of one epoch in order; as many as there are pairs, rare groups repeated when balanced."""
        generator = np.random.default_rng([self.seed, 1 + epoch])
        if self._natural:
            return generator.permutation(self.count)
        by_group = np.argsort(self._groups, kind="stable")
        edges = np.searchsorted(self._groups[by_group], np.arange(len(self.shares) + 1))
        wanted = apportion(self.shares, self.count)
        parts = [
            draw(by_group[edges[g] : edges[g + 1]], int(wanted[g]), generator)
            for g in range(len(self.shares))
            if wanted[g]
        ]
        return generator.permutation(np.concatenate(parts))


def group_pairs(
    pairs: npt.NDArray[np.int32], languages: npt.NDArray[np.int16]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]:
    """Group pairs by their unordered pair of languages.

    Args:
        pairs: Name rows, shape (pairs, 2).
        languages: Language code of every name row.

    Returns:
        The group of each pair, and the two languages of each group, shape (groups, 2), the lower code first.
    """
    first, second = languages[pairs[:, 0]].astype(np.int64), languages[pairs[:, 1]].astype(np.int64)
    low, high = np.minimum(first, second), np.maximum(first, second)
    keys, groups = np.unique(low * (1 << 16) + high, return_inverse=True)
    return groups.astype(np.int32), np.stack([keys >> 16, keys & 0xFFFF], axis=1).astype(np.int16)


def group_shares(
    sizes: Indices, crosslingual: npt.NDArray[np.bool_], temperature: float, share: float | None
) -> npt.NDArray[np.float64]:
    """Share of each group, adding up to one; a share asked of an empty kind goes to the other kind."""
    weights = np.where(sizes > 0, (sizes / max(sizes.sum(), 1)) ** (1.0 / temperature), 0.0)
    cross, same = weights[crosslingual].sum(), weights[~crosslingual].sum()
    if share is not None and cross > 0 and same > 0:
        weights[crosslingual] *= share / cross
        weights[~crosslingual] *= (1 - share) / same
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def apportion(shares: npt.NDArray[np.float64], total: int) -> Indices:
    """Whole numbers in proportion to the shares, adding up to `total` (largest remainders)."""
    exact = shares * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def draw(members: Indices, wanted: int, generator: np.random.Generator) -> Indices:
    """`wanted` members in random order, each as often as any other or once more."""
    rounds = -(-wanted // len(members))
    return np.concatenate([generator.permutation(members) for _ in range(rounds)])[:wanted]
