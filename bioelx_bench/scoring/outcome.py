"""What scoring knows of the mentions of a subset once the logs are read: arrays, from which every figure follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.metrics import Hits
from bioelx_bench.results import Stage

Flags = npt.NDArray[np.bool_]
Ids = Callable[[], Sequence[Sequence[str]]]

OPPOSITES: Final = {"exact": "inexact", "ambiguous": "unambiguous", "seen": "unseen", "trained": "untrained"}
"""The flags by which mentions are sliced, and the name of the other half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRanks:
    """Where the gold stands after a stage; see `metrics.Hits` for the arrays."""

    ranks: npt.NDArray[np.int32]
    gold_ranks: npt.NDArray[np.int32]
    lists: Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetOutcome:
    """The mentions of one subset; every array but the gold's has shape (mentions,).

    Attributes:
        name: The subset.
        documents: Document number of each mention, from 0.
        in_kb: Whether the gold is in the knowledge base (any or all of it, by the protocol).
        flags: `exact`, `ambiguous`, `seen` and, where the retriever can tell, `trained`.
        without_candidates: Whether the retriever found nothing.
        failed: Whether the ranking failed.
        gold_offsets: Where each mention's gold begins, and the end; shape (mentions + 1,).
        gold: Gives the gold ids.
        retrieval: Ranks in the retriever's lists.
        ranking: Ranks in the ranked lists, or None where nothing ranked.
    """

    name: str
    documents: npt.NDArray[np.int64]
    in_kb: Flags
    flags: Mapping[str, Flags]
    without_candidates: Flags
    failed: Flags
    gold_offsets: npt.NDArray[np.int64]
    gold: Ids
    retrieval: StageRanks
    ranking: StageRanks | None

    def __len__(self) -> int:
        return len(self.in_kb)

    def stages(self) -> dict[Stage, StageRanks]:
        """The stages that ran."""
        found: dict[Stage, StageRanks] = {"retrieval": self.retrieval}
        return found if self.ranking is None else found | {"ranking": self.ranking}

    def hits(self, stage: StageRanks, depth: int, cutoffs: tuple[int, ...]) -> Hits:
        """What a metric sees of a stage."""
        return Hits(
            ranks=stage.ranks,
            gold_ranks=stage.gold_ranks,
            gold_offsets=self.gold_offsets,
            depth=depth,
            cutoffs=cutoffs,
            lists=stage.lists,
            gold=self.gold,
        )

    def slices(self) -> dict[str, Flags]:
        """Both halves of the mentions by each flag."""
        found: dict[str, Flags] = {}
        for name, flags in self.flags.items():
            found[name], found[OPPOSITES[name]] = flags, ~flags
        return found
