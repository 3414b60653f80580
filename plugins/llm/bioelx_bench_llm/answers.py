"""Answers of LLMs on disk: one SQLite file shared by runs and processes, and files to ship.

A row is a key and an answer. The key is the sha256 of everything the answer depends on: model, endpoint,
parameters and messages. The file holds no message, no address and no API key. Errors are never stored.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import orjson

from bioelx_bench.errors import BenchError, DataError, MissingError

BUSY_SECONDS: Final = 60
FORMAT: Final = 1
AT_ONCE: Final = 500
"""Keys in one query; SQLite's bound on parameters is 999 in old builds."""
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered, as far as strategies use it.

    Attributes:
        text: The answer's text; empty where there was none.
        alternatives: Log-probabilities (natural) at the answer's first token by token text; None where the
            endpoint gave none.
        scores: A rerank endpoint's (index, score) pairs.
        prompt_tokens: Tokens of the prompt as the endpoint counted them.
        completion_tokens: Tokens of the answer.
        cost_usd: Its price, or None where no price is known.
        finish_reason: Why the answer ended.
        form: What the answer could be constrained to, see `endpoint.FORMS`.
    """

    text: str = ""
    alternatives: tuple[tuple[str, float], ...] | None = None
    scores: tuple[tuple[int, float], ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    finish_reason: str = ""
    form: str = ""

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Read the stored form.

        Raises:
            ValueError: It is not one; the file was changed or damaged.
        """
        try:
            value = orjson.loads(text)
            for name, kinds in (("alternatives", (str, float)), ("scores", (int, float))):
                if value.get(name) is not None:
                    value[name] = tuple((kinds[0](a), kinds[1](b)) for a, b in value[name])
            return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error


class AnswerFile:
    """One SQLite file of answers, safe for several processes at once.

    Args:
        path: The file; made when it is not there, unless `read_only`.
        read_only: Open for replay: nothing is written, not even beside the file.

    Raises:
        MissingError: It is to be read and is not there.
        DataError: It is no file of answers.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = threading.Lock()
        if read_only and not path.is_file():
            raise MissingError(
                f"there is no file of answers {path}",
                where="-K cache_file",
                hint="run once without replay_only",
            )
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = open_file(path, read_only)
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"the file of answers cannot be opened: {error}", where=path, hint="move it away, then repeat"
            ) from error

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key.

        Raises:
            DataError: A stored answer is damaged.
        """
        found: dict[str, Answer] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            marks = ",".join("?" * len(part))
            with self._lock, self._explained():
                rows = self._connection.execute(
                    f"SELECT key, answer FROM answers WHERE key IN ({marks})",  # noqa: S608 - only question marks
                    part,
                ).fetchall()
            for key, text in rows:
                try:
                    found[key] = Answer.from_json(text)
                except (ValueError, KeyError) as error:
                    raise DataError(
                        "a stored answer is damaged", where=f"{self.path} (key {key})", why=str(error)
                    ) from error
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Store answers; one that is there already stays as it is, so that every run sees the same."""
        rows = [(key, answer.to_json()) for key, answer in answers.items()]
        with self._lock, self._explained():
            self._connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that the file alone can be shipped, and close it."""
        with self._lock:
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass  # another process is at it, or the file is read-only; the log is folded in later
            finally:
                self._connection.close()

    def _explained(self) -> Explained:
        return Explained(self.path)


class Explained:
    """Turns SQLite's errors into ones that say how to fix them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, sqlite3.Error):
            raise BenchError(
                f"the file of answers cannot be used: {error}",
                where=self._path,
                hint="free space, or move the file away if it is damaged; the same command then continues",
            ) from error


def open_file(path: Path, read_only: bool) -> sqlite3.Connection:
    """Connect, check the format and set what concurrent use needs."""
    uri = path.absolute().as_uri()
    mode = "?mode=ro" + ("&immutable=1" if not has_log(path) else "") if read_only else "?mode=rwc"
    connection = sqlite3.connect(
        uri + mode, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if version not in ({FORMAT} if read_only else {0, FORMAT}) or tables - {"answers"}:
            raise sqlite3.DatabaseError("it is not a file of answers of this version")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA user_version={FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


def has_log(path: Path) -> bool:
    """Whether a write-ahead log with content lies beside the file."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and log.stat().st_size > 0


class Answers:
    """The shared file, and over it the file a user records into or replays from.

    Args:
        shared: The shared file, or None.
        own: A user's file, or None. What is found in the shared file is copied into it, so that it ends up
            holding every answer of the run.
    """

    def __init__(self, shared: AnswerFile | None, own: AnswerFile | None, *, read_only: bool) -> None:
        self._files = [f for f in (own, shared) if f is not None]
        self._read_only = read_only

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        found = self._files[0].get(keys)
        if len(found) < len(set(keys)) and len(self._files) > 1:
            more = self._files[1].get([key for key in keys if key not in found])
            if more and not self._read_only:
                self._files[0].put(more)
            found |= more
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Store answers in every file, or in none while replaying."""
        for file in self._writable():
            file.put(answers)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def _writable(self) -> Iterable[AnswerFile]:
        return () if self._read_only else self._files


def open_answers(folder: Path, own: Path | None, *, read_only: bool) -> Answers:
    """Open the shared file in `folder` and a user's own one.

    When replaying from a user's file, that file alone counts, so that a published run is recomputed from
    what was published.
    """
    own_file = AnswerFile(own.expanduser(), read_only=read_only) if own is not None else None
    if read_only and own_file is not None:
        return Answers(None, own_file, read_only=True)
    return Answers(AnswerFile(folder / "answers.sqlite", read_only=read_only), own_file, read_only=read_only)
