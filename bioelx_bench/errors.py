"""Errors that a user can cause, each with what, where, why and the command that mends it."""

from __future__ import annotations

from pathlib import Path


class BenchError(Exception):
    """Base of every error that is shown without a traceback; exit code 1: the run failed.

    Args:
        what: What is wrong, one sentence.
        where: File, line, field or option, as precisely as known.
        why: Why it matters or how it comes about.
        hint: The command or change that mends it.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str | Path | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"  {label}: {text}" for label, text in self.details()]
        return "\n".join(parts)

    def details(self) -> list[tuple[str, str]]:
        """The labelled lines below the first one, in the order in which they are shown."""
        pairs = (("where", self.where), ("why", self.why), ("hint", self.hint))
        return [(label, text) for label, text in pairs if text]


class UsageError(BenchError):
    """The command or an option is wrong; exit code 2."""

    exit_code = 2


class MissingError(BenchError):
    """Something the user must provide is not there (a file, a model, a key, a plugin); exit code 3."""

    exit_code = 3


class DataError(BenchError):
    """A file's content is not what its format promises; exit code 1."""


def at(path: str | Path, line: int | None = None, field: str | None = None) -> str:
    """Format a place in a file as `path:line (field)`, for `BenchError.where`."""
    place = str(path) if line is None else f"{path}:{line}"
    return place if field is None else f"{place} (field {field})"
