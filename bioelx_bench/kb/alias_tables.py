"""Tables of aliases, as `aliases fetch` writes them, and putting them into a knowledge base.

A table is Parquet with the columns `cui`, `lang`, `name`, `source`, `preferred` (so that `kb build table` reads it
too) and `item`, `property`, `joined_by`, `date`: where each alias comes from. `TABLE.parquet.json` beside it is its
record: the source, its options, the files it read and what was left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import add_names
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.table import read_table
from bioelx_bench.options import did_you_mean
from bioelx_bench.progress import Progress
from bioelx_bench.records import Alias

COLUMNS: Final = {
    "cui": "concept_id",
    "lang": "language",
    "name": "text",
    "source": "source",
    "preferred": "preferred",
    "item": "item",
    "property": "property",
    "joined_by": "joined_by",
    "date": "date",
}
"""Each column of the table, and the attribute of `Alias` that it holds."""

SCHEMA: Final = pa.schema(
    [
        pa.field(column, pa.bool_() if column == "preferred" else pa.string(), nullable=False)
        for column in COLUMNS
    ]
)
BATCH_ROWS: Final = 20_000


def to_batches(aliases: Iterable[Alias]) -> Iterator[pa.RecordBatch]:
    """Aliases as record batches of a table."""
    stream = iter(aliases)
    while block := list(islice(stream, BATCH_ROWS)):
        columns = [
            pa.array([getattr(alias, attribute) for alias in block], type=SCHEMA.field(column).type)
            for column, attribute in COLUMNS.items()
        ]
        yield pa.record_batch(columns, schema=SCHEMA)


def read_alias_table(table: Path) -> Iterator[Alias]:
    """The aliases of a table."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                yield Alias(**{attribute: row[column] for column, attribute in COLUMNS.items()})


def record_path(table: Path) -> Path:
    """Where the record of an alias table is."""
    return table.with_name(table.name + ".json")


def add_aliases(
    kb: KnowledgeBase,
    tables: Sequence[Path],
    languages: Sequence[str],
    name: str,
    folder: Path,
    *,
    new_concepts: bool = False,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Make a new knowledge base with the names of `kb` and those of alias tables.

    Args:
        kb: The knowledge base.
        tables: Alias tables (Parquet, TSV or CSV with cui, lang, name).
        languages: Languages to take; empty means all.
        name: The new name.
        folder: The new folder.
        new_concepts: Take aliases of concepts that `kb` lacks, too.
        progress: Shows progress.

    Raises:
        MissingError: A table is not there.
        UsageError: A language has no alias in the tables, or the output exists.
        DataError: No alias is of a concept of the knowledge base, or a table is damaged.
    """
    for table in tables:
        if not table.is_file():
            raise MissingError(
                f"there is no alias table {table}", where=table, hint="bioelx-bench aliases fetch makes one"
            )
    files = [describe_table(table) for table in tables]
    wanted = pa.array(sorted(set(languages)))
    check_tables(kb, tables, languages, new_concepts)

    def rows() -> Iterator[pa.RecordBatch]:
        import pyarrow.compute as pc

        for table in tables:
            for batch in read_table(table, table.stem):
                yield batch.filter(pc.is_in(batch.column("language"), wanted)) if languages else batch

    return add_names(
        kb,
        folder,
        name,
        rows(),
        {"builder": "add-aliases", "languages": sorted(set(languages))},
        files,
        only_known=not new_concepts,
        progress=progress,
    )


def describe_table(table: Path) -> SourceFile:
    """A table as the manifest records it, with the source that its record names."""
    release = None
    if record_path(table).is_file():
        try:
            release = str(json.loads(record_path(table).read_text(encoding="utf-8")).get("source"))
        except (ValueError, AttributeError) as error:
            raise DataError("the alias table's record is damaged", where=record_path(table)) from error
    return SourceFile(path=table.name, sha256=hash_file(table), release=release)


def check_tables(
    kb: KnowledgeBase, tables: Sequence[Path], languages: Sequence[str], new_concepts: bool
) -> None:
    """Refuse languages that no table has, and tables that share no concept with the knowledge base."""
    import pyarrow.compute as pc

    known = kb.concepts.column("id").combine_chunks()
    found: set[str] = set()
    matched = 0
    for table in tables:
        for batch in read_table(table, table.stem):
            found.update(pc.unique(batch.column("language")).to_pylist())
            matched += pc.sum(pc.is_in(batch.column(schemas.NAMES.names[0]), known)).as_py() or 0
    for language in languages:
        if language not in found:
            raise UsageError(
                f"no alias is in the language {language!r}{did_you_mean(language, sorted(found))}",
                where=f"--languages {','.join(languages)}",
                why=f"the tables have {', '.join(sorted(found))}",
            )
    if not matched and not new_concepts:
        raise DataError(
            f"no alias is of a concept of {kb.name}",
            where=", ".join(str(t) for t in tables),
            why=f"no CUI of the tables is among the {len(kb)} of the knowledge base",
            hint="fetch aliases for this knowledge base, or take new concepts in with --new-concepts",
        )
