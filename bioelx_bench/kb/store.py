"""Reading a knowledge base folder. Opening maps files into memory; nothing is made per name.

A folder holds:

- `manifest.json`: `KbManifest`, written last;
- `concepts.arrow`: column `id` (string, sorted in byte order), `semantic_types` (list of string);
- `names.arrow`: columns `text` (string), `language` (int16 code), `source` (int32 code), `preferred`
  (bool); rows grouped by concept in the order of `concepts.arrow`, within a concept preferred names first,
  then by language and text, one row for each (language, text). Every record batch but the last has
  `BATCH_ROWS` rows;
- `name_offsets.npy`: int64, shape (concepts + 1,): rows of concept `i` are `[offsets[i], offsets[i + 1])`;
- `name_concepts.npy`: int32, shape (names,): concept row of each name row;
- `concept_numbers.npy`, only where the ids are CUIs: int32, shape (concepts,): their digits, ascending;
- `definitions.arrow`: columns `concept` (int32 row, sorted), `text`, `source`;
- `retired.arrow`, only where a release's history was read: columns `cui` (sorted), `successor` (empty where a
  concept was retired without one);
- `crosswalk.arrow`, only where one was added: columns `scheme`, `id` (sorted together), `concept_id`;
- `seal.json`: sizes and hashes of these files (see `bioelx_bench.integrity`).

Language and source codes index the lists in the manifest. A source code stands for all sources that give the
name: `MONDO`, or `DOID|MONDO` where two do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.kb.crosswalk import Crosswalk
from bioelx_bench.kb.manifest import FORMAT, KbManifest
from bioelx_bench.records import Concept, Name
from bioelx_bench.schemes import ANY, UMLS, IdScheme, find_scheme

BATCH_ROWS: Final = 1 << 16
FILES: Final = (
    "concepts.arrow",
    "names.arrow",
    "name_offsets.npy",
    "name_concepts.npy",
    "definitions.arrow",
)
NUMBERS: Final = "concept_numbers.npy"
SCAN_FROM: Final = 4096
"""So many ids at once are found faster by a hash table over all concepts than by a binary search for each."""


class KnowledgeBase:
    """A knowledge base folder, opened with `KnowledgeBase.open`."""

    def __init__(self, folder: Path, manifest: KbManifest, scheme: IdScheme) -> None:
        self.folder = folder
        self.manifest = manifest
        self.scheme = scheme

    @classmethod
    def open(cls, folder: Path) -> KnowledgeBase:
        """Open a folder.

        Raises:
            MissingError: There is no knowledge base in it.
            DataError: Its manifest is not one this version reads, or a file is missing.
        """
        path = folder / "manifest.json"
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(
                f"there is no knowledge base in {folder}",
                where=path,
                hint="bioelx-bench kb build table FILE --name NAME --output FOLDER makes one",
            ) from error
        try:
            manifest = KbManifest.model_validate_json(text)
        except ValidationError as error:
            raise damaged(folder, f"its manifest cannot be read: {error}") from error
        if manifest.format != FORMAT:
            raise DataError(
                f"the knowledge base has format {manifest.format}, this version reads {FORMAT}",
                where=path,
                hint="build it again",
            )
        scheme = find_scheme(manifest.id_scheme, str(path))
        needed = [*FILES, NUMBERS] if scheme is UMLS else FILES
        if missing := [file for file in needed if not (folder / file).is_file()]:
            raise damaged(folder, f"{', '.join(missing)} is missing", manifest)
        return cls(folder, manifest, scheme)

    @property
    def name(self) -> str:
        """The name it was built under."""
        return self.manifest.name

    @property
    def id_scheme(self) -> str:
        """Scheme of the concept ids: a name of `bioelx_bench.schemes.SCHEMES`, or the pattern they match."""
        return self.scheme.name

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        return self.manifest.sha256

    def __len__(self) -> int:
        """Number of concepts."""
        return self.manifest.concepts

    @property
    def name_count(self) -> int:
        """Number of name rows."""
        return self.manifest.names

    @property
    def languages(self) -> list[str]:
        """Language of each language code."""
        return self.manifest.languages

    @property
    def sources(self) -> list[str]:
        """Source of each source code."""
        return self.manifest.sources

    @cached_property
    def concepts(self) -> pa.Table:
        """Columns `id` and `semantic_types`, one row a concept, memory-mapped."""
        return self._table("concepts.arrow")

    @cached_property
    def names(self) -> pa.Table:
        """Columns `text`, `language`, `source`, `preferred`, one row a name, memory-mapped."""
        return self._table("names.arrow")

    @cached_property
    def definitions(self) -> pa.Table:
        """Columns `concept`, `text`, `source`, memory-mapped."""
        return self._table("definitions.arrow")

    @cached_property
    def retired(self) -> pa.Table | None:
        """Columns `cui` and `successor`, memory-mapped; None where no history was read."""
        return self._table("retired.arrow") if (self.folder / "retired.arrow").is_file() else None

    @cached_property
    def name_offsets(self) -> npt.NDArray[np.int64]:
        """First name row of each concept row, shape (concepts + 1,), memory-mapped."""
        return self._array("name_offsets.npy")

    @cached_property
    def name_concepts(self) -> npt.NDArray[np.int32]:
        """Concept row of each name row, shape (names,), memory-mapped."""
        return self._array("name_concepts.npy")

    @cached_property
    def concept_numbers(self) -> npt.NDArray[np.int32]:
        """The digits of each concept's CUI as a number, ascending, shape (concepts,), memory-mapped."""
        return self._array("concept_numbers.npy")

    def concept_id(self, row: int) -> str:
        """The id of a concept row."""
        if self.scheme is UMLS:
            return f"C{self.concept_numbers[row]:07d}"
        batch, offset = divmod(int(row), BATCH_ROWS)
        return str(self._id_chunks[batch][offset])

    def concept_row(self, concept_id: str) -> int | None:
        """The row of a concept, or None; a binary search in the mapped file."""
        if self.scheme is UMLS:
            digits = concept_id[1:]
            if len(digits) != 7 or concept_id[0] != "C" or not (digits.isascii() and digits.isdigit()):
                return None
            number = np.int32(int(digits))
            row = int(np.searchsorted(self.concept_numbers, number))
            return row if row < len(self) and self.concept_numbers[row] == number else None
        try:
            row = bisect_left(
                range(len(self)), concept_id.encode(), key=lambda at: self.concept_id(at).encode()
            )
        except UnicodeEncodeError:
            return None
        return row if row < len(self) and self.concept_id(row) == concept_id else None

    def concept_rows(self, concept_ids: Sequence[str]) -> npt.NDArray[np.int32]:
        """The rows of many concepts, shape (ids,); -1 for ids that the knowledge base does not have."""
        if self.scheme is UMLS:
            digits = (int(i[1:]) if UMLS.matches(i) else -1 for i in concept_ids)
            wanted = np.fromiter(digits, np.int32, len(concept_ids))
            places = np.searchsorted(self.concept_numbers, wanted).clip(max=max(len(self) - 1, 0))
            return np.where(self.concept_numbers[places] == wanted, places, -1).astype(np.int32)
        if len(concept_ids) < SCAN_FROM:
            found = (self.concept_row(concept_id) for concept_id in concept_ids)
            return np.fromiter((-1 if row is None else row for row in found), np.int32, len(concept_ids))
        known = self.concepts.column("id").combine_chunks()
        rows = pc.fill_null(pc.index_in(pa.array(concept_ids, pa.string()), value_set=known), -1)
        return np.asarray(rows.to_numpy(zero_copy_only=False), np.int32)

    @cached_property
    def _id_chunks(self) -> list[pa.Array]:
        return list(self.concepts.column("id").chunks)

    def __contains__(self, concept_id: object) -> bool:
        return isinstance(concept_id, str) and self.concept_row(concept_id) is not None

    def name_text(self, row: int) -> str:
        """The text of a name row."""
        batch, offset = divmod(row, BATCH_ROWS)
        return str(self._name_chunks[0][batch][offset])

    def concept(self, concept_id: str) -> Concept:
        """A concept with its names, semantic types and definition.

        Raises:
            KeyError: It is not in the knowledge base.
        """
        row = self.concept_row(concept_id)
        if row is None:
            raise KeyError(concept_id)
        return Concept(
            id=concept_id,
            names=self.names_of(row),
            semantic_types=self.semantic_types_of(row),
            definition=self.definition_of(row),
        )

    def semantic_types_of(self, row: int) -> tuple[str, ...]:
        """The semantic types (TUIs) of a concept row."""
        batch, offset = divmod(row, BATCH_ROWS)
        return tuple(self._type_chunks[batch][offset].as_py() or ())

    @cached_property
    def _type_chunks(self) -> list[pa.Array]:
        return list(self.concepts.column("semantic_types").chunks)

    def names_of(self, row: int) -> tuple[Name, ...]:
        """All names of a concept row, preferred ones first."""
        start, stop = int(self.name_offsets[row]), int(self.name_offsets[row + 1])
        found: list[Name] = []
        for batch in range(start // BATCH_ROWS, (stop - 1) // BATCH_ROWS + 1):
            first = max(start - batch * BATCH_ROWS, 0)
            count = min(stop - batch * BATCH_ROWS, BATCH_ROWS) - first
            columns = (chunks[batch].slice(first, count).to_pylist() for chunks in self._name_chunks)
            found += [
                Name(text, self.languages[language], self.sources[source], preferred)
                for text, language, source, preferred in zip(*columns, strict=True)
            ]
        return tuple(found)

    @cached_property
    def _name_chunks(self) -> list[list[pa.Array]]:
        return [self.names.column(column).chunks for column in ("text", "language", "source", "preferred")]

    def definition_of(self, row: int) -> str | None:
        """The first definition of a concept row, or None."""
        at = int(np.searchsorted(self._definition_rows, row))
        if at < len(self._definition_rows) and self._definition_rows[at] == row:
            return str(self._cell(self.definitions, "text", at))
        return None

    @cached_property
    def _definition_rows(self) -> npt.NDArray[np.int32]:
        chunks = self.definitions.column("concept").chunks
        # ChunkedArray.to_numpy would import pandas, half a second, for nothing.
        views = [np.frombuffer(c.buffers()[1], np.int32, len(c), c.offset * 4) for c in chunks]
        return np.concatenate(views) if views else np.empty(0, np.int32)

    def resolve_gold(self, identifier: str, scheme: str | None = None) -> tuple[str, ...]:
        """What an id stands for in this knowledge base.

        Args:
            identifier: An id in canonical form.
            scheme: Its scheme; by default, and for `any`, the knowledge base's own.

        Returns:
            For an id of the own scheme: itself where the knowledge base has it, else those of its successors
            (through several releases) that it has. For one of another scheme: the concepts that the crosswalk maps
            it to. Sorted; empty where there is none.
        """
        if not scheme or not self.is_foreign(scheme):
            return self._current(identifier)
        if not find_scheme(scheme).matches(identifier):  # data with ids of several schemes
            return self._current(identifier) if self.scheme.matches(identifier) else ()
        if self.crosswalk is None:
            return ()
        mapped = self.crosswalk.concepts(scheme, identifier)
        return tuple(sorted({current for concept_id in mapped for current in self._current(concept_id)}))

    def is_foreign(self, scheme: str) -> bool:
        """Whether ids of a scheme are none of this knowledge base's, so that only a crosswalk can map them."""
        return scheme not in ("", ANY, self.id_scheme) and not self.scheme.opaque

    @cached_property
    def crosswalk(self) -> Crosswalk | None:
        """Ids of other schemes and the concepts they stand for; None where no crosswalk was added."""
        return Crosswalk.open(self.folder)

    def _current(self, concept_id: str) -> tuple[str, ...]:
        if concept_id in self:
            return (concept_id,)
        found: set[str] = set()
        seen = {concept_id}
        waiting = [concept_id]
        while waiting:
            for successor in self._successors(waiting.pop()):
                if successor in self:
                    found.add(successor)
                elif successor not in seen:
                    seen.add(successor)
                    waiting.append(successor)
        return tuple(sorted(found))

    def _successors(self, concept_id: str) -> list[str]:
        table = self.retired
        if table is None:
            return []
        row = bisect_left(range(table.num_rows), concept_id, key=lambda at: str(self._cell(table, "cui", at)))
        found = []
        while row < table.num_rows and self._cell(table, "cui", row) == concept_id:
            if successor := str(self._cell(table, "successor", row)):
                found.append(successor)
            row += 1
        return found

    def name_batches(self, columns: Sequence[str] = ("text", "language")) -> Iterator[pa.RecordBatch]:
        """The name table in order, `BATCH_ROWS` rows at a time, without copying."""
        yield from self.names.select(list(columns)).to_batches(max_chunksize=BATCH_ROWS)

    def describe(self) -> Mapping[str, Any]:
        """The form in which a run records it."""
        found = {
            "name": self.name,
            "sha256": self.sha256,
            "id_scheme": self.id_scheme,
            "concepts": len(self),
            "names": self.name_count,
        }
        return found if self.crosswalk is None else found | {"crosswalk": self.crosswalk.sha256}

    def _table(self, file: str) -> pa.Table:
        try:
            with pa.memory_map(str(self.folder / file)) as source:
                return pa.ipc.open_file(source).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise damaged(self.folder, f"{file}: {error}", self.manifest) from error

    def _array(self, file: str) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.load(self.folder / file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise damaged(self.folder, f"{file}: {error}", self.manifest) from error
        return array

    @staticmethod
    def _cell(table: pa.Table, column: str, row: int) -> Any:
        chunks = table.column(column)
        batch, offset = divmod(row, BATCH_ROWS)
        return chunks.chunk(batch)[offset].as_py()


def damaged(folder: Path, why: str, manifest: KbManifest | None = None) -> DataError:
    """The error for a folder whose files are not those that were written."""
    builder = str(manifest.filters.get("builder", "...")) if manifest is not None else "..."
    sources = " ".join(file.path for file in manifest.files) if manifest is not None else "FILE"
    release = f"--release {sources}" if builder == "umls" else sources
    name = manifest.name if manifest is not None else "NAME"
    return DataError(
        "the knowledge base is damaged",
        where=folder,
        why=why,
        hint=f"remove it and build it again: "
        f"bioelx-bench kb build {builder} {release} --name {name} --output {folder}",
    )
