"""An alias with its provenance, and the table of them that `aliases fetch` writes.

The table is Parquet with the columns `cui`, `lang`, `name`, `source`, `preferred` (so that it is also a table that
`kb build table` reads) and `item`, `property`, `joined_by`, `date`: where each alias comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import pyarrow as pa

TABLE: Final = pa.schema(
    [
        pa.field("cui", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("preferred", pa.bool_(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("property", pa.string(), nullable=False),
        pa.field("joined_by", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
    ]
)
LABEL: Final = "rdfs:label"
ALT_LABEL: Final = "skos:altLabel"
BATCH: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name of a concept from a source of aliases.

    Attributes:
        cui: The concept.
        language: ISO 639 code; `mul` where the source says that the name holds in every language.
        text: The name as the source writes it.
        source: The collection, such as `Wikidata`.
        preferred: Whether it is the source's label, not a synonym.
        item: The source's own identifier, such as `Q86` or `HP:0002315`; empty if it has none.
        property: Where in the item it stands, such as `rdfs:label`.
        joined_by: How the item came to the concept: `P2892`, `P486`, ..., or `cui`.
        date: ISO date on which it was read from a service, or the source's release; empty if unknown.
    """

    cui: str
    language: str
    text: str
    source: str
    preferred: bool = False
    item: str = ""
    property: str = ""
    joined_by: str = "cui"
    date: str = ""


class AliasSource(Protocol):
    """What the factory of an `AliasSourceSpec` gives: aliases, and after them what was left out."""

    @property
    def counts(self) -> dict[str, int]:
        """What was read and what was left out, by kind; complete when the iteration has ended."""

    @property
    def files(self) -> dict[str, str]:
        """sha256 of each local file that is read, by its name."""

    def __iter__(self) -> Iterator[Alias]:
        """Every alias once; continues where an earlier, interrupted iteration stopped."""

    def close(self) -> None:
        """Remove what was kept for resuming; called when the table is safely written."""


def to_batches(aliases: Iterable[Alias]) -> Iterator[pa.RecordBatch]:
    """Record batches in the schema `TABLE`."""
    stream = iter(aliases)
    while block := list(islice(stream, BATCH)):
        columns = [
            [a.cui for a in block],
            [a.language for a in block],
            [a.text for a in block],
            [a.source for a in block],
            [a.preferred for a in block],
            [a.item for a in block],
            [a.property for a in block],
            [a.joined_by for a in block],
            [a.date for a in block],
        ]
        yield pa.record_batch(
            [pa.array(c, type=f.type) for c, f in zip(columns, TABLE, strict=True)], schema=TABLE
        )
