"""Compressed files and zip archives that may be hostile: nothing is extracted, nothing grows without bound."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final, cast

from bioelx_bench.errors import DataError, MissingError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK: Final = 1 << 20
HINT: Final = "get the file again from its source and check its size"

DAMAGED: Final = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
)
"""What the standard library raises for data that is damaged, cut off, encrypted or packed in an unknown way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a compressed file may unpack to.

    Attributes:
        size: Bytes of one file or member, unpacked.
        total: Bytes of all members that are read, together.
        members: Members of an archive.
        ratio: Times that a member may be larger than its packed form; text compresses ten- to twentyfold.
        ratio_from: Members with fewer bytes than this, unpacked, may compress as well as they like.
    """

    size: int = 64 << 30
    total: int = 256 << 30
    members: int = 200_000
    ratio: int = 250
    ratio_from: int = 64 << 20


LARGE: Final = Limits()
"""For files that are read as a stream, such as a release of UMLS."""

SMALL: Final = Limits(size=64 << 20, total=512 << 20)
"""For archives whose members are read into memory."""


@contextmanager
def open_bytes(path: Path, limits: Limits = LARGE) -> Iterator[io.BufferedReader]:
    """A file's bytes as a stream, decompressed if its first bytes are those of gzip, bzip2 or xz.

    Raises:
        MissingError: There is no such file, or it cannot be read.
        DataError: The compressed data is damaged, cut off, or unpacks to more than the limits.
    """
    try:
        stored = path.open("rb")
    except OSError as error:
        why = "there is no file" if isinstance(error, FileNotFoundError) else "the file cannot be read:"
        detail = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
        raise MissingError(f"{why} {path}{detail}", where=path) from error
    with stored, decompressed(stored, str(path), limits) as stream:
        yield stream


@contextmanager
def decompressed(stored: IO[bytes], label: str, limits: Limits = LARGE) -> Iterator[io.BufferedReader]:
    """The decompressed bytes of a stream, whatever packs them; see `open_bytes`.

    Args:
        stored: The packed bytes, at their start.
        label: How errors name the file.
        limits: What it may unpack to.
    """
    buffered = (
        stored if isinstance(stored, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stored))
    )
    opener = opener_of(buffered.peek(6)[:6])
    try:
        with ExitStack() as stack:
            if opener is None:
                unpacked: IO[bytes] = buffered
            else:
                unpacked = stack.enter_context(opener(buffered))
            yield stack.enter_context(io.BufferedReader(Bounded(unpacked, label, limits.size), BLOCK))
    except (*DAMAGED, OSError) as error:
        if not isinstance(error, DAMAGED) and (opener is None or error.errno is not None):
            raise
        raise DataError(
            "the compressed file is damaged, cut off or encrypted", where=label, why=str(error), hint=HINT
        ) from error


def opener_of(head: bytes) -> Callable[[Any], Any] | None:
    """What decompresses a file with these first bytes; None where nothing needs to."""
    if head[:2] == b"\x1f\x8b":
        return lambda stream: gzip.GzipFile(fileobj=stream)
    if head[:3] == b"BZh":
        return bz2.BZ2File
    if head[:6] == b"\xfd7zXZ\x00":
        return lzma.LZMAFile
    return None


class Bounded(io.RawIOBase):
    """A stream that refuses to give more than a number of bytes."""

    def __init__(self, stream: IO[bytes], label: str, limit: int) -> None:
        self._stream = stream
        self._label = label
        self._left = limit
        self._limit = limit

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into `buffer`."""
        view = memoryview(buffer).cast("B")
        data = self._stream.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(
                f"the file unpacks to more than {self._limit >> 20:,} MiB",
                where=self._label,
                why="no file of this kind is so large",
                hint=HINT,
            )
        view[: len(data)] = data
        return len(data)


class ZipReader:
    """Reads members of a zip file, checked and within limits; close it, or use it as a context manager.

    Args:
        path: The zip file.
        limits: What its members may unpack to.

    Raises:
        DataError: It is no zip file, has too many members, or one that points outside the archive, is a link or
            is a bomb.
    """

    def __init__(self, path: Path, limits: Limits = SMALL) -> None:
        self.path = path
        self.limits = limits
        self._left = limits.total
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            with path.open("rb") as file:
                start = file.read(256).lstrip().lower()
            html = start.startswith((b"<!doctype", b"<html"))
            why = "it is a web page: the download was answered with a login page" if html else str(error)
            raise self.damaged(why) from error
        members = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(members) > limits.members:
            raise self.damaged(f"it has {len(members):,} members")
        for member in members:
            self._check(member)
        self.names = [member.filename for member in members]

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, member: zipfile.ZipInfo) -> None:
        """Refuse a member with an unsafe name or an absurd size."""
        name = member.filename.replace("\\", "/")
        if (
            not name
            or name.startswith("/")
            or ".." in PurePosixPath(name).parts
            or re.match("[A-Za-z]:", name)
        ):
            raise self.damaged(f"the member {member.filename!r} points outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise self.damaged(f"the member {member.filename!r} is a link")
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > self.limits.ratio_from and ratio > self.limits.ratio:
            raise self.damaged(
                f"the member {member.filename!r} has {member.file_size:,} bytes in {member.compress_size:,}: a bomb"
            )

    def read(self, name: str) -> bytes:
        """One member's bytes.

        Raises:
            DataError: It is damaged, or larger than the limits.
        """
        with self.open(name) as stream:
            return stream.read()

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedReader]:
        """One member's bytes as a stream, as they are stored in it; see `decompressed` for what packs them again.

        Raises:
            DataError: It is damaged, or larger than the limits.
        """
        label = f"{self.path}!{name}"
        bound = min(self.limits.size, self._left)
        try:
            with self._zip.open(name) as member:
                yield cast("io.BufferedReader", io.BufferedReader(Bounded(member, label, bound), BLOCK))
                self._left -= member.tell()
        except (*DAMAGED, OSError) as error:
            if not isinstance(error, DAMAGED) and error.errno is not None:
                raise
            raise self.damaged(f"the member {name!r}: {error}") from error

    def damaged(self, why: str) -> DataError:
        """The error for this archive."""
        return DataError("the archive cannot be used", where=self.path, why=why, hint=HINT)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
