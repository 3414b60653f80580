"""Decoding text strictly, whatever its Unicode encoding, and numbering its lines."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError, at
from bioelx_bench.io.archives import LARGE, Limits, open_bytes

HTML: Final = re.compile(r"\s*(<!doctype\s+html|<html|<head)", re.IGNORECASE)
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; that of UTF-16 begins that of UTF-32, which therefore comes first."""

HEAD: Final = 4096


def encoding_of(head: bytes) -> str:
    """The encoding of a text that begins with these bytes: by its byte order mark, by zero bytes, else UTF-8."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    # Text has no NUL; in UTF-16 every second byte of what is ASCII is one.
    even, odd = head[0::2], head[1::2]
    if len(head) >= 4 and odd.count(0) * 4 > len(head) and not even.count(0):
        return "utf-16-le"
    if len(head) >= 4 and even.count(0) * 4 > len(head) and not odd.count(0):
        return "utf-16-be"
    return "utf-8"


def decode(data: bytes, where: str) -> str:
    """Decode a whole file's bytes: UTF-8, or UTF-16 or UTF-32 as its first bytes say.

    Args:
        data: The file.
        where: Its path, for errors.

    Raises:
        DataError: It is a web page, or not in this encoding; the error names the line.
    """
    encoding = encoding_of(data[:HEAD])
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        newline = "\n".encode(encoding.removesuffix("-sig").replace("utf-16", "utf-16-le")[:9])
        raise not_text(where, data.count(newline, 0, error.start) + 1, encoding, error) from error
    refuse_html(text[:256], where)
    return text


def not_text(where: str, line: int | None, encoding: str, error: UnicodeDecodeError) -> DataError:
    """The error for bytes that are no text."""
    return DataError(
        f"the file is not {encoding.removesuffix('-sig').upper()}: {error.reason}",
        where=at(where, line),
        why="a wrong character in a name or context would change what is searched",
        hint="convert it, for example with: iconv -f LATIN1 -t UTF-8",
    )


def refuse_html(head: str, where: str) -> None:
    """Refuse a web page in place of a file.

    Raises:
        DataError: The text begins as one.
    """
    if HTML.match(head):
        raise DataError(
            "the file is an HTML page, not the data",
            where=where,
            why="a server sends such a page for a login, a licence to accept or an error",
            hint="open the source in a browser, download the file itself, and put it in its place",
        )


@contextmanager
def open_text(path: Path, limits: Limits = LARGE) -> Iterator[io.TextIOWrapper]:
    """A file as a stream of text with its line ends as they are; decompressed and decoded as it says itself.

    Raises:
        MissingError: There is no such file.
        DataError: It is damaged, a web page, or not text; the error names the line.
    """
    with open_bytes(path, limits) as stream:
        head = stream.peek(HEAD)[:HEAD]
        encoding = encoding_of(head)
        refuse_html(head.decode(encoding, errors="replace")[:256], str(path))
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        try:
            yield text
        except UnicodeDecodeError as error:
            raise not_text(str(path), line_of_bad_byte(path, encoding, limits), encoding, error) from error
        finally:
            text.detach()


def line_of_bad_byte(path: Path, encoding: str, limits: Limits) -> int | None:
    """The first line that cannot be decoded; None where lines cannot be told in the encoding."""
    if not encoding.startswith("utf-8"):
        return None
    with open_bytes(path, limits) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines with their numbers from 1, without line ends; only `\n` and `\r\n` end a line.

    `str.splitlines` would also split at characters such as U+2028 or U+0085, which occur within sentences.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        yield number, line.removesuffix("\r")
