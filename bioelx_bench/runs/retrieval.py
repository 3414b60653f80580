"""The retrieval stage: search in batches, log each batch whole, continue after a kill."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from bioelx_bench.base import BaseRetriever, Notes
from bioelx_bench.errors import BenchError
from bioelx_bench.progress import Progress
from bioelx_bench.records import Mention
from bioelx_bench.runs.logs import CandidateLog, candidate_line
from bioelx_bench.scoring.protocols import ScoringProtocol

BATCH: Final = 1000
"""Mentions searched and logged at once; a kill loses at most one batch."""


def count_delta(before: Notes, after: Notes) -> Notes:
    """What was counted between two looks at the notes, and the facts as they are now."""
    counts = {key: value - before.counts.get(key, 0) for key, value in after.counts.items()}
    return Notes(counts=counts, facts=after.facts)


def retrieve(
    retriever: BaseRetriever,
    parts: Iterable[Mention],
    total: int,
    log: CandidateLog,
    protocol: ScoringProtocol,
    k: int,
    progress: Progress,
) -> None:
    """Search what the log does not hold yet.

    Args:
        retriever: Opened on its index.
        parts: All (parts of) mentions of the run, in order.
        total: How many they are.
        log: Where batches go; what it holds is skipped.
        protocol: Gives the unit.
        k: Candidates of each.
        progress: Shows the bar.

    Raises:
        BenchError: The retriever broke its contract.
    """
    pending = iter(parts)
    done = sum(1 for _ in islice(pending, log.batches * BATCH))
    with progress.task("Retrieving", total=total, unit="mentions", done=done) as task:
        while batch := list(islice(pending, BATCH)):
            before = retriever.notes()
            found = retriever.search(batch, k, protocol.unit)
            if len(found) != len(batch) or any(len(candidates) > k for candidates in found):
                raise BenchError(
                    f"the retriever returned {len(found)} lists for {len(batch)} mentions, or more than k={k}",
                    why="its search breaks the contract of bioelx_bench.base.BaseRetriever",
                    hint="run the plugin's conformance tests (bioelx_bench.testing)",
                )
            lines = [candidate_line(m.id, c) for m, c in zip(batch, found, strict=True)]
            log.append_batch(lines, count_delta(before, retriever.notes()))
            task.advance(len(batch))
