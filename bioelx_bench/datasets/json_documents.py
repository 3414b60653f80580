"""Reading large JSON files one document at a time, whether one a line or all in one array."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from bioelx_bench.datasets.text import refuse_html
from bioelx_bench.errors import DataError, at

LARGEST: Final = 64 << 20
"""Characters that one document may have."""

SEPARATORS: Final = " \t\r\n,"


def json_documents(blocks: Iterable[bytes], where: str) -> Iterator[tuple[int, Any]]:
    """Read JSON documents one after the other, or the items of one array, holding little in memory.

    Args:
        blocks: The file's bytes.
        where: Its path, for errors.

    Yields:
        The line on which each document starts, and the document.

    Raises:
        DataError: The file is not UTF-8, not JSON, cut off, or a document is larger than `LARGEST`.
    """
    stream = TextStream(blocks, where)
    stream.skip(" \t\r\n")
    array = stream.text.startswith("[")
    if array:
        stream.take(1)
    while True:
        stream.skip(SEPARATORS if array else " \t\r\n")
        if not stream.text:
            if array:
                raise broken("the array is not closed: the file is cut off", where, stream.line)
            return
        if array and stream.text.startswith("]"):
            stream.take(1)
            stream.skip(" \t\r\n")
            if stream.text:
                raise broken("there is more after the array", where, stream.line)
            return
        yield stream.line, stream.document()


class TextStream:
    """Decoded text that is read as it is needed.

    Attributes:
        text: What was read and not yet taken.
        line: The line on which it starts.
    """

    def __init__(self, blocks: Iterable[bytes], where: str) -> None:
        self.text = ""
        self.line = 1
        self._where = where
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._ended = False
        self._started = False

    def read(self) -> bool:
        """Add a block to the text; False at the end of the file."""
        if self._ended:
            return False
        block = next(self._blocks, None)
        if not self._started and block:
            refuse_html(block[:256], self._where)
        self._started = True
        self._ended = block is None
        try:
            self.text += self._decoder.decode(block or b"", final=self._ended)
        except UnicodeDecodeError as error:
            line = self.line + self.text.count("\n") + (block or b"").count(b"\n", 0, error.start)
            raise broken(f"it is not UTF-8: {error.reason}", self._where, line) from error
        return True

    def skip(self, characters: str) -> None:
        """Take the leading characters that are among these."""
        while True:
            rest = self.text.lstrip(characters)
            self.take(len(self.text) - len(rest))
            if self.text or not self.read():
                return

    def take(self, length: int) -> None:
        """Drop the first characters."""
        self.line += self.text.count("\n", 0, length)
        self.text = self.text[length:]

    def document(self) -> Any:
        """Parse the document that the text starts with, reading on until it is whole."""
        needed = 0
        while True:
            if len(self.text) >= needed or self._ended:
                try:
                    found, end = self._json.raw_decode(self.text)
                except (ValueError, RecursionError) as error:
                    if self._ended:
                        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                        line = self.line + (
                            error.lineno - 1 if isinstance(error, json.JSONDecodeError) else 0
                        )
                        raise broken(why, self._where, line) from error
                    needed = 2 * len(self.text)  # doubling keeps the work of parsing anew linear
                else:
                    if end < len(self.text) or self._ended or not isinstance(found, (int, float)):
                        self.take(end)
                        return found
            if len(self.text) > LARGEST:
                raise broken(f"no document ends within {LARGEST >> 20} MiB", self._where, self.line)
            self.read()


def broken(why: str, where: str, line: int) -> DataError:
    """The error for a file that is not JSON."""
    return DataError(
        "the file is not JSON, one document a line or all in one array", where=at(where, line), why=why
    )
