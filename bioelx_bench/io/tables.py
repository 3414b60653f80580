"""Rows of a user's table, one reader for all: CSV, TSV, `id||name` dictionaries, JSON lines or array, Parquet.

Text tables go through the standard library's `csv`, which reads a stream in any encoding and compression with cells
of any size and tells the line of each row, so that no second reader is needed to find what is wrong.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TextIO

from bioelx_bench.errors import DataError, MissingError, UsageError, at
from bioelx_bench.io.json_documents import json_documents
from bioelx_bench.io.text import open_text

COMPRESSIONS: Final = (".gz", ".bz2", ".xz")
DELIMITERS: Final = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_SUFFIXES: Final = (".jsonl", ".json", ".ndjson")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
SUFFIXES: Final = (*DELIMITERS, *JSON_SUFFIXES, *PARQUET_SUFFIXES)
DICTIONARY: Final = "||"
INDEX_COLUMN: Final = re.compile(r"|unnamed: [0-9]+|index|level_[0-9]+|__index_level_[0-9]+__")
"""Columns that pandas writes for a data frame's index."""

TEXT_BLOCK: Final = 1 << 20
MAX_LINE: Final = 256 << 20
PARQUET_ROWS: Final = 1 << 14
MAX_JOINED_LINES: Final = 1000
"""Lines that one row of a TSV may go over, where a quoted cell has line breaks."""

Row = tuple[int, dict[str, Any]]
"""A row's number (line, or row of a Parquet file, from 1) and its cells by column."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table on disk.

    Attributes:
        path: The file.
        kind: One of `SUFFIXES`, the last but for a compression's.
        headerless: Columns of a dictionary, whose lines are `id||name` without a header.
        comment: Lines of a text table that begin so, before its header, are passed over.
    """

    path: Path
    kind: str
    headerless: tuple[str, ...] = ("id", "name")
    comment: str | None = None

    @property
    def numbers_lines(self) -> bool:
        """Whether row numbers are lines of the file."""
        return self.kind not in PARQUET_SUFFIXES

    def place(self, number: int, column: str | None = None) -> str:
        """Where a row is, for `BenchError.where`."""
        if self.numbers_lines:
            return at(self.path, number, column)
        return f"{self.path} row {number}" + ("" if column is None else f" (field {column})")

    def is_dictionary(self) -> bool:
        """Whether the lines are `id||name`, without a header."""
        if self.kind not in DELIMITERS:
            return False
        with open_text(self.path) as stream:
            first = next((line for line in bounded_lines(stream, self.path) if line.strip()), "")
        return DICTIONARY in first and DELIMITERS[self.kind] not in first

    def rows(self) -> Iterator[Row]:
        """All rows in order, cells of text tables as text, others with the types that the file gives them.

        Column names are in lower case; columns of a data frame's index are left out, and so are empty lines.

        Raises:
            DataError: The file is not in its format; says where.
        """
        if self.kind in PARQUET_SUFFIXES:
            return parquet_rows(self.path)
        if self.kind in JSON_SUFFIXES:
            return json_rows(self.path)
        return text_rows(self)


def open_table(
    path: Path,
    *,
    where: str | None = None,
    headerless: Sequence[str] = ("id", "name"),
    comment: str | None = None,
) -> TableFile:
    """A table by its file name; nothing is read yet.

    Args:
        path: The file: one of `SUFFIXES`, text also compressed (`.gz`, `.bz2`, `.xz`).
        where: The option that gave the path, for errors.
        headerless: Columns of a dictionary without a header.
        comment: What lines begin with that come before the header and are no part of the table.

    Raises:
        MissingError: There is no such file.
        UsageError: Its kind is not known.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", where=where or path)
    kind = kind_of(path)
    if kind not in SUFFIXES:
        raise UsageError(
            f"the kind of table {path.name} is unknown",
            where=where or path,
            hint=f"name it one of {', '.join(SUFFIXES)}; text also with {', '.join(COMPRESSIONS)}",
        )
    return TableFile(path, kind, tuple(headerless), comment)


def kind_of(path: Path) -> str:
    """A file's last suffix but for a compression's, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def text_rows(table: TableFile) -> Iterator[Row]:
    """Rows of a CSV (RFC 4180), TSV or dictionary file."""
    csv.field_size_limit(sys.maxsize)  # a cell may hold a whole document
    path, delimiter = table.path, DELIMITERS[table.kind]
    with open_text(path) as stream:
        lines = bounded_lines(stream, path)
        skipped = 0
        for first in lines:
            if first.strip() and not (table.comment and first.startswith(table.comment)):
                break
            skipped += 1
        else:
            raise DataError(
                "the table is empty",
                where=at(path, 1),
                why="its first line must name the columns",
                hint="get the file again, or write it again",
            )
        lines = chain([first], lines)
        if DICTIONARY in first and delimiter not in first:
            rows = dictionary_rows(lines, path, table.headerless)
        else:
            cells = tsv_cells(lines) if delimiter == "\t" else csv_cells(lines, path, delimiter)
            rows = with_columns(cells, path)
        yield from ((number + skipped, row) for number, row in rows)


def bounded_lines(stream: TextIO, path: Path) -> Iterator[str]:
    """Lines with their ends; an endless one is an error and does not fill the memory."""
    number = 1
    while line := stream.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise DataError(f"a line has more than {MAX_LINE:,} characters", where=at(path, number))
        yield line
        number += 1


def with_columns(cells: Iterator[tuple[int, list[str]]], path: Path) -> Iterator[Row]:
    """Rows of cells by the columns that the first one names."""
    line, header = next(cells)
    names = column_names(header, at(path, line))
    kept = [index for index, name in enumerate(names) if name is not None]
    columns = [name for name in names if name is not None]
    for line, row in cells:
        if len(row) != len(names):
            raise DataError(
                "the row is broken",
                where=at(path, line),
                why=f"it has {len(row)} cells, the first line has {len(names)}",
                hint="put a cell that holds the delimiter or a line break between double quotes",
            )
        yield line, dict(zip(columns, row if len(kept) == len(row) else [row[i] for i in kept], strict=True))


def column_names(header: Sequence[str], where: str) -> list[str | None]:
    """Column names in lower case; None for columns of an index.

    Raises:
        DataError: One comes twice.
    """
    names = [name.strip().casefold() for name in header]
    known = [None if INDEX_COLUMN.fullmatch(name) else name for name in names]
    for name in known:
        if name is not None and known.count(name) > 1:
            raise DataError(
                f"the table has the column {name!r} twice", where=where, hint="leave one of them out"
            )
    return known


def csv_cells(lines: Iterator[str], path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row with the line it starts on."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(
                "the row is broken",
                where=at(path, start),
                why=str(error),
                hint="a cell that holds a double quote stands between double quotes, with the quote doubled",
            ) from error
        if row is None:
            return
        if any(row) or len(row) > 1:
            yield start, row
        start = reader.line_num + 1


def tsv_cells(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row of a TSV with the line it starts on.

    Some writers quote cells as CSV does and others never do. Cells are unquoted where the row, read as CSV, is whole
    and has as many cells as the header; else they stand as they are written. A row goes on over the following lines
    where a quote is open, unless it and the next line are both whole rows as they stand.
    """
    width, number = 0, 0
    line = next(lines, None)
    while line is not None:
        number += 1
        start, text, line = number, line.rstrip("\r\n"), next(lines, None)
        cells = text.split("\t")
        if text and '"' in text:
            found = unquoted(text, width)
            joined = text
            broken = len(cells) != width
            while (
                found is None
                and line is not None
                and number - start < MAX_JOINED_LINES
                and (broken or line.count("\t") + 1 != width)
                and joined.count('"') % 2
            ):
                joined, line, number = f"{joined}\n{line}".rstrip("\r\n"), next(lines, None), number + 1
                found = unquoted(joined, width)
            cells = found or joined.split("\t")
        width = width or len(cells)
        if text:
            yield start, cells


def unquoted(text: str, width: int) -> list[str] | None:
    """A row's cells read as CSV; None where it is not whole then, or has another number of cells."""
    try:
        [cells] = csv.reader([text], delimiter="\t", strict=True)
    except (csv.Error, ValueError):
        return None
    return cells if not width or len(cells) == width else None


def dictionary_rows(lines: Iterator[str], path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a dictionary: lines of `id||name`."""
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        cells = text.split(DICTIONARY, len(columns) - 1)
        if len(cells) != len(columns) or not all(cells):
            raise DataError(
                f"a line must be {DICTIONARY.join(columns)}", where=at(path, number), why=text[:80]
            )
        yield number, dict(zip(columns, cells, strict=True))


def json_rows(path: Path) -> Iterator[Row]:
    """Objects of a JSON lines file, or of one array."""
    with open_text(path) as stream:
        for line, row in json_documents(iter(lambda: stream.read(TEXT_BLOCK), ""), str(path)):
            if not isinstance(row, dict):
                raise DataError(
                    f"a row must be a JSON object, not {type(row).__name__}", where=at(path, line)
                )
            names = column_names(list(row), at(path, line))
            yield line, {name: v for name, v in zip(names, row.values(), strict=True) if name is not None}


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = column_names(file.schema_arrow.names, str(path))
            number = 0
            for batch in file.iter_batches(PARQUET_ROWS):
                columns = {
                    n: c.to_pylist() for n, c in zip(names, batch.columns, strict=True) if n is not None
                }
                for row in zip(*columns.values(), strict=True):
                    number += 1
                    yield number, dict(zip(columns, row, strict=True))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "the Parquet file cannot be read", where=path, why=str(error), hint="get it again"
        ) from error


def blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Rows, `size` at a time."""
    while block := list(islice(rows, size)):
        yield block
