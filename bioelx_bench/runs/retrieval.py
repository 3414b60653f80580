"""The retrieval stage: search in batches, log each batch whole, continue after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import BaseRanker, BaseRetriever
from bioelx_bench.errors import BenchError
from bioelx_bench.files import JsonLines
from bioelx_bench.progress import Progress
from bioelx_bench.records import Mention
from bioelx_bench.runs.logs import candidates_record
from bioelx_bench.scoring.protocols import ScoringProtocol

BATCH: Final = 1000
"""Mentions searched and logged at once; a kill loses at most one batch."""


class CandidateLog:
    """`candidates.jsonl`: one line a (part of a) mention, and a line `{"batch": n, ...}` after each batch.

    A batch without its closing line is dropped when the log is opened, so that a resumed run searches the
    same batches as one in one go, and the counts in the closing lines are exact.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches, size = finished_batches(path)
        if path.exists() and path.stat().st_size != size:
            with path.open("rb+") as file:
                file.truncate(size)
        self._log = JsonLines(path)

    def append_batch(self, records: list[dict[str, Any]], notes: Mapping[str, Any]) -> None:
        """Log a batch and its closing line."""
        self._log.append([*records, {"batch": self.batches, "mentions": len(records), "notes": dict(notes)}])
        self._log.sync()
        self.batches += 1

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines of mentions, in the order of the dataset."""
        return (record for record in self._log if "batch" not in record)

    def notes(self) -> dict[str, Any]:
        """The retriever's notes over all batches: counts added up, other values as last seen."""
        total: dict[str, Any] = {}
        for record in self._log:
            if "batch" in record:
                for key, value in record["notes"].items():
                    total[key] = total.get(key, 0) + value if is_count(value) else value
        return total

    def close(self) -> None:
        """Sync and close."""
        self._log.close()


def finished_batches(path: Path) -> tuple[int, int]:
    """Number of closed batches in a log, and the bytes up to the end of the last of them."""
    batches = size = offset = 0
    if not path.exists():
        return 0, 0
    with path.open("rb") as file:
        for line in file:
            offset += len(line)
            if line.startswith(b'{"batch":') and line.endswith(b"\n"):
                batches = json.loads(line)["batch"] + 1
                size = offset
    return batches, size


def is_count(value: object) -> bool:
    """Whether a note is a count, which adds up over batches."""
    return isinstance(value, int) and not isinstance(value, bool)


def notes_of(component: object) -> dict[str, Any]:
    """A component's notes as one mapping, integers being counts since it was made."""
    if not isinstance(component, BaseRetriever | BaseRanker):
        return {}
    notes = component.notes()
    return {**notes.facts, **notes.counts}


def since(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What was counted between two looks at the notes, and the other notes as they are now."""
    return {k: v - before.get(k, 0) if is_count(v) else v for k, v in after.items()}


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
            before = notes_of(retriever)
            found = retriever.search(batch, k, protocol.unit)
            if len(found) != len(batch) or any(len(candidates) > k for candidates in found):
                raise BenchError(
                    f"the retriever returned {len(found)} lists for {len(batch)} mentions, or more than k={k}",
                    why="its search breaks the contract of bioelx_bench.base.BaseRetriever",
                    hint="run the plugin's conformance tests (bioelx_bench.testing)",
                )
            records = [candidates_record(m.id, c) for m, c in zip(batch, found, strict=True)]
            log.append_batch(records, since(before, notes_of(retriever)))
            task.advance(len(batch))
