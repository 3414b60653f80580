"""Dictionaries in dictd's format (RFC 2229's server): `NAME.index` beside `NAME.dict.dz` or `NAME.dict`.

A line of the index is a headword, and where its entry begins in the decompressed dictionary and how many bytes long
it is, both as numbers to the base 64. Several lines can point to one entry. A `.dict.dz` is gzip with
a further header.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError, MissingError, at

DIGITS: Final = {
    character: value
    for value, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
LONGEST_NUMBER: Final = 6
"""Digits of a number; six reach 64 GB."""

LONGEST_ENTRY: Final = 1 << 16
"""Bytes; the longest of FreeDict's have a tenth of it."""

LARGEST: Final = 1 << 30
"""Bytes of a decompressed dictionary; the largest that FreeDict has is a tenth of it."""

METADATA: Final = ("00database", "00-database")


def dictionary_path(index: Path) -> Path:
    """The dictionary that belongs to an index.

    Raises:
        MissingError: It is not beside the index.
    """
    for suffix in (".dict.dz", ".dict"):
        path = index.with_suffix(suffix)
        if path.is_file():
            return path
    raise MissingError(
        f"there is no {index.stem}.dict.dz beside the index",
        where=index,
        why="the index says only where in it the entries are",
        hint="put NAME.dict.dz or NAME.dict into the same folder",
    )


def read_dictd(index: Path) -> Iterator[tuple[list[str], str]]:
    """The headwords by which each entry is found, and its text; in the index's order, metadata left out.

    Raises:
        MissingError: The dictionary is not beside the index.
        DataError: Index or dictionary are damaged, or not each other's.
    """
    path = dictionary_path(index)
    places = read_index(index)
    data = decompressed(path, max((offset + length for offset, length in places), default=0))
    for (offset, length), headwords in places.items():
        try:
            text = data[offset : offset + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                "an entry is not UTF-8",
                where=f"{path} (bytes {offset} to {offset + length}, entry {headwords[0]!r})",
                why=str(error),
            ) from error
        yield headwords, text


def read_index(index: Path) -> dict[tuple[int, int], list[str]]:
    """The headwords of each place (offset and length).

    Raises:
        DataError: A line is not headword, offset and length.
    """
    places: dict[tuple[int, int], list[str]] = {}
    with index.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                cells = line.decode("utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError as error:
                raise DataError("the index is not UTF-8", where=at(index, number), why=str(error)) from error
            if len(cells) not in (3, 4):
                raise DataError(
                    "the line is not headword, offset and length with tabs between",
                    where=at(index, number),
                    hint="the file must be a dictd index",
                )
            if cells[0].startswith(METADATA):
                continue
            place = (parse_number(cells[1], index, number), parse_number(cells[2], index, number))
            if place[1] > LONGEST_ENTRY or sum(place) > LARGEST:
                raise DataError(
                    f"an entry of {place[1]} bytes at {place[0]} cannot be",
                    where=at(index, number),
                    why=f"entries have at most {LONGEST_ENTRY} bytes, dictionaries {LARGEST}",
                )
            places.setdefault(place, []).append(cells[-1] if len(cells) == 4 else cells[0])
    return places


def parse_number(text: str, index: Path, line: int) -> int:
    """A number to the base 64.

    Raises:
        DataError: It is none.
    """
    if not 0 < len(text) <= LONGEST_NUMBER or not all(c in DIGITS for c in text):
        raise DataError(
            f"{text[:20]!r} is not a number as dictd writes them",
            where=at(index, line),
            why=f"one to {LONGEST_NUMBER} of the characters A-Z, a-z, 0-9, + and /",
        )
    value = 0
    for character in text:
        value = value * 64 + DIGITS[character]
    return value


def decompressed(path: Path, size: int) -> bytes:
    """The first bytes of a dictionary, and not more than are asked for.

    Raises:
        DataError: It has fewer, or is damaged.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".dz" else path.open("rb") as file:
            data: bytes = file.read(size)
            file.read(1)  # at the end, which most dictionaries have reached here, gzip compares its checksum
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            "the dictionary is damaged or cut off", where=path, why=str(error), hint="get it again"
        ) from error
    if len(data) < size:
        raise DataError(
            f"the dictionary has {len(data)} bytes, and its index points to {size}",
            where=path,
            hint="index and dictionary must be of the same release",
        )
    return data
