"""Candidate lists read again from the logs, for the metrics that ask for more than ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from bioelx_bench.runs.logs import CandidateLine, CandidateLog
from bioelx_bench.scoring.join import Reordering
from bioelx_bench.scoring.matching import offsets_of
from bioelx_bench.scoring.protocols import PART_MARK

BLOCK: Final = 1000


@dataclass(frozen=True, slots=True)
class LoggedLists:
    """Reads the candidate ids of mentions after a stage; of the first part, where a mention was split.

    Attributes:
        candidates: The candidate log.
        reordering: Applies the rankings; None where nothing ranked.
    """

    candidates: CandidateLog
    reordering: Reordering | None

    def __call__(self, stage: str, mention_ids: Sequence[str]) -> list[list[str]]:
        """The lists of mentions that stand in the log in this order."""
        found: list[list[str]] = []
        lines = self.lines(mention_ids)
        while block := list(islice(lines, BLOCK)):
            if stage == "retrieval" or self.reordering is None:
                found += [line.concepts for line in block]
            else:
                ids = mention_ids[len(found) : len(found) + len(block)]
                found += reordered(block, ids, self.reordering)
        return found

    def lines(self, mention_ids: Sequence[str]) -> Iterator[CandidateLine]:
        """The lines of mentions; of the first part, where one was split."""
        wanted = iter(mention_ids)
        expected = next(wanted, None)
        for line in self.candidates.lines():
            if expected is None:
                return
            if line.mention_id in (expected, f"{expected}{PART_MARK}0"):
                yield line
                expected = next(wanted, None)


def reordered(
    lines: Sequence[CandidateLine], mention_ids: Sequence[str], reordering: Reordering
) -> list[list[str]]:
    """The candidate ids of mentions in the order of their rankings."""
    columns = [line.concepts for line in lines]
    offsets = offsets_of([len(column) for column in columns])
    final = reordering.apply(mention_ids, lines, offsets)
    flat = list(chain.from_iterable(columns))
    return [
        [] if nil else [flat[place] for place in final.source[start:stop]]
        for nil, start, stop in zip(final.nil, offsets[:-1], offsets[1:], strict=True)
    ]
