"""Crosswalks: what ids of other schemes stand for in a knowledge base, kept as a table in its folder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioelx_bench.errors import DataError
from bioelx_bench.files import hash_file

FILE: Final = "crosswalk.arrow"
SCHEMA: Final = pa.schema(
    [pa.field("scheme", pa.string()), pa.field("id", pa.string()), pa.field("concept_id", pa.string())]
)


class Crosswalk:
    """The table of a knowledge base folder, sorted by scheme and id, memory-mapped."""

    def __init__(self, table: pa.Table, sha256: str) -> None:
        self._columns = [table.column(name).combine_chunks() for name in SCHEMA.names]
        self._rows: int = table.num_rows
        self.sha256 = sha256

    @classmethod
    def open(cls, folder: Path) -> Crosswalk | None:
        """The crosswalk in a knowledge base's folder, or None.

        Raises:
            DataError: It is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all().cast(SCHEMA)
        except (OSError, pa.ArrowException, ValueError) as error:
            raise DataError(
                "the crosswalk is damaged",
                where=path,
                why=str(error),
                hint=f"bioelx-bench kb crosswalk {folder} FILE makes it again",
            ) from error
        return cls(table, hash_file(path))

    def __len__(self) -> int:
        return self._rows

    def concepts(self, scheme: str, identifier: str) -> tuple[str, ...]:
        """The concepts that an id of another scheme stands for, sorted."""
        row = bisect_left(range(self._rows), (scheme, identifier), key=lambda at: self._key(at))
        found = []
        while row < self._rows and self._key(row) == (scheme, identifier):
            found.append(str(self._columns[2][row]))
            row += 1
        return tuple(found)

    def schemes(self) -> tuple[str, ...]:
        """Schemes that it has ids of."""
        return tuple(sorted(set(self._columns[0].unique().to_pylist())))

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """All rows as (scheme, id, concept id)."""
        return zip(*(column.to_pylist() for column in self._columns), strict=True)

    def _key(self, row: int) -> tuple[str, str]:
        return str(self._columns[0][row]), str(self._columns[1][row])
