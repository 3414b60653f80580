"""Reading large JSON files one document at a time, whether one a line or all in one array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from bioelx_bench.errors import DataError, at

MAX_DOCUMENT: Final = 64 << 20
"""Characters that one document may have."""

SPACE: Final = re.compile(r"[ \t\r\n]*")
SEPARATORS: Final = re.compile(r"[ \t\r\n,]*")


def json_documents(blocks: Iterable[str], where: str) -> Iterator[tuple[int, Any]]:
    """Read JSON documents one after the other, or the items of one array, holding little in memory.

    Args:
        blocks: The file's text, as `bioelx_bench.io.text` decodes it.
        where: Its path, for errors.

    Yields:
        The line on which each document starts, and the document.

    Raises:
        DataError: The file is not JSON, cut off, or a document is larger than `MAX_DOCUMENT`.
    """
    stream = TextStream(blocks, where)
    array = stream.next_character(SPACE) == "["
    if array:
        stream.take(1)
    while True:
        character = stream.next_character(SEPARATORS if array else SPACE)
        if not character:
            if array:
                raise broken("the array is not closed: the file is cut off", where, stream.line)
            return
        if array and character == "]":
            stream.take(1)
            if stream.next_character(SPACE):
                raise broken("there is more after the array", where, stream.line)
            return
        yield stream.line, stream.document()


class TextStream:
    """Decoded text that is read as it is needed.

    Attributes:
        line: The line at which reading stands.
    """

    def __init__(self, blocks: Iterable[str], where: str) -> None:
        self.line = 1
        self._text = ""
        self._at = 0
        self._where = where
        self._blocks = iter(blocks)
        self._json = json.JSONDecoder()
        self._ended = False

    def read(self) -> bool:
        """Add a block to the text, and drop what was taken; False at the end of the file."""
        if self._ended:
            return False
        block = next(self._blocks, None)
        self._ended = block is None
        self._text = self._text[self._at :] + (block or "")
        self._at = 0
        return True

    def next_character(self, skipped: re.Pattern[str]) -> str:
        """The next character that is not skipped, which is not taken; empty at the end of the file."""
        while True:
            match = skipped.match(self._text, self._at)
            self.take(match.end() - self._at if match else 0)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self.read():
                return ""

    def take(self, length: int) -> None:
        """Go on by some characters."""
        self.line += self._text.count("\n", self._at, self._at + length)
        self._at += length

    def document(self) -> Any:
        """Parse the document at which reading stands, reading on until it is whole."""
        needed = 0
        while True:
            if len(self._text) - self._at >= needed or self._ended:
                try:
                    found, end = self._json.raw_decode(self._text, self._at)
                except (ValueError, RecursionError) as error:
                    if self._ended:
                        raise self.explain(error) from error
                    needed = 2 * (len(self._text) - self._at)  # doubling keeps parsing anew linear
                else:
                    # A number at the end of a block may go on in the next one.
                    if end < len(self._text) or self._ended or not isinstance(found, (int, float)):
                        self.take(end - self._at)
                        return found
            if len(self._text) - self._at > MAX_DOCUMENT:
                raise broken(f"no document ends within {MAX_DOCUMENT >> 20} MiB", self._where, self.line)
            self.read()

    def explain(self, error: ValueError | RecursionError) -> DataError:
        """The error for text that the parser refused."""
        if isinstance(error, json.JSONDecodeError):
            line = self.line + self._text.count("\n", self._at, error.pos)
            return broken(error.msg, self._where, line)
        return broken(str(error), self._where, self.line)


def broken(why: str, where: str, line: int) -> DataError:
    """The error for a file that is not JSON."""
    return DataError(
        "the file is not JSON, one document a line or all in one array", where=at(where, line), why=why
    )
