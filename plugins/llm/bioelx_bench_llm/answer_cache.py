"""Answers of LLMs on disk: one SQLite file shared by runs and processes.

A row is a key and an answer. The key is the sha256 of everything the answer depends on: model, endpoint,
parameters and messages. The file holds no message, no address and no API key. Errors are never stored.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from bioelx_bench.errors import BenchError, DataError

BUSY_SECONDS: Final = 60
FORMAT: Final = 2
MAX_KEYS_A_QUERY: Final = 500
"""Keys in one query; SQLite's bound on parameters is 999 in old builds."""
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class Position:
    """One token of an answer.

    Attributes:
        token: The token that was chosen, as the endpoint writes it.
        logprob: Its log-probability (natural).
        alternatives: The likeliest tokens there with their log-probabilities; empty where the endpoint gave none.
    """

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered, as far as strategies use it.

    Attributes:
        text: The answer's text; empty where there was none.
        positions: Its first tokens; None where the endpoint gave no log-probabilities.
        scores: A rerank endpoint's (index, score) pairs.
        prompt_tokens: Tokens of the prompt as the endpoint counted them.
        completion_tokens: Tokens of the answer.
        cost_usd: Its price, or None where no price is known.
        finish_reason: Why the answer ended.
        form: What the answer could be constrained to, see `endpoint.FORMS`.
    """

    text: str = ""
    positions: tuple[Position, ...] | None = None
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
            if value.get("scores") is not None:
                value["scores"] = tuple((int(a), float(b)) for a, b in value["scores"])
            if value.get("positions") is not None:
                value["positions"] = tuple(position_of(p) for p in value["positions"])
            return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})
        except (TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error


def position_of(value: Mapping[str, Any]) -> Position:
    """Read one token's stored form."""
    alternatives = tuple((str(t), float(v)) for t, v in value["alternatives"])
    return Position(str(value["token"]), float(value["logprob"]), alternatives)


class AnswerFile:
    """One SQLite file of answers, safe for several processes at once.

    Args:
        path: The file; made when it is not there.

    Raises:
        DataError: It is no file of answers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = open_file(path)
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
        for start in range(0, len(keys), MAX_KEYS_A_QUERY):
            part = keys[start : start + MAX_KEYS_A_QUERY]
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
                pass  # another process is at it; the log is folded in later
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


def open_file(path: Path) -> sqlite3.Connection:
    """Connect, check the format and set what concurrent use needs."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rwc",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if version not in {0, FORMAT} or tables - {"answers"}:
            raise sqlite3.DatabaseError("it is not a file of answers of this version")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA user_version={FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


class AnswerSource(Protocol):
    """Where answers come from: the shared file, or recorded ones that are replayed."""

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Keep answers."""

    def close(self) -> None:
        """Close files."""


def shared_answers(folder: Path) -> AnswerFile:
    """The file that runs and processes share, in the cache's folder of answers."""
    return AnswerFile(folder / f"answers-{FORMAT}.sqlite")
