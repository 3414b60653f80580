"""Rows on their way into a knowledge base: DuckDB tables that spill to disk beyond a memory limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.kb import schemas
from bioelx_bench.schemes import UMLS, IdScheme

INSERT_ROWS: Final = 1 << 18
"""Rows that are gathered before they are handed to DuckDB."""

SOURCE_LIMIT: Final = 1024
"""More sources than this are a mistaken column; each one costs a bit in every row while names are merged."""

TABLES: Final = {
    "names": schemas.NAMES,
    "definitions": schemas.DEFINITIONS,
    "semantic_types": schemas.SEMANTIC_TYPES,
    "retired": schemas.RETIRED,
}
SQL_TYPES: Final = {pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}


class Staging:
    """Four DuckDB tables, one for each schema of `bioelx_bench.kb.schemas`.

    Args:
        folder: Where DuckDB spills; it must exist.
        memory: DuckDB's memory limit, such as `2GB`.
        threads: Threads DuckDB may use; by default one for each core.
        scheme: What the concept ids are of.
    """

    def __init__(
        self, folder: Path, memory: str = "2GB", threads: int | None = None, scheme: IdScheme = UMLS
    ) -> None:
        self.folder = folder
        self.scheme = scheme
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "temp_directory": str(folder),
            "autoinstall_known_extensions": False,
        }
        if threads is not None:
            settings["threads"] = threads
        self.connection = duckdb.connect(":memory:", config=settings)
        self.connection.execute("SET enable_progress_bar = false")
        for table, schema in TABLES.items():
            columns = ", ".join(f"{f.name} {SQL_TYPES[f.type]} NOT NULL" for f in schema)
            self.connection.execute(f"CREATE TABLE {table} ({columns})")

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def add(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Append rows, checking every value; returns how many.

        Raises:
            DataError: A value breaks the rules of `schemas.RULES`. Builders that read files check earlier,
                to name file and line.
            BenchError: The disk is full or memory does not suffice.
        """
        schema, total = TABLES[table], 0
        for block in gather(batches, schema):
            check(block, total, self.scheme)
            with explain_engine_errors(self.folder):
                self.connection.register("block", block)
                columns = ", ".join(schema.names)
                self.connection.execute(f"INSERT INTO {table} SELECT {columns} FROM block")  # noqa: S608
                self.connection.unregister("block")
            total += block.num_rows
        return total

    def run(self, sql: str) -> None:
        """Run a statement that gives no rows."""
        with explain_engine_errors(self.folder):
            self.connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """A query's whole result as Python rows, for small ones."""
        with explain_engine_errors(self.folder):
            return list(self.connection.sql(sql).fetchall())

    def scalar(self, sql: str) -> int:
        """The one integer that a query gives."""
        return int(self.rows(sql)[0][0])

    def table(self, sql: str) -> pa.Table:
        """A query's whole result, for what fits into memory."""
        with explain_engine_errors(self.folder):
            return self.connection.sql(sql).to_arrow_table()

    def stream(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """A query's result, about `rows` rows at a time."""
        with explain_engine_errors(self.folder):
            reader = self.connection.sql(sql).to_arrow_reader(rows)
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                yield batch


def gather(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Join small batches into tables of at least `INSERT_ROWS` rows, with the schema's columns only."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch.select(schema.names).cast(schema))
        rows += batch.num_rows
        if rows >= INSERT_ROWS:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows = [], 0
    if rows:
        yield pa.Table.from_batches(waiting, schema)


def check(block: pa.Table, first_row: int, scheme: IdScheme) -> None:
    """Refuse values that break the rules.

    Raises:
        DataError: Names the row (counted from 1) and the value.
    """
    for column in block.column_names:
        if column not in schemas.RULES:
            continue
        at = first_violation(block.column(column), column, scheme)
        if at is not None:
            value = block.column(column)[at].as_py()
            raise DataError(
                f"{column} {value!r} cannot be in a knowledge base",
                where=f"row {first_row + at + 1} of the rows given to the builder",
                why=schemas.validation_error(column, value or "", scheme),
            )


def first_violation(values: Any, column: str, scheme: IdScheme = UMLS) -> int | None:
    """Index of the first value that breaks the column's rule, or None."""
    if values.null_count:
        return int(pc.index(pc.is_null(values), True).as_py())
    if column in {"language", "source", "tui"}:
        distinct = pc.unique(values)
        bad = [v for v in distinct.to_pylist() if schemas.validation_error(column, v) is not None]
        return min((int(pc.index(values, v).as_py()) for v in bad), default=None)
    if column == "cui" and scheme is not UMLS:
        # A user's pattern is Python's, which is not always one of Arrow's.
        return next((i for i, value in enumerate(values.to_pylist()) if not scheme.matches(value)), None)
    fine = pc.match_substring_regex(values, schemas.RULES[column][0].pattern)
    if pc.all(fine).as_py() is not False:
        return None
    return int(pc.index(fine, False).as_py())


@contextmanager
def explain_engine_errors(folder: Path) -> Iterator[None]:
    """Turn DuckDB's refusals for lack of disk or memory into errors that say how to fix them.

    Raises:
        BenchError: The disk is full, a temporary file cannot be written or the memory limit is too low.
    """
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.OutOfMemoryException,
        duckdb.FatalException,
        pa.ArrowException,
    ) as error:
        message = re.sub(r"\s+", " ", str(error))
        raise BenchError(
            "the knowledge base cannot be built: the disk or memory does not suffice",
            where=folder,
            why=message,
            hint="free space or choose another folder with --output, then repeat",
        ) from error
