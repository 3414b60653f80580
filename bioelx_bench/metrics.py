"""What a metric is: a function from the hits of mentions to one value a mention.

A metric says nothing of averages, in-KB values, slices or intervals: the harness derives them all, since every
figure is the mean of its values over some mentions. A plugin declares one with `declarations.MetricSpec`, whose
factory is the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

NO_HIT: Final = np.iinfo(np.int32).max
"""Rank of a gold concept that no candidate answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Where the gold of some mentions stands in their candidate lists.

    Attributes:
        ranks: Rank from 1 at which a mention counts as found under the run's protocol (the first gold concept, or
            the last one where all must be found; over all parts of a mention that was split), or `NO_HIT`; int32,
            shape (mentions,).
        gold_ranks: Rank of each gold concept of each mention, one mention after the other, ascending within a
            mention, `NO_HIT` last; int32, shape (gold concepts,).
        gold_offsets: Where each mention's part of `gold_ranks` begins, and the end; int64, shape (mentions + 1,).
        depth: Candidates a list may hold: figures beyond it would be those of a longer list.
        cutoffs: The k at which figures are wanted, ascending, none above `depth`.
        lists: Gives the candidate ids of every mention, best first (of the first part, where it was split).
        gold: Gives the gold ids of every mention.
    """

    ranks: npt.NDArray[np.int32]
    gold_ranks: npt.NDArray[np.int32]
    gold_offsets: npt.NDArray[np.int64]
    depth: int
    cutoffs: tuple[int, ...]
    lists: Callable[[], Sequence[Sequence[str]]]
    gold: Callable[[], Sequence[Sequence[str]]]

    def __len__(self) -> int:
        return len(self.ranks)


Metric = Callable[[Hits], Mapping[str, npt.NDArray[np.float64]]]
"""Values of each figure by its name (`recall@1`, `mrr`), finite, shape (mentions,)."""
