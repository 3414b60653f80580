"""Finding and opening the files of a UMLS release: a folder, a zip, or a zip with nested `.nlm` zips.

Nothing is ever extracted under a name that an archive gives. Archives with unsafe names, absurd sizes or
compression ratios, or two files of one name are refused.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.kb.store import SourceFile
from bioelx_bench.kb.text import describe_file
from bioelx_bench.progress import Progress

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LICENCE: Final = "UMLS Metathesaurus License"
FILES: Final = ("MRCONSO", "MRSTY", "MRDEF", "MRREL", "MRCUI", "MRFILES")
PIECE: Final = re.compile(rf"^({'|'.join(FILES)})\.RRF(\.[a-z]{{2}})?(\.gz)?$")
RELEASE: Final = re.compile(r"(?<![0-9])(?:19|20)\d\d[A-Z]{2}(?![A-Za-z0-9])")
MAX_BYTES: Final = 64 << 30
"""No RRF file comes near 64 GiB decompressed."""

MAX_RATIO: Final = 250
"""RRF text compresses ten- to twentyfold; a bomb a thousandfold."""

RATIO_FREE_BYTES: Final = 64 << 20
"""Members smaller than this may compress as well as they like."""

FIX: Final = "get the release again from https://www.nlm.nih.gov/research/umls and check its size"


@dataclass(frozen=True, slots=True)
class Piece:
    """One stored piece of an RRF file.

    Attributes:
        label: How errors name it.
        opener: Opens its stored bytes.
        compressed: Whether these are gzip.
    """

    label: str
    opener: Callable[[], IO[bytes]]
    compressed: bool


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
        path: A folder with the RRF files in it or below it, or a zip.
        scratch: An existing folder for nested zips, which must be copied out to be read.
        needed: Files of `FILES` that will be read; others are left out and not hashed.
        expected_sha256: The zip's known hash.
        progress: Shows the progress of hashing.

    Raises:
        MissingError: There is no such path.
        DataError: It is no zip, is damaged or unsafe, or has another hash.
    """
    bars = progress or Progress(enabled=False)
    if path.is_dir():
        yield open_folder(path, needed, bars)
        return
    if not path.is_file():
        raise MissingError(f"there is no release {path}", where=path, hint=FIX)
    with ExitStack() as stack:
        archive = stack.enter_context(open_zip(path))
        name = release_name([path.name, *(m.filename for m in archive.infolist())])
        [described] = describe_files([path], name, bars)
        if expected_sha256 is not None and described.sha256 != expected_sha256.lower():
            raise DataError(
                "the release's hash is not the one that was given",
                where=path,
                why=f"sha256 is {described.sha256}, not {expected_sha256.lower()}",
                hint=FIX,
            )
        pieces = zip_pieces(archive, path.name, needed)
        for number, member in enumerate(m for m in archive.infolist() if m.filename.lower().endswith(".nlm")):
            nested_path = copy_nested(archive, member, scratch / f"nested-{number}.zip", path)
            nested = stack.enter_context(open_zip(nested_path))
            pieces += zip_pieces(nested, f"{path.name}!{member.filename}", needed)
        yield Release(arrange(pieces, path), [described], name)


def describe_files(files: Sequence[Path], release: str | None, bars: Progress) -> list[SourceFile]:
    """The files on disk with their hashes."""
    with bars.task("Hashing the release", total=sum(f.stat().st_size for f in files), unit="B") as task:
        return [describe_file(f, release=release, licence=LICENCE, on_bytes=task.advance) for f in files]


def open_folder(path: Path, needed: Sequence[str], bars: Progress) -> Release:
    """Open a release that lies in a folder."""
    files = sorted(p for p in path.rglob("*.RRF*") if p.is_file() and wanted(p.name, needed))
    pieces = [
        (p.name, Piece(str(p), lambda p=p: p.open("rb"), p.name.endswith(".gz")))  # type: ignore[misc]
        for p in files
    ]
    name = release_name([str(p) for p in (path.resolve(), *files)])
    sources = describe_files(files, name, bars)
    return Release(arrange(pieces, path), sources, name)


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


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip and check all its members.

    Raises:
        DataError: It is no zip, or not a safe one.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        with path.open("rb") as file:
            start = file.read(256).lstrip().lower()
        html = start.startswith((b"<!doctype", b"<html"))
        raise DataError(
            "the release is not a zip file" + ("; it is a web page" if html else ""),
            where=path,
            why="the download was answered with a login page" if html else str(error),
            hint=FIX,
        ) from error
    with archive:
        for member in archive.infolist():
            check_member(member, path)
        yield archive


def check_member(member: zipfile.ZipInfo, path: Path) -> None:
    """Refuse a member with an unsafe name or an absurd size."""
    place = f"{path}!{member.filename}"
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if ".." in parts or member.filename.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", member.filename):
        raise DataError("the zip has a path that leads outside it", where=place, hint=FIX)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError("the zip holds a link", where=place, hint=FIX)
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > MAX_BYTES or (member.file_size > RATIO_FREE_BYTES and ratio > MAX_RATIO):
        raise DataError(
            "the zip has a member of absurd size",
            where=place,
            why=f"{member.file_size:,} bytes from {member.compress_size:,}: a zip bomb",
            hint=FIX,
        )


def zip_pieces(archive: zipfile.ZipFile, label: str, needed: Sequence[str]) -> list[tuple[str, Piece]]:
    """The pieces of RRF files in a zip."""
    found = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename).name
        if wanted(name, needed):
            opener = lambda archive=archive, member=member: archive.open(member)  # noqa: E731
            found.append((name, Piece(f"{label}!{member.filename}", opener, name.endswith(".gz"))))
    return found


def copy_nested(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, path: Path) -> Path:
    """Copy a nested zip out, since reading one needs to seek."""
    try:
        with archive.open(member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(
            "the zip is damaged", where=f"{path}!{member.filename}", why=str(error), hint=FIX
        ) from error
    return target


@contextmanager
def open_piece(piece: Piece) -> Iterator[io.BufferedReader]:
    """A piece's decompressed bytes.

    Raises:
        DataError: It is damaged, cut off, encrypted or decompresses without end.
    """
    try:
        with ExitStack() as stack:
            stored = stack.enter_context(piece.opener())
            stream: IO[bytes] = stored
            if piece.compressed:
                stream = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=stored)))
            yield stack.enter_context(io.BufferedReader(Limited(stream, piece.label), 1 << 20))
    except (
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise DataError(
            "the file is damaged, cut off or encrypted", where=piece.label, why=str(error), hint=FIX
        ) from error


class Limited(io.RawIOBase):
    """A stream that refuses to give more than `MAX_BYTES`."""

    def __init__(self, stream: IO[bytes], label: str) -> None:
        self._stream = stream
        self._label = label
        self._left = MAX_BYTES

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into `buffer`."""
        view = memoryview(buffer).cast("B")
        data = self._stream.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise DataError("the file decompresses without end", where=self._label, hint=FIX)
        view[: len(data)] = data
        return len(data)
