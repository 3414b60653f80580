"""Text files that people and upstream projects give: decompressing, decoding and numbering their lines."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.files import hash_file
from bioelx_bench.kb.store import SourceFile

COMPRESSIONS: Final = (".gz", ".xz")
MAX_LINE: Final = 1 << 20


def describe_file(
    file: Path,
    *,
    release: str | None = None,
    licence: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> SourceFile:
    """A source file with its hash, for the manifest.

    Raises:
        MissingError: It is not there or cannot be read.
    """
    if not file.is_file():
        raise MissingError(f"there is no file {file}", where=file)
    try:
        return SourceFile(path=file.name, sha256=hash_file(file, on_bytes), release=release, licence=licence)
    except OSError as error:
        raise MissingError(f"the file cannot be read: {error.strerror or error}", where=file) from error


@contextmanager
def open_bytes(file: Path) -> Iterator[io.BufferedReader]:
    """The file's decompressed bytes.

    Raises:
        DataError: The compressed data is damaged or cut off.
    """
    suffix = file.suffix.lower()
    try:
        with file.open("rb") as stored:
            if suffix == ".gz":
                yield io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=stored)))
            elif suffix == ".xz":
                with lzma.LZMAFile(stored) as unpacked:
                    yield io.BufferedReader(cast("io.RawIOBase", unpacked))
            else:
                yield stored
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"the compressed file is damaged or cut off: {error}", where=file, hint="get the file again"
        ) from error


def decode(line: bytes, file: str | Path, number: int) -> str:
    """Decode a line of UTF-8.

    Raises:
        DataError: It is not UTF-8; says where.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            "the text is not UTF-8",
            where=at(file, number),
            why=f"byte {error.start + 1} of the line: {error.reason}",
            hint="convert it, for example with: iconv -f LATIN1 -t UTF-8",
        ) from error


def numbered_lines(stream: IO[bytes], label: str | Path, first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Lines that end with LF, CRLF or CR, as pyarrow splits them, with their numbers from `first` on.

    Raises:
        DataError: A line is longer than `MAX_LINE` bytes, so that the file is no text table.
    """
    number = first
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise DataError(
                f"a line is longer than {MAX_LINE:,} bytes",
                where=at(label, number),
                hint="fix the file, or get it again",
            )
        for part in line.splitlines(keepends=True):
            yield number, part
            number += 1
