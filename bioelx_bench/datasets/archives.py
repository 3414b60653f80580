"""Reading compressed files that may be hostile: nothing is extracted, and nothing may grow without bound."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError

MEMBER_LIMIT: Final = 64 << 20
"""Bytes that one member of an archive may have, unpacked."""

TOTAL_LIMIT: Final = 512 << 20
"""Bytes that all read members of an archive may have together, unpacked."""

MEMBERS_LIMIT: Final = 200_000
GZIP_LIMIT: Final = 2 << 30
BLOCK: Final = 1 << 20


class ZipReader:
    """Reads members of a zip file into memory, checked and within limits.

    Raises:
        DataError: It is no zip file, has a member whose path leaves the archive, or too many members.
    """

    def __init__(
        self, path: Path, *, member_limit: int = MEMBER_LIMIT, total_limit: int = TOTAL_LIMIT
    ) -> None:
        self.path = path
        self._member_limit = member_limit
        self._left = total_limit
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise self.damaged(str(error)) from error
        self.names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        if len(self.names) > MEMBERS_LIMIT:
            raise self.damaged(f"it has {len(self.names)} members")
        for name in self.names:
            first, *rest = name.replace("\\", "/").split("/")
            if not first or ":" in first or ".." in (first, *rest):
                raise self.damaged(f"the member {name!r} points outside the archive")

    def read(self, name: str) -> bytes:
        """One member's bytes.

        Raises:
            DataError: It is damaged, or larger than the limits.
        """
        data = bytearray()
        try:
            with self._zip.open(name) as member:
                while block := member.read(BLOCK):
                    data += block
                    self._left -= len(block)
                    if len(data) > self._member_limit or self._left < 0:
                        raise self.damaged(f"the member {name!r} unpacks to more than the limit")
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise self.damaged(f"the member {name!r}: {error}") from error
        return bytes(data)

    def damaged(self, why: str) -> DataError:
        """The error for this archive."""
        return DataError(
            "the archive cannot be used",
            where=self.path,
            why=why,
            hint="download it again from its source",
        )

    def close(self) -> None:
        """Close the file."""
        self._zip.close()


def read_maybe_gzip(path: Path, limit: int = GZIP_LIMIT) -> bytes:
    """The bytes of a file, unpacked if it is gzip.

    Raises:
        DataError: The gzip data is damaged or cut off, or unpacks to more than `limit` bytes.
    """
    return b"".join(blocks_maybe_gzip(path, limit))


def blocks_maybe_gzip(path: Path, limit: int = GZIP_LIMIT) -> Iterator[bytes]:
    """The bytes of a file in blocks, unpacked if it is gzip; see `read_maybe_gzip`."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    size = 0
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while block := file.read(BLOCK):
                size += len(block)
                if size > limit:
                    raise DataError(
                        f"the file unpacks to more than {limit >> 20} MiB",
                        where=path,
                        why="so large a file is not the upstream one",
                        hint="download it again from its source",
                    )
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the gzip file is damaged or cut off: {error}",
            where=path,
            why="a download that stopped leaves such a file",
            hint="remove it and download it again",
        ) from error
