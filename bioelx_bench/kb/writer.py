"""Writing the folder of a knowledge base from staged rows, in the layout of `bioelx_bench.kb.store`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.errors import DataError
from bioelx_bench.files import sync_folder
from bioelx_bench.kb.staging import SOURCE_LIMIT, Staging
from bioelx_bench.kb.store import BATCH_ROWS
from bioelx_bench.progress import Task
from bioelx_bench.schemes import UMLS

CONCEPTS_SCHEMA: Final = pa.schema(
    [pa.field("id", pa.string()), pa.field("semantic_types", pa.list_(pa.string()))]
)
NAMES_SCHEMA: Final = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("language", pa.int16()),
        pa.field("source", pa.int32()),
        pa.field("preferred", pa.bool_()),
    ]
)
DEFINITIONS_SCHEMA: Final = pa.schema(
    [pa.field("concept", pa.int32()), pa.field("text", pa.string()), pa.field("source", pa.string())]
)
RETIRED_SCHEMA: Final = pa.schema([pa.field("cui", pa.string()), pa.field("successor", pa.string())])
MASK_BITS: Final = 63
"""Sources are gathered as bits of signed 64-bit integers."""


@dataclass(slots=True)
class Written:
    """What was written: the manifest's figures."""

    sha256: str
    concepts: int
    names: int
    definitions: int
    languages: list[str]
    sources: list[str]
    counts: dict[str, int]


class ContentHash:
    """sha256 of the content in a canonical text form, independent of files, batches and codes."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, kind: str, *columns: Any) -> None:
        """Add rows: `kind`, then each column's value with its length in bytes before it."""
        parts: list[Any] = [pa.scalar(kind)]
        for column in columns:
            parts += [pc.cast(pc.binary_length(column), pa.string()), column]
        rows = pc.binary_join_element_wise(*parts, pa.scalar("\n"), pa.scalar("\x1f"))
        for chunk in rows.chunks if isinstance(rows, pa.ChunkedArray) else [rows]:
            offsets = np.frombuffer(chunk.buffers()[1], np.int32, len(chunk) + 1, chunk.offset * 4)
            self._digest.update(memoryview(chunk.buffers()[2])[offsets[0] : offsets[-1]])

    def hexdigest(self) -> str:
        """The hash in hexadecimal."""
        return self._digest.hexdigest()


def write_layout(staging: Staging, folder: Path, definition_order: Iterable[str], task: Task) -> Written:
    """Merge, sort and write everything that is staged.

    Args:
        staging: The rows.
        folder: An existing folder that the files go to.
        definition_order: Sources whose definitions come first, best first.
        task: Is advanced by one for each name row that is written.

    Raises:
        DataError: There are no names, or too many sources.
        BenchError: The disk is full.
    """
    counts = {"rows:read": staging.scalar("SELECT count(*) FROM names")}
    if counts["rows:read"] == 0:
        raise DataError("there is no name to build a knowledge base from", where=folder)
    languages = values(staging, "SELECT DISTINCT language FROM names")
    ids = make_keys(staging)
    sets = merge_names(staging, languages)
    content = ContentHash()
    names = NameWriter(folder, languages, sets, content, ids)
    total = staging.scalar("SELECT count(*) FROM merged")
    concepts = staging.scalar("SELECT count(DISTINCT key) FROM merged")
    task.set_total(total)
    keys = names.write(staging, total, concepts, task)
    if staging.scheme is UMLS:
        save_array(folder / "concept_numbers.npy", keys)
    write_concepts(staging, folder, keys, ids(keys), content, counts)
    definitions = write_definitions(staging, folder, keys, ids, definition_order, content, counts)
    write_retired(staging, folder, content, counts)
    counts["rows:merged"] = counts["rows:read"] - total
    counts |= names.counts()
    sync_folder(folder)
    return Written(content.hexdigest(), concepts, total, definitions, languages, sets.labels, counts)


ConceptIds = Callable[[npt.NDArray[np.int32]], pa.Array]
"""Gives the concept ids of keys."""


def make_keys(staging: Staging) -> ConceptIds:
    """Make the views `keyed_names`, `keyed_types` and `keyed_definitions`, in which a number stands for each id.

    The key of a CUI is its digits; ids of other schemes are numbered in byte order. Either way keys sort as ids do,
    and -1 is the key of a concept without a name.
    """
    ordered: pa.Array | None = None
    if staging.scheme is not UMLS:
        staging.run("CREATE TABLE all_ids AS SELECT DISTINCT cui FROM names")
        ordered = staging.table("SELECT cui FROM all_ids ORDER BY encode(cui)").column(0).combine_chunks()
        keys = pa.table({"cui": ordered, "key": pa.array(np.arange(len(ordered), dtype=np.int32))})
        staging.connection.register("concept_keys", keys)
    tables = {"keyed_names": "names", "keyed_types": "semantic_types", "keyed_definitions": "definitions"}
    for view, table in tables.items():
        if ordered is None:
            query = f"SELECT CAST(substr(cui, 2) AS INTEGER) AS key, * FROM {table}"  # noqa: S608
        else:
            query = f"SELECT coalesce(key, -1) AS key, t.* FROM {table} t LEFT JOIN concept_keys USING (cui)"  # noqa: S608
        staging.run(f"CREATE VIEW {view} AS {query}")
    if ordered is None:
        return cuis_of
    return lambda keys: ordered.take(pa.array(keys))


def values(staging: Staging, sql: str) -> list[str]:
    """A query's one column, in byte order."""
    return sorted((str(row[0]) for row in staging.rows(sql)), key=str.encode)


@dataclass(slots=True)
class SourceSets:
    """The sets of sources that merged name rows come from; a row's source code indexes `labels`."""

    labels: list[str]
    members: list[list[str]]


def merge_names(staging: Staging, languages: list[str]) -> SourceSets:
    """Make the table `merged`: one row for each (concept, language, text), with the set of its sources.

    A row is preferred if any source prefers it. Its sources are kept as one label, sorted and joined by `|`,
    so that nothing is lost; bits gather them because, unlike lists, they let DuckDB group beyond memory.
    """
    sources = values(staging, "SELECT DISTINCT source FROM names")
    if len(sources) > SOURCE_LIMIT:
        raise DataError(
            f"{len(sources)} different sources are more than the limit of {SOURCE_LIMIT}",
            where="column source",
            why="a source is a vocabulary, not an identifier of a row",
            hint="put the vocabulary's name into the column source",
        )
    words = range((len(sources) + MASK_BITS - 1) // MASK_BITS)
    staging.connection.register("source_codes", code_table(sources))
    staging.connection.register("language_codes", code_table(languages))
    masks = ", ".join(
        f"bit_or(CASE WHEN s.code // {MASK_BITS} = {w} THEN 1::BIGINT << (s.code % {MASK_BITS}) ELSE 0 END)"
        f" AS m{w}"
        for w in words
    )
    staging.run(
        f"""CREATE TABLE merged AS
        SELECT key, CAST(l.code AS SMALLINT) AS language, name,
               bool_or(preferred) AS preferred, {masks}
        FROM keyed_names n JOIN source_codes s ON n.source = s.value
        JOIN language_codes l ON n.language = l.value
        GROUP BY ALL"""  # noqa: S608
    )
    staging.run("DROP VIEW keyed_names")
    staging.run("DROP TABLE names")
    columns = ", ".join(f"m{w}" for w in words)
    rows = staging.rows(f"SELECT DISTINCT {columns} FROM merged")  # noqa: S608
    members = {
        row: [s for i, s in enumerate(sources) if row[i // MASK_BITS] >> (i % MASK_BITS) & 1] for row in rows
    }
    ordered = sorted(rows, key=lambda row: [m.encode() for m in members[row]])
    codes = {f"m{w}": [row[w] for row in ordered] for w in words}
    table = pa.table({**codes, "code": pa.array(range(len(ordered)), pa.int32())})
    staging.connection.register("set_codes", table)
    return SourceSets(["|".join(members[row]) for row in ordered], [members[row] for row in ordered])


def code_table(items: list[str]) -> pa.Table:
    """A table that numbers strings in the order given."""
    return pa.table({"value": pa.array(items, pa.string()), "code": pa.array(range(len(items)), pa.int32())})


def cuis_of(numbers: npt.NDArray[np.int32]) -> pa.Array:
    """CUIs of their numbers."""
    return pc.binary_join_element_wise("C", pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 7, "0"), "")


class NameWriter:
    """Writes the name table with its two index arrays and keeps count of languages and sources."""

    def __init__(
        self, folder: Path, languages: list[str], sets: SourceSets, content: ContentHash, ids: ConceptIds
    ) -> None:
        self.folder = folder
        self.ids = ids
        self.languages = languages
        self.sets = sets
        self.content = content
        self._by_language = np.zeros(len(languages), np.int64)
        self._by_set = np.zeros(len(sets.labels), np.int64)
        self._preferred = 0

    def write(self, staging: Staging, total: int, concepts: int, task: Task) -> npt.NDArray[np.int32]:
        """Write `names.arrow`, `name_offsets.npy` and `name_concepts.npy`; gives the concepts' keys."""
        keys = np.empty(concepts, np.int32)
        offsets = np.empty(concepts + 1, np.int64)
        name_concepts = np.empty(total, np.int32)
        written, seen, previous = 0, 0, -1
        with arrow_writer(self.folder / "names.arrow", NAMES_SCHEMA) as writer:
            for batch in exact_batches(sorted_names(staging)):
                found = batch.column("key").to_numpy()
                if int(found[0]) < previous or np.any(np.diff(found) < 0):
                    raise RuntimeError("DuckDB gave the sorted names out of order")
                starts = np.flatnonzero(np.diff(found, prepend=previous))
                keys[seen : seen + len(starts)] = found[starts]
                offsets[seen : seen + len(starts)] = written + starts
                new = np.zeros(len(found), np.int32)
                new[starts] = 1
                name_concepts[written : written + len(found)] = seen - 1 + np.cumsum(new)
                written, seen, previous = written + len(found), seen + len(starts), int(found[-1])
                self._record(batch)
                writer.write_batch(batch.drop_columns(["key"]).select(NAMES_SCHEMA.names).cast(NAMES_SCHEMA))
                task.advance(len(found))
        offsets[concepts] = written
        save_array(self.folder / "name_offsets.npy", offsets)
        save_array(self.folder / "name_concepts.npy", name_concepts)
        return keys

    def _record(self, batch: pa.RecordBatch) -> None:
        language, source = batch.column("language"), batch.column("source")
        self._by_language += np.bincount(language.to_numpy(), minlength=len(self._by_language))
        self._by_set += np.bincount(source.to_numpy(), minlength=len(self._by_set))
        self._preferred += batch.column("preferred").true_count
        self.content.update(
            "name",
            self.ids(batch.column("key").to_numpy()),
            pc.take(pa.array(self.languages), language),
            pc.take(pa.array(self.sets.labels), source),
            pc.cast(batch.column("preferred"), pa.string()),
            batch.column("text"),
        )

    def counts(self) -> dict[str, int]:
        """Names by language and by source; a name of two sources counts for each."""
        by_source: dict[str, int] = {}
        for members, rows in zip(self.sets.members, self._by_set.tolist(), strict=True):
            for member in members:
                by_source[member] = by_source.get(member, 0) + rows
        found = {f"language:{n}": int(c) for n, c in zip(self.languages, self._by_language, strict=True)}
        found |= {f"source:{name}": by_source[name] for name in sorted(by_source, key=str.encode)}
        return found | {"names:preferred": self._preferred}


def sorted_names(staging: Staging) -> Iterator[pa.RecordBatch]:
    """The merged names in the order of the layout, with source codes."""
    columns = [row[0] for row in staging.rows("DESCRIBE set_codes") if row[0] != "code"]
    using = ", ".join(columns)
    yield from staging.stream(
        f"""SELECT key, name AS text, language, code AS source, preferred
        FROM merged JOIN set_codes USING ({using})
        ORDER BY key, preferred DESC, language, name""",  # noqa: S608
        BATCH_ROWS,
    )


def exact_batches(batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `rows` rows, but for the last."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.num_rows
        if held >= rows:
            table = pa.Table.from_batches(waiting)
            whole = held - held % rows
            yield from (
                table.slice(at, rows).combine_chunks().to_batches()[0] for at in range(0, whole, rows)
            )
            held -= whole
            waiting = table.slice(whole).to_batches() if held else []
    if held:
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


def write_concepts(
    staging: Staging,
    folder: Path,
    keys: npt.NDArray[np.int32],
    ids: pa.Array,
    content: ContentHash,
    counts: dict[str, int],
) -> None:
    """Write `concepts.arrow`; semantic types of concepts without a name are counted and left out."""
    rows = staging.table(
        "SELECT DISTINCT key, tui, if(key < 0, cui, '') AS nameless FROM keyed_types ORDER BY key, tui"
    )
    owners = rows.column("key").to_numpy()
    known = np.isin(owners, keys)
    counts["semantic_types:dropped_without_name"] = int(len(owners) - known.sum())
    counts["semantic_types"] = int(known.sum())
    types = rows.column("tui").filter(pa.array(known)).combine_chunks()
    edges = np.searchsorted(owners[known], np.append(keys, np.iinfo(np.int32).max))
    lists = pa.ListArray.from_arrays(pa.array(edges, pa.int32()), pa.array(types, pa.string()))
    table = pa.table([ids, lists], schema=CONCEPTS_SCHEMA)
    with arrow_writer(folder / "concepts.arrow", CONCEPTS_SCHEMA) as writer:
        for batch in exact_batches(table.to_batches()):
            writer.write_batch(batch)
            content.update("concept", batch.column("id"), pc.binary_join(batch.column("semantic_types"), "|"))


def write_definitions(
    staging: Staging,
    folder: Path,
    keys: npt.NDArray[np.int32],
    ids: ConceptIds,
    order: Iterable[str],
    content: ContentHash,
    counts: dict[str, int],
) -> int:
    """Write `definitions.arrow`, preferred sources first within a concept; gives their number."""
    staging.connection.register("definition_order", code_table(list(dict.fromkeys(order))))
    staging.connection.register("named", pa.table({"key": pa.array(keys)}))
    distinct = staging.scalar("SELECT count(*) FROM (SELECT DISTINCT cui, text, source FROM definitions)")
    written = 0
    query = """SELECT key, text, source, coalesce(code, 2147483647) AS place
        FROM (SELECT DISTINCT key, text, source FROM keyed_definitions) d
        JOIN named USING (key) LEFT JOIN definition_order o ON d.source = o.value
        ORDER BY key, place, source, text"""
    with arrow_writer(folder / "definitions.arrow", DEFINITIONS_SCHEMA) as writer:
        for batch in exact_batches(staging.stream(query, BATCH_ROWS)):
            owners = batch.column("key").to_numpy()
            text, source = batch.column("text"), batch.column("source")
            concept = pa.array(np.searchsorted(keys, owners).astype(np.int32))
            writer.write_batch(pa.record_batch([concept, text, source], schema=DEFINITIONS_SCHEMA))
            content.update("definition", ids(owners), source, text)
            written += batch.num_rows
    counts["definitions:dropped_without_name"] = distinct - written
    return written


def write_retired(staging: Staging, folder: Path, content: ContentHash, counts: dict[str, int]) -> None:
    """Write `retired.arrow`, sorted, where there are retired concepts."""
    rows = staging.table("SELECT DISTINCT cui, successor FROM retired ORDER BY cui, successor")
    rows = rows.cast(RETIRED_SCHEMA)
    if rows.num_rows == 0:
        return
    counts["retired"] = rows.num_rows
    with arrow_writer(folder / "retired.arrow", RETIRED_SCHEMA) as writer:
        for batch in exact_batches(rows.to_batches()):
            writer.write_batch(batch)
            content.update("retired", batch.column("cui"), batch.column("successor"))


class arrow_writer:  # noqa: N801 - used as a function
    """An Arrow file that is forced to the disk when it is closed."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")
        self._writer = pa.ipc.new_file(self._file, schema)

    def __enter__(self) -> Any:
        return self._writer

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Save an array as `.npy`, forced to the disk."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
