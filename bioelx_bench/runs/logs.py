"""The append-only logs of a run: candidates by batch, rankings one by one.

Both are JSON lines. A line of `candidates.jsonl` holds a mention's candidates in three columns, best first; after
each batch stands a line that closes it. A line of `rankings.jsonl` holds the same candidates in the ranker's order,
with the retriever's raw scores and the ranker's evidence apart, so that mixing them is a later step. Whatever has its
default is left out of a line. Closing lines and rankings end with a `check`, a hash of what they stand for: before a
stopped run continues, what was changed meanwhile is dropped and done again (a finished run is sealed as a whole).
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import orjson

from bioelx_bench.base import Notes
from bioelx_bench.errors import DataError, at
from bioelx_bench.files import explain_os_errors
from bioelx_bench.records import Candidate, Ranking

CANDIDATES: Final = "candidates.jsonl"
RANKINGS: Final = "rankings.jsonl"

BATCH_MARK: Final = b'{"batch":'
NEWLINE: Final = 0x0A


class CandidateLine(NamedTuple):
    """The candidates of a (part of a) mention, in columns, best first."""

    mention_id: str
    concepts: list[str]
    scores: list[float]
    names: list[str]


class RankingLine(NamedTuple):
    """A ranking as it was logged; columns stand in the ranker's order."""

    mention_id: str
    concepts: list[str]
    scores: list[float]
    evidence: list[float | None] | None
    status: str
    fallbacks: dict[str, int]
    nil: bool
    usage: tuple[int, int, int, float]


def candidate_line(mention_id: str, candidates: Sequence[Candidate]) -> CandidateLine:
    """The candidates of a mention as they are logged."""
    return CandidateLine(
        mention_id,
        [c.concept_id for c in candidates],
        [float(c.score) for c in candidates],
        [c.name for c in candidates],
    )


def candidates_of(line: CandidateLine) -> list[Candidate]:
    """The candidates of a line."""
    return [Candidate(*columns) for columns in zip(line.concepts, line.scores, line.names, strict=True)]


class LogWriter:
    """Appends whole lines to a file, from any thread; a torn last line is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab+")
            self.truncate(last_newline(path))

    def truncate(self, size: int) -> None:
        """Cut the file off after `size` bytes."""
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        """Append whole lines and hand them to the operating system.

        Raises:
            BenchError: The disk is full; what was there before stays whole.
        """
        with self._lock, explain_os_errors(self.path):
            self._file.write(data)
            self._file.flush()

    def sync(self) -> None:
        """Force what was appended to the disk."""
        with explain_os_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close; does nothing the second time."""
        if not self._file.closed:
            self.sync()
            self._file.close()


class CandidateLog:
    """`candidates.jsonl`: one line a (part of a) mention, and a closing line after each batch.

    A batch without its closing line, or changed since, is dropped with all after it when the log is opened to write,
    so that a resumed run searches the same batches as one in one go, and the counts in the closing lines are exact.

    Args:
        path: The file.
        writable: Whether batches will be appended; a finished run's log is only read.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self.batches = 0
        self._writer: LogWriter | None = None
        if writable:
            self.batches, size = closed_batches(path)
            self._writer = LogWriter(path)
            self._writer.truncate(size)

    def append_batch(self, lines: Sequence[CandidateLine], notes: Notes) -> None:
        """Log a batch and its closing line.

        Args:
            lines: The mentions of the batch, in order.
            notes: What the retriever counted while it searched the batch, and its facts.
        """
        assert self._writer is not None  # noqa: S101 - the log was opened for reading only
        closing = {
            "batch": self.batches,
            "mentions": len(lines),
            "counts": dict(notes.counts),
            "facts": dict(notes.facts),
        }
        data = b"".join(json_line(line._asdict()) for line in lines)
        self._writer.append(data + checked_line(closing, data))
        self._writer.sync()
        self.batches += 1

    def lines(self) -> Iterator[CandidateLine]:
        """The lines of mentions, in the order of the dataset.

        Raises:
            DataError: A line is not what was logged.
        """
        for number, raw in numbered_lines(self.path):
            if not raw.startswith(BATCH_MARK):
                try:
                    yield CandidateLine(**orjson.loads(raw))
                except (ValueError, TypeError) as error:
                    raise damaged(self.path, number, error) from error

    def notes(self) -> Notes:
        """The retriever's notes over all batches: counts added up, facts as last seen."""
        counts: Counter[str] = Counter()
        facts: dict[str, Any] = {}
        for number, raw in numbered_lines(self.path):
            if raw.startswith(BATCH_MARK):
                try:
                    closing = orjson.loads(raw)
                    counts.update(closing["counts"])
                    facts |= closing["facts"]
                except (ValueError, TypeError, KeyError) as error:
                    raise damaged(self.path, number, error) from error
        return Notes(counts=dict(counts), facts=facts)

    def close(self) -> None:
        """Sync and close."""
        if self._writer is not None:
            self._writer.close()


class RankingLog:
    """`rankings.jsonl`: one line a mention, in the order in which answers came.

    Args:
        path: The file.
        writable: Whether rankings will be appended.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._writer = LogWriter(path) if writable else None

    def append(self, ranking: Ranking) -> None:
        """Log a ranking at once, so that an answer that was paid for is not lost."""
        assert self._writer is not None  # noqa: S101 - the log was opened for reading only
        self._writer.append(checked_line(ranking_record(ranking)))

    def lines(self) -> Iterator[RankingLine]:
        """Every line, in the order in which they were logged.

        Raises:
            DataError: A line is not what was logged.
        """
        for number, raw in numbered_lines(self.path):
            try:
                yield parse_ranking(raw)
            except (ValueError, TypeError, KeyError) as error:
                raise damaged(self.path, number, error) from error

    def mention_ids(self) -> set[str]:
        """The mentions that have a ranking."""
        return {line.mention_id for line in self.lines()}

    def close(self) -> None:
        """Sync and close."""
        if self._writer is not None:
            self._writer.close()


def ranking_record(ranking: Ranking) -> dict[str, Any]:
    """The JSON object of a ranking's line."""
    usage = ranking.usage
    record: dict[str, Any] = {
        "mention_id": ranking.mention_id,
        "concepts": [c.concept_id for c in ranking.candidates],
        "scores": [float(c.score) for c in ranking.candidates],
    }
    if ranking.evidence is not None:
        record["evidence"] = [None if value is None else float(value) for value in ranking.evidence]
    if ranking.status != "ok":
        record["status"] = ranking.status
    if ranking.fallbacks:
        record["fallbacks"] = dict(ranking.fallbacks)
    if ranking.nil:
        record["nil"] = True
    if ranking.error:
        record["error"] = ranking.error
    if usage.calls or usage.prompt_tokens or usage.completion_tokens or usage.cost_usd:
        record["usage"] = [usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost_usd]
    return record


def parse_ranking(raw: bytes) -> RankingLine:
    """The ranking of a line.

    Raises:
        ValueError, TypeError or KeyError: It is not what `ranking_record` makes.
    """
    record = orjson.loads(raw)
    concepts, scores, evidence = record["concepts"], record["scores"], record.get("evidence")
    if len(concepts) != len(scores) or (evidence is not None and len(evidence) != len(concepts)):
        raise ValueError("its columns differ in length")
    calls, prompt, completion, cost = record.get("usage", (0, 0, 0, 0.0))
    return RankingLine(
        record["mention_id"],
        concepts,
        scores,
        evidence,
        record.get("status", "ok"),
        record.get("fallbacks", {}),
        record.get("nil", False),
        (calls, prompt, completion, cost),
    )


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a log with their numbers from 1; a torn last line is no line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw[-1] == NEWLINE:
                yield number, raw


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record as a line."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def checked_line(record: Mapping[str, Any], covered: bytes = b"") -> bytes:
    """A record as a line that ends with a hash of itself and of the lines that it closes."""
    check = hashlib.blake2b(covered + json_line(record), digest_size=8).hexdigest()
    return json_line({**record, "check": check})


def is_unchanged(raw: bytes, covered: bytes = b"") -> bool:
    """Whether a line is what `checked_line` gave."""
    try:
        record = orjson.loads(raw)
        del record["check"]
    except (ValueError, TypeError, KeyError):
        return False
    return checked_line(record, covered) == raw


def closed_batches(path: Path) -> tuple[int, int]:
    """Number of whole, unchanged batches at the head of a log, and the bytes up to the end of the last of them."""
    batches = size = 0
    if not path.exists():
        return batches, size
    pending: list[bytes] = []
    for number, raw in numbered_lines(path):
        if not raw.startswith(BATCH_MARK):
            pending.append(raw)
            continue
        covered = b"".join(pending)
        if not is_unchanged(raw, covered) or orjson.loads(raw)["batch"] != batches:
            warn_changed(path, number, "its batch and all after it are searched again")
            break
        batches, size = batches + 1, size + len(covered) + len(raw)
        pending = []
    return batches, size


def warn_changed(path: Path, line: int, what_now: str) -> None:
    """Say that a log was changed after it was written."""
    logging.getLogger(__name__).warning("%s was changed after it was written: %s", at(path, line), what_now)


def last_newline(path: Path) -> int:
    """The bytes up to the end of the last whole line."""
    if path.stat().st_size == 0:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.rfind(b"\n") + 1


def damaged(path: Path, line: int | None, error: Exception) -> DataError:
    """The error of a line that cannot have been logged so."""
    return DataError(
        "a line of the log is damaged",
        where=at(path, line),
        why=str(error),
        hint="repeat the run with --fresh",
    )
