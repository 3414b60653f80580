"""The retrieval stage: search in batches, log each batch whole, continue after a kill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from bioelx_bench.base import BaseRanker, BaseRetriever, Notes
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench.runs.contracts import MAX_COUNT, CandidateChecker, check_unchanged, snapshot
from bioelx_bench.runs.foreign import Origin, broken_contract, calling
from bioelx_bench.runs.logs import CandidateLog, candidate_line

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

BATCH: Final = 1000
"""Mentions searched and logged at once; a kill loses at most one batch."""


class CheckedRetriever:
    """A retriever whose answers are checked as they come.

    Args:
        retriever: Opened on its index.
        origin: Whose code it is.
        kb: The knowledge base.
        k: Candidates of each mention.
        unit: What takes a place in a list.
    """

    def __init__(
        self, retriever: BaseRetriever, origin: Origin, kb: KnowledgeBase, k: int, unit: Unit
    ) -> None:
        self.origin = origin
        self._retriever = retriever
        self._checker = CandidateChecker(origin, kb, k, unit)
        self._k = k
        self._unit = unit

    def search(self, mentions: Sequence[Mention]) -> list[list[Candidate]]:
        """The candidates of each mention.

        Raises:
            BenchError: The retriever raised or broke its contract.
        """
        given = list(mentions)  # a list of its own, which a retriever may sort as it likes
        before = snapshot(mentions)
        with calling(self.origin, "search"):
            found = self._retriever.search(given, self._k, self._unit)
        check_unchanged(self.origin, "search", mentions, before)
        return self._checker.check(mentions, found)

    def notes(self) -> Notes:
        """The retriever's notes."""
        return notes_of(self._retriever, self.origin)


def notes_of(component: BaseRetriever | BaseRanker, origin: Origin) -> Notes:
    """A component's notes, checked.

    Raises:
        BenchError: They cannot be written to a result.
    """
    import json

    with calling(origin, "notes"):
        notes = component.notes()
    if not isinstance(notes, Notes):
        raise broken_contract(origin, "notes", f"returned {type(notes).__name__} in place of Notes")
    if any(type(count) is not int or abs(count) > MAX_COUNT for count in notes.counts.values()):
        raise broken_contract(origin, "notes", "returned a count that is no whole number, or too large")
    try:
        json.dumps(dict(notes.facts), allow_nan=False)
        orjson.dumps([dict(notes.facts), dict(notes.counts)])
    except (TypeError, ValueError, RecursionError) as error:
        raise broken_contract(
            origin, "notes", f"returned facts that are no JSON values ({error!s:.200})"
        ) from error
    return notes


def count_delta(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two looks at the counts."""
    return {kind: count - before.get(kind, 0) for kind, count in after.items()}


def retrieve(
    retriever: CheckedRetriever, parts: Iterator[Mention], total: int, log: CandidateLog, progress: Progress
) -> None:
    """Search what the log does not hold yet.

    Args:
        retriever: The retriever.
        parts: All (parts of) mentions of the run, in order.
        total: How many they are.
        log: Where batches go; what it holds is skipped.
        progress: Shows the bar.

    Raises:
        BenchError: The retriever broke its contract.
    """
    done = sum(1 for _ in islice(parts, log.batches * BATCH))
    with progress.task("Retrieving", total=total, unit="mentions", done=done) as task:
        while batch := list(islice(parts, BATCH)):
            before = retriever.notes()
            found = retriever.search(batch)
            after = retriever.notes()
            lines = [candidate_line(mention.id, c) for mention, c in zip(batch, found, strict=True)]
            log.append_batch(lines, Notes(counts=count_delta(before.counts, after.counts), facts=after.facts))
            task.advance(len(batch))


def is_complete(log: CandidateLog, total: int) -> bool:
    """Whether the log holds all mentions: every batch but the last one is full."""
    return log.batches >= -(-total // BATCH)


def merged_notes(parts: Sequence[Mapping[str, Any]]) -> Notes:
    """Notes of several processes: counts added up, facts as last seen."""
    counts: dict[str, int] = {}
    facts: dict[str, Any] = {}
    for part in parts:
        for kind, count in part.get("counts", {}).items():
            counts[kind] = counts.get(kind, 0) + count
        facts |= part.get("facts", {})
    return Notes(counts=counts, facts=facts)
