"""Names from a plain table: TSV, CSV or Parquet with the columns cui, lang, name, source and preferred.

Text tables are read twice only when something is wrong: pyarrow reads them fast, and when it or a check
refuses, a slow reader finds the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.staging import first_violation
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.text import COMPRESSIONS, MAX_LINE, decode, describe_file, numbered_lines, open_bytes
from bioelx_bench.progress import Progress

REQUIRED: Final = ("cui", "lang", "name")
OPTIONAL: Final = ("source", "preferred")
RULE_OF: Final = {"cui": "cui", "lang": "language", "name": "name", "source": "source"}
"""Table column to column of `schemas.RULES`."""

TRUE: Final = ("1", "true", "t", "yes", "y")
FALSE: Final = ("0", "false", "f", "no", "n", "")
BLOCK_BYTES: Final = 8 << 20
FIX: Final = "fix the file and repeat; docs/knowledge_bases.md describes the table"


class SuspectError(Exception):
    """The fast reader met something that the slow one must find."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a text table is written.

    Attributes:
        delimiter: One character between cells.
        quoted: Whether `"` quotes cells (CSV); a TSV's cells are taken as they are.
    """

    delimiter: str
    quoted: bool


FORMATS: Final = {
    ".tsv": TextFormat("\t", quoted=False),
    ".txt": TextFormat("\t", quoted=False),
    ".csv": TextFormat(",", quoted=True),
}
PARQUET: Final = (".parquet", ".pq")


def build_from_table(
    file: Path,
    name: str,
    folder: Path,
    *,
    source: str | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base from one table.

    Args:
        file: `.tsv`, `.csv` (either also `.gz` or `.xz`) or `.parquet`.
        name: The knowledge base's name.
        folder: The output.
        source: The source of names whose row gives none; by default `name`.
        licence: The table's licence, for the manifest.
        progress: Shows progress.

    Raises:
        MissingError: There is no such file.
        UsageError: Its kind is unknown, the default source is not one, or the output exists.
        DataError: Its content is not a table of names; says file and line.
        BenchError: The disk is full.
    """
    described = describe_file(file, licence=licence)
    kind_of(file)
    default = name if source is None else source
    if why := schemas.explain("source", default):
        raise UsageError(f"{default!r} cannot be a source", where="--source", why=why)
    return build_knowledge_base(
        folder,
        name,
        lambda: Rows(names=read_table(file, default)),
        files=[described],
        filters={"builder": "table", "default_source": default},
        progress=progress,
    )


def kind_of(file: Path) -> TextFormat | None:
    """How the file is written by its name; None for Parquet.

    Raises:
        UsageError: The ending is unknown.
    """
    suffixes = [s.lower() for s in file.suffixes]
    if suffixes and suffixes[-1] in PARQUET:
        return None
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    if suffixes and suffixes[-1] in FORMATS:
        return FORMATS[suffixes[-1]]
    raise UsageError(
        f"the kind of table {file.name} is unknown",
        where=file,
        hint="name it .tsv, .csv (also .gz or .xz) or .parquet",
    )


def read_table(file: Path, default_source: str) -> Iterator[pa.RecordBatch]:
    """The table's rows in the schema `schemas.NAMES`.

    Raises:
        DataError: See `build_from_table`.
    """
    form = kind_of(file)
    if form is None:
        yield from read_parquet(file, default_source)
        return
    try:
        yield from read_text(file, form, default_source)
    except SuspectError as suspect:
        find_error(file, form)
        raise DataError(
            "the table cannot be read", where=file, why=str(suspect.__cause__ or suspect), hint=FIX
        ) from suspect


def read_header(stream: IO[bytes], file: Path, form: TextFormat) -> list[str]:
    """Read and check the first line.

    Raises:
        DataError: The file is empty or a column is missing or doubled.
    """
    line = stream.readline(MAX_LINE)
    if not line.strip():
        raise DataError("the table is empty", where=at(file, 1), hint=FIX)
    text = decode(line, file, 1).removeprefix("\ufeff").rstrip("\r\n")
    columns = (
        next(csv.reader([text], delimiter=form.delimiter)) if form.quoted else text.split(form.delimiter)
    )
    columns = [c.strip() for c in columns]
    check_columns(columns, at(file, 1))
    return columns


def check_columns(columns: list[str], where: str) -> None:
    """Refuse a table without the required columns or with one twice."""
    for column in REQUIRED:
        if column not in columns:
            raise DataError(
                f"the table has no column {column!r}",
                where=where,
                why=f"its columns are: {', '.join(repr(c) for c in columns)}",
                hint=f"the first line must name {', '.join(REQUIRED)} and may name {', '.join(OPTIONAL)}",
            )
    for column in (*REQUIRED, *OPTIONAL):
        if columns.count(column) > 1:
            raise DataError(f"the table has the column {column!r} twice", where=where, hint=FIX)


def read_text(file: Path, form: TextFormat, default_source: str) -> Iterator[pa.RecordBatch]:
    """Read a text table fast.

    Raises:
        SuspectError: Something in it is wrong.
        DataError: What is wrong is known already.
    """
    with open_bytes(file) as stream:
        columns = read_header(stream, file, form)
        if not stream.peek(1):
            raise DataError("the table has no rows", where=at(file, 2), hint=FIX)
        wanted = [c for c in columns if c in REQUIRED or c in OPTIONAL]
        unique = [c if c in wanted else f"{c}#{i}" for i, c in enumerate(columns)]
        try:
            reader = pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(column_names=unique, block_size=BLOCK_BYTES),
                parse_options=pa_csv.ParseOptions(
                    delimiter=form.delimiter,
                    quote_char='"' if form.quoted else False,
                    double_quote=form.quoted,
                ),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=wanted,
                    column_types=dict.fromkeys(wanted, pa.string()),
                    strings_can_be_null=False,
                    check_utf8=True,
                ),
            )
            for batch in reader:
                yield convert(batch, default_source)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise SuspectError(str(error)) from error


def convert(batch: pa.RecordBatch, default_source: str) -> pa.RecordBatch:
    """A batch of the table as rows, checked.

    Raises:
        SuspectError: A value is wrong.
    """
    given = {c: batch.column(c) for c in batch.schema.names}
    if "source" in given:
        source = pc.if_else(pc.equal(given["source"], ""), default_source, given["source"])
    else:
        source = pa.repeat(default_source, batch.num_rows)
    preferred = (
        parse_preferred(given["preferred"]) if "preferred" in given else pa.repeat(False, batch.num_rows)
    )
    columns = {"cui": given["cui"], "language": given["lang"], "name": given["name"], "source": source}
    for column, found in columns.items():
        if first_violation(found, column) is not None:
            raise SuspectError(f"column {column}: {schemas.RULES[column][1]}")
    return pa.record_batch([*columns.values(), preferred], schema=schemas.NAMES)


def parse_preferred(column: Any) -> Any:
    """Truth values from their usual spellings."""
    if pa.types.is_boolean(column.type):
        return pc.fill_null(column, False)
    text = pc.utf8_lower(pc.cast(column, pa.string()))
    true = pc.is_in(text, value_set=pa.array(TRUE))
    if pc.all(pc.or_(true, pc.is_in(text, value_set=pa.array(FALSE)))).as_py() is False:
        raise SuspectError("column preferred")
    return true


def find_error(file: Path, form: TextFormat) -> None:
    """Read a text table line by line and raise for the first thing that is wrong.

    Raises:
        DataError: Names file, line and column.
    """
    with open_bytes(file) as stream:
        columns = read_header(stream, file, form)
        for number, line in numbered_lines(stream, file, 2):
            text = decode(line, file, number).rstrip("\r\n")
            if not text:
                continue
            check_row(split_row(text, form, file, number), columns, at(file, number))


def split_row(text: str, form: TextFormat, file: Path, number: int) -> list[str]:
    """Cells of one line.

    Raises:
        DataError: A quoted cell is not closed in its line.
    """
    if not form.quoted:
        return text.split(form.delimiter)
    try:
        return next(csv.reader([text], delimiter=form.delimiter, strict=True))
    except csv.Error as error:
        raise DataError("the row is broken", where=at(file, number), why=str(error), hint=FIX) from error


def check_row(cells: list[str], columns: list[str], where: str) -> None:
    """Raise for the first thing that is wrong in a row."""
    if len(cells) != len(columns):
        raise DataError(
            "the row is broken",
            where=where,
            why=f"it has {len(cells)} cells, the first line has {len(columns)}",
            hint=FIX,
        )
    row = dict(zip(columns, cells, strict=True))
    for column, rule in RULE_OF.items():
        if (
            column in row
            and (row[column] or column != "source")
            and (why := schemas.explain(rule, row[column]))
        ):
            raise DataError(
                f"{row[column]!r} is not a {column}", where=f"{where} (field {column})", why=why, hint=FIX
            )
    preferred = row.get("preferred", "").lower()
    if preferred not in TRUE and preferred not in FALSE:
        raise DataError(
            f"{row['preferred']!r} is neither 1 nor 0", where=f"{where} (field preferred)", hint=FIX
        )


def read_parquet(file: Path, default_source: str) -> Iterator[pa.RecordBatch]:
    """Read a Parquet table.

    Raises:
        DataError: It is damaged, has no rows, or a row is wrong; says which.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            check_columns(parquet.schema_arrow.names, str(file))
            if parquet.metadata.num_rows == 0:
                raise DataError("the table has no rows", where=file, hint=FIX)
            wanted = [c for c in parquet.schema_arrow.names if c in REQUIRED or c in OPTIONAL]
            rows = 0
            for batch in parquet.iter_batches(columns=wanted):
                yield from convert_parquet(batch, default_source, file, rows)
                rows += batch.num_rows
    except pa.ArrowException as error:
        raise DataError(
            "the Parquet file cannot be read", where=file, why=str(error), hint="get the file again"
        ) from error


def convert_parquet(
    batch: pa.RecordBatch, default_source: str, file: Path, rows: int
) -> Iterator[pa.RecordBatch]:
    """A batch of a Parquet table as rows; a missing source or preference takes its default."""
    text = {c: pc.cast(batch.column(c), pa.string()) for c in batch.schema.names if c != "preferred"}
    if "source" in text:
        text["source"] = pc.fill_null(text["source"], "")
    if "preferred" in batch.schema.names:
        preferred = batch.column("preferred")
        text["preferred"] = (
            preferred
            if pa.types.is_boolean(preferred.type)
            else pc.fill_null(pc.cast(preferred, pa.string()), "")
        )
    clean = pa.RecordBatch.from_pydict(text)
    try:
        yield convert(clean, default_source)
    except SuspectError as suspect:
        for index, row in enumerate(clean.to_pylist()):
            cells = ["" if v is None else str(v) for v in row.values()]
            check_row(cells, list(row), f"{file}: row {rows + index + 1}")
        raise DataError("the table cannot be read", where=file, why=str(suspect), hint=FIX) from suspect
