"""Reading upstream text strictly: UTF-8, lines by number, and pages served in place of a file recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bioelx_bench.errors import DataError, at

CUI: Final = re.compile(r"C\d{7}")
"""A UMLS concept unique identifier."""

HTML: Final = re.compile(rb"\s*(<!doctype\s+html|<html|<head)", re.IGNORECASE)


def decode(data: bytes, where: str) -> str:
    """Decode a file's bytes as UTF-8 (a byte order mark is taken off).

    Args:
        data: The whole file.
        where: Its path, for errors.

    Raises:
        DataError: It is an HTML page, or not UTF-8; the error names the line.
    """
    refuse_html(data[:256], where)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the file is not UTF-8: {error.reason} (byte {error.start})",
            where=at(where, line),
            why="a wrong character in a mention or context would change what is searched",
            hint="convert the file to UTF-8, or fetch the original again",
        ) from error


def refuse_html(head: bytes, where: str) -> None:
    """Raise if a file's first bytes are those of a web page.

    Raises:
        DataError: They are.
    """
    if HTML.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise DataError(
            "the file is an HTML page, not the data",
            where=where,
            why="a server sends such a page for a login, a licence to accept or an error",
            hint="open the source in a browser, download the file itself, and put it in its place",
        )


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines with their numbers from 1, without line ends; only `\n` and `\r\n` end a line.

    `str.splitlines` would also split at characters such as U+2028 or U+0085, which occur within sentences.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        yield number, line.removesuffix("\r")


def unique(values: Iterator[str] | list[str]) -> tuple[str, ...]:
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
