"""Finding and opening the files of a UMLS release: a folder, a zip, nested `.nlm` zips in either, or one RRF file.

Nothing is ever extracted under a name that an archive gives. Archives with unsafe names, absurd sizes or
compression ratios, or two files of one name are refused.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.io.archives import LARGE, ZipReader, decompressed, open_bytes
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.sources import describe_file
from bioelx_bench.progress import Progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LICENCE: Final = "UMLS Metathesaurus License"
FILES: Final = ("MRCONSO", "MRSTY", "MRDEF", "MRREL", "MRCUI", "MRFILES")
PIECE: Final = re.compile(rf"^({'|'.join(FILES)})\.RRF(\.[a-z]{{2}})?(\.gz)?$")
RELEASE: Final = re.compile(r"(?<![0-9])(?:19|20)\d\d[A-Z]{2}(?![A-Za-z0-9])")
FIX: Final = "get the release again from https://www.nlm.nih.gov/research/umls and check its size"


@dataclass(frozen=True, slots=True)
class Piece:
    """One stored piece of an RRF file.

    Attributes:
        label: How errors name it.
        opener: Opens its stored bytes, which may be compressed.
    """

    label: str
    opener: Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Release:
    """An opened release.

    Attributes:
        pieces: For each file of `FILES` that is there, its pieces in order.
        sources: The files on disk, hashed.
        name: Such as `2020AA`, or None if no path says it.
    """

    pieces: dict[str, list[Piece]]
    sources: list[SourceFile]
    name: str | None

    def has(self, file: str) -> bool:
        """Whether the release has a file, such as `MRDEF`."""
        return file in self.pieces

    def require(self, file: str) -> Sequence[Piece]:
        """The pieces of a file.

        Raises:
            MissingError: The release lacks it.
        """
        if file not in self.pieces:
            raise MissingError(
                f"the release has no {file}.RRF",
                where=", ".join(s.path for s in self.sources) or None,
                hint="give the folder that holds META, or the zip as it was downloaded",
            )
        return self.pieces[file]


@contextmanager
def open_release(
    path: Path,
    scratch: Path,
    needed: Sequence[str],
    expected_sha256: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Release]:
    """Open a release.

    Args:
        path: A folder with RRF files or `.nlm` zips in it or below it, a zip, or MRCONSO.RRF alone.
        scratch: An existing folder for nested zips, which must be copied out to be read.
        needed: Files of `FILES` that will be read; others are left out and not hashed.
        expected_sha256: The zip's known hash.
        progress: Shows the progress of hashing.

    Raises:
        MissingError: There is no such path.
        DataError: It is no zip, is damaged or unsafe, or has another hash.
    """
    bars = progress or Progress(enabled=False)
    if not path.exists():
        raise MissingError(f"there is no release {path}", where=path, hint=FIX)
    if path.is_dir():
        files = sorted(
            p for p in path.rglob("*") if p.is_file() and (wanted(p.name, needed) or is_nested(p.name))
        )
    else:
        files = [path]
    with ExitStack() as stack:
        pieces: list[tuple[str, Piece]] = []
        names = [path.name, str(path.resolve()), *map(str, files)]
        for number, file in enumerate(files):
            if wanted(file.name, needed) or (not path.is_dir() and is_rrf(file)):
                name = file.name if wanted(file.name, needed) else "MRCONSO.RRF"
                pieces.append((name, Piece(str(file), partial(open_file, file))))
                continue
            archive = stack.enter_context(ZipReader(file, LARGE))
            names += archive.names
            pieces += zip_pieces(archive, file.name, needed)
            for inner, member in enumerate(filter(is_nested, archive.names)):
                copy = copy_nested(archive, member, scratch / f"nested-{number}-{inner}.zip")
                nested = stack.enter_context(ZipReader(copy, LARGE))
                pieces += zip_pieces(nested, f"{file.name}!{member}", needed)
        release = release_name(names)
        described = describe_files(files, release, bars)
        if expected_sha256 is not None and [d.sha256 for d in described] != [expected_sha256.lower()]:
            raise DataError(
                "the release's hash is not the one that was given",
                where=path,
                why=f"sha256 is {', '.join(d.sha256 for d in described)}, not {expected_sha256.lower()}",
                hint=FIX,
            )
        yield Release(arrange(pieces, path), described, release)


def open_file(path: Path) -> IO[bytes]:
    """The stored bytes of a file on disk."""
    return path.open("rb")


def is_nested(name: str) -> bool:
    """Whether a file holds a part of a full release."""
    return name.lower().endswith(".nlm")


def is_rrf(file: Path) -> bool:
    """Whether a file that was given alone has lines like MRCONSO's, whatever its name."""
    with open_bytes(file) as stream:
        head = stream.readline(1 << 16)
    return re.match(rb"C[0-9]{7}\|[A-Z]{3}\|", head) is not None


def describe_files(files: Sequence[Path], release: str | None, bars: Progress) -> list[SourceFile]:
    """The files on disk with their hashes."""
    with bars.task("Hashing the release", total=sum(f.stat().st_size for f in files), unit="B") as task:
        return [describe_file(f, release=release, licence=LICENCE, on_bytes=task.advance) for f in files]


def wanted(name: str, needed: Sequence[str]) -> bool:
    """Whether a file name is a (piece of a) needed RRF file."""
    match = PIECE.match(name)
    return match is not None and match[1] in needed


def release_name(paths: Sequence[str]) -> str | None:
    """A release such as `2020AA` that the paths name."""
    for path in paths:
        if match := RELEASE.search(path):
            return match[0]
    return None


def arrange(pieces: list[tuple[str, Piece]], path: Path) -> dict[str, list[Piece]]:
    """Pieces by file, in order.

    Raises:
        DataError: A piece is there twice, or a file both whole and in pieces.
    """
    found: dict[str, dict[str, Piece]] = {}
    for name, piece in pieces:
        match = PIECE.match(name)
        assert match is not None  # noqa: S101 - `wanted` chose them
        group, part = found.setdefault(match[1], {}), match[2] or ""
        if part in group or (group and (part == "" or "" in group)):
            raise DataError(
                f"the release has {match[1]}.RRF more than once",
                where=path,
                why=f"{next(iter(group.values())).label} and {piece.label}",
                hint="give the folder of one release",
            )
        group[part] = piece
    return {file: [group[part] for part in sorted(group)] for file, group in found.items()}


def zip_pieces(archive: ZipReader, label: str, needed: Sequence[str]) -> list[tuple[str, Piece]]:
    """The pieces of RRF files in a zip."""
    found = []
    for member in archive.names:
        name = PurePosixPath(member.replace("\\", "/")).name
        if wanted(name, needed):
            found.append((name, Piece(f"{label}!{member}", partial(archive.open, member))))
    return found


def copy_nested(archive: ZipReader, member: str, target: Path) -> Path:
    """Copy a nested zip out, since reading one needs to seek."""
    with archive.open(member) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return target


@contextmanager
def open_piece(piece: Piece) -> Iterator[io.BufferedReader]:
    """A piece's decompressed bytes.

    Raises:
        DataError: It is damaged, cut off, encrypted or decompresses without end.
    """
    with piece.opener() as stored, decompressed(stored, piece.label) as stream:
        yield stream


def joined(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """The pieces as they can be read one by one: joined to one where a row may go on in the next piece."""
    if len(pieces) < 2:
        return pieces

    @contextmanager
    def opener() -> Iterator[IO[bytes]]:
        yield cast("IO[bytes]", io.BufferedReader(Chain(pieces), 1 << 20))

    return [Piece(f"{pieces[0].label} and {len(pieces) - 1} more", opener)]


class Chain(io.RawIOBase):
    """The decompressed bytes of several pieces, one after the other."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._waiting = list(pieces)
        self._open = ExitStack()
        self._stream: io.BufferedReader | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into `buffer`."""
        view = memoryview(buffer).cast("B")
        while True:
            if self._stream is None:
                if not self._waiting:
                    return 0
                self._stream = self._open.enter_context(open_piece(self._waiting.pop(0)))
            data = self._stream.read(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            self._open.close()
            self._stream = None

    def close(self) -> None:
        """Close the piece that is open."""
        self._open.close()
        super().close()
