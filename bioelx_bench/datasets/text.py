"""Small helpers for lines of upstream files."""

from __future__ import annotations

from collections.abc import Iterable

from bioelx_bench.errors import DataError


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """The values without repetition, in the order of their first occurrence."""
    return tuple(dict.fromkeys(values))


def split_fields(line: str, names: tuple[str, ...], place: str) -> list[str]:
    """Split a line of fields joined by `||`; only the last field may itself hold `||`.

    Raises:
        DataError: There are too few fields, or the gold or mention, which come first, is empty.
    """
    fields = line.split("||", len(names) - 1)
    if len(fields) != len(names) or not all(fields[:2]):
        raise DataError(f"a line must be {'||'.join(names)}", where=place, why=f"it is {line[:80]!r}")
    return fields
