"""Rows of a user's own table: CSV, TSV, JSON lines or Parquet, each with its place for errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bioelx_bench.datasets.archives import blocks_maybe_gzip, read_maybe_gzip
from bioelx_bench.datasets.json_documents import json_documents
from bioelx_bench.datasets.text import decode
from bioelx_bench.errors import DataError, MissingError, UsageError, at

SEPARATORS: Final[Mapping[str, str]] = {".csv": ",", ".tsv": "\t"}
JSON_ENDS: Final = frozenset((".jsonl", ".json", ".ndjson"))
ENDS: Final = (*SEPARATORS, *sorted(JSON_ENDS), ".parquet")
BATCH: Final = 1000


def ending(path: Path) -> str:
    """The file's kind: its extension without `.gz`."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file with their places.

    Raises:
        MissingError: There is no such file.
        UsageError: Its kind is not known.
        DataError: It is not in its format; the error names the line or row.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", where="-D path=")
    kind = ending(path)
    if kind in SEPARATORS:
        return read_separated(path, SEPARATORS[kind])
    if kind in JSON_ENDS:
        return read_json(path)
    if kind == ".parquet":
        return read_parquet(path)
    raise UsageError(f"{path.name} is none of {', '.join(ENDS)}", where=f"-D path={path}")


def read_separated(path: Path, separator: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a CSV (RFC 4180) or TSV file with a header."""
    text = decode(read_maybe_gzip(path), str(path))
    stream = io.StringIO(text, newline="")
    if separator == ",":
        reader = csv.reader(stream, strict=True)
    else:
        reader = csv.reader(stream, delimiter=separator, quoting=csv.QUOTE_NONE, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise DataError("the file is empty", where=path, why="its first line must name the columns")
        if len(set(header)) < len(header):
            raise DataError("a column is named twice", where=at(path, 1), why=", ".join(header))
        start = reader.line_num + 1
        for row in reader:
            if row and len(row) != len(header):
                raise DataError(
                    f"the row has {len(row)} fields, the header has {len(header)}", where=at(path, start)
                )
            if row:
                yield at(path, start), dict(zip(header, row, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError("the row cannot be read", where=at(path, reader.line_num), why=str(error)) from error


def read_json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects of a JSON lines file, or of one array."""
    for line, row in json_documents(blocks_maybe_gzip(path), str(path)):
        if not isinstance(row, dict):
            raise DataError(f"a row must be a JSON object, not {type(row).__name__}", where=at(path, line))
        yield at(path, line), row


def read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path} row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise DataError("the file is not Parquet", where=path, why=str(error)) from error
