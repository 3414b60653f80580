"""Names from a plain table: the columns id (or cui) and name, and lang, source and preferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.io.tables import TableFile, blocks, open_table
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.sources import describe_file
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.schemes import SCHEMES, UMLS, IdScheme, normalise_ids, schemes_of

COLUMNS: Final = {
    "id": ("id", "cui", "concept_id", "identifier"),
    "language": ("lang", "language"),
    "name": ("name", "term", "label"),
    "source": ("source", "sab"),
    "preferred": ("preferred",),
}
"""What a row gives, and the names that the column may have, best first."""

TRUE: Final = frozenset({"1", "1.0", "true", "t", "yes", "y"})
FALSE: Final = frozenset({"0", "0.0", "false", "f", "no", "n", ""})
BLOCK_ROWS: Final = 20_000
HINT: Final = "fix the file and repeat; docs/knowledge_bases.md describes the table"


@dataclass(slots=True)
class TableReader:
    """Reads one table as rows of names, checked.

    Attributes:
        file: The table.
        default_source: Source of rows that give none.
        scheme: What the ids are of.
        language: Language of rows that give none; None where each must give one.
        counts: How ids were rewritten or split (see `bioelx_bench.schemes.normalise_ids`), `language:default`.
    """

    file: TableFile
    default_source: str
    scheme: IdScheme = UMLS
    language: str | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The names in the schema `schemas.NAMES`; one row for each of several ids.

        Raises:
            DataError: A column is missing or a value is wrong; says file, line and column.
        """
        rows = 0
        for block in blocks(self.file.rows(), BLOCK_ROWS):
            found = [name for number, row in block for name in self._names(number, row)]
            rows += len(block)
            columns = [pa.array(column) for column in zip(*found, strict=True)] if found else []
            if columns:
                yield pa.record_batch(columns, schema=schemas.NAMES)
        if not rows:
            where = self.file.place(2) if self.file.numbers_lines else str(self.file.path)
            raise DataError("the table has no rows", where=where, hint=HINT)

    def _names(self, number: int, row: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, bool]]:
        """The names of one row."""
        cells = self._cells(number, row)
        name, language, source = cells["name"], cells["language"], cells["source"] or self.default_source
        if not language:
            if self.language is None:
                raise self._wrong(number, row, "language", language)
            language = self.language
            self.counts["rows:default_language"] += 1
        for column, value in (("language", language), ("name", name), ("source", source)):
            if not is_plain(column, value) and schemas.validation_error(column, value):
                raise self._wrong(number, row, column, value)
        preferred = cells["preferred"].lower()
        if preferred not in TRUE and preferred not in FALSE:
            raise DataError(
                f"{preferred!r} is neither 1 nor 0", where=self.file.place(number, "preferred"), hint=HINT
            )
        for concept_id in self._ids(number, row, cells["id"]):
            yield concept_id, language, name, source, preferred in TRUE

    def _ids(self, number: int, row: Mapping[str, Any], value: Any) -> tuple[str, ...]:
        """The ids of one row, all of the scheme."""
        if isinstance(value, str) and self.scheme.matches(value) and not self.scheme.opaque:
            return (value,)
        found = normalise_ids(value, self.scheme, self.counts)
        wrong = next((i for i in found if not self.scheme.matches(i)), None)
        if wrong is not None or not found:
            raise self._wrong(number, row, "id", str(value) if wrong is None else wrong)
        return found

    def _cells(self, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """Cells by what they mean: the id as it is given, the others as text, empty where there is none."""
        columns = {meaning: next((n for n in names if n in row), None) for meaning, names in COLUMNS.items()}
        for meaning, name in (("id", "id (or cui)"), ("name", "name"), ("language", "lang")):
            if columns[meaning] is None and (meaning != "language" or self.language is None):
                raise self._no_column(number, row, name)
        found = {meaning: row.get(column) if column else None for meaning, column in columns.items()}
        return {
            meaning: value if meaning == "id" else "" if value is None else str(value)
            for meaning, value in found.items()
        }

    def _no_column(self, number: int, row: Mapping[str, Any], column: str) -> DataError:
        return DataError(
            f"the table has no column {column!r}",
            where=self.file.place(1 if self.file.numbers_lines else number),
            why=f"its columns are: {', '.join(repr(c) for c in row)}",
            hint="the first line must name id (or cui), lang and name, and may name source and preferred; "
            "--language CODE says the language of a table without lang; a dictionary has lines of id||name",
        )

    def _wrong(self, number: int, row: Mapping[str, Any], column: str, value: str) -> DataError:
        """The error for a value."""
        place = self.file.place(number, next((name for name in COLUMNS[column] if name in row), column))
        if column == "name" and ("\n" in value or "\r" in value):
            return DataError(
                f"the name {value[:60]!r} has a line break",
                where=place,
                why="a name is one line of text, as it is written in running text",
                hint=HINT,
            )
        what = "an id of the scheme " + self.scheme.name if column == "id" else f"a {column}"
        why = schemas.validation_error("cui" if column == "id" else column, value, self.scheme)
        hint = "--ids SCHEME or PATTERN says what the ids are of" if column == "id" else HINT
        return DataError(f"{value[:80]!r} is not {what}", where=place, why=why, hint=hint)


def is_plain(column: str, value: str) -> bool:
    """Whether a value is of the usual kind, so that the full rule need not be asked."""
    if column == "language":
        return len(value) == 2 and value.isascii() and value.isalpha() and value.islower()
    return value.isprintable() and bool(value.strip()) and (column == "name" or value.isalnum())


def build_from_table(
    file: Path,
    name: str,
    folder: Path,
    *,
    scheme: IdScheme | None = None,
    language: str | None = None,
    source: str | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base from one table.

    Args:
        file: `.tsv`, `.csv` or `.txt` (also `.gz`, `.bz2` or `.xz`), `.jsonl` or `.parquet`; see
            `bioelx_bench.io.tables`. A dictionary of `id||name` lines is taken as English unless `language` is given.
        name: The knowledge base's name.
        folder: The output.
        scheme: What the ids are of; by default the scheme of the first row's id, if only one known scheme has it,
            else UMLS. A row with an id of another one is an error.
        language: Language of rows that give none.
        source: The source of names whose row gives none; by default `name`.
        licence: The table's licence, for the manifest.
        progress: Shows progress.

    Raises:
        MissingError: There is no such file.
        UsageError: Its kind is unknown, the default source is not one, or the output exists.
        DataError: Its content is not a table of names; says file and line.
        BenchError: The disk is full.
    """
    table = open_table(file, headerless=("id", "name"))
    described = describe_file(file, licence=licence)
    default = name if source is None else source
    if why := schemas.validation_error("source", default):
        raise UsageError(f"{default!r} cannot be a source", where="--source", why=why)
    if language is not None and (why := schemas.validation_error("language", language)):
        raise UsageError(f"{language!r} is not a language", where="--language", why=why)
    if language is None and table.is_dictionary():
        language = "en"
    scheme = scheme or scheme_of(table)
    reader = TableReader(table, default, scheme, language)
    return build_knowledge_base(
        folder,
        name,
        lambda: Rows(names=reader.batches(), id_scheme=scheme, counts=reader.counts),
        files=[described],
        filters={"builder": "table", "default_source": default, "ids": scheme.name, "language": language},
        progress=progress,
    )


def scheme_of(table: TableFile) -> IdScheme:
    """The one known scheme that the first row's id is of, else UMLS."""
    row = next((row for _, row in table.rows()), {})
    column = next((name for name in COLUMNS["id"] if name in row), None)
    names = schemes_of(str(row[column])) if column is not None else []
    return SCHEMES[names[0]] if len(names) == 1 else UMLS


def read_table(file: Path, default_source: str) -> Iterable[pa.RecordBatch]:
    """The names of a table of CUIs in the schema `schemas.NAMES`; errors as for `TableReader.batches`."""
    return TableReader(open_table(file), default_source).batches()
