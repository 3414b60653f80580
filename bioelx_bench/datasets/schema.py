"""The one table schema of every benchmark, and its equivalence with `records.LabelledMention`.

| column | type | meaning |
|---|---|---|
| `id` | string | stable identifier of the mention, such as `xl-bel/de/0017` |
| `document_id` | string | the document; mentions with one `document_id` are not independent |
| `mention` | string | surface string, exactly as the dataset gives it |
| `context` | string | what a ranker may see; empty where the dataset has no context |
| `start`, `end` | int32 | outer range of the mention in `context`, half-open; both -1 where there is none |
| `spans` | list of {`start`, `end`} | its pieces in `context`, several for a discontinuous mention |
| `gold` | list of string | concept ids that count as right |
| `semantic_types` | list of string | semantic types (TUIs) the dataset annotates |
| `language` | string | ISO 639-1 code |
| `oddities` | list of string | what was odd in the row and how it was read, such as `offset_repaired` |

`oddities` is no part of the content's hash: how a row was read shows in the other columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.records import Document, LabelledMention, Span

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

COLUMNS: Final = (
    "id",
    "document_id",
    "mention",
    "context",
    "start",
    "end",
    "spans",
    "gold",
    "semantic_types",
    "language",
    "oddities",
)
"""Columns in their order."""

NO_POSITION: Final = -1
"""`start` and `end` of a mention whose position the dataset does not give."""


def arrow_schema() -> pa.Schema:
    """The schema for Arrow, whose files need no `datasets` to be read or written."""
    import pyarrow as pa

    span = pa.struct([pa.field("start", pa.int32()), pa.field("end", pa.int32())])
    others = {
        "context": pa.large_string(),
        "start": pa.int32(),
        "end": pa.int32(),
        "spans": pa.list_(span),
        **dict.fromkeys(("gold", "semantic_types", "oddities"), pa.list_(pa.string())),
    }
    return pa.schema([pa.field(name, others.get(name, pa.string())) for name in COLUMNS])


def features() -> Features:
    """The schema as `datasets.Features`."""
    from datasets import Features

    return Features.from_arrow_schema(arrow_schema())


def row_of(mention: LabelledMention) -> dict[str, Any]:
    """The table row of a mention."""
    spans = mention.spans
    return {
        "id": mention.id,
        "document_id": mention.document.id,
        "mention": mention.text,
        "context": mention.document.text,
        "start": min(span.start for span in spans) if spans else NO_POSITION,
        "end": max(span.end for span in spans) if spans else NO_POSITION,
        "spans": [{"start": span.start, "end": span.end} for span in spans],
        "gold": list(mention.gold),
        "semantic_types": list(mention.semantic_types),
        "language": mention.language,
        "oddities": list(mention.oddities),
    }


def content_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row identifies the data: all but `oddities`."""
    return {key: value for key, value in row.items() if key != "oddities"}


def mentions_of(batch: pa.RecordBatch, document: Document | None = None) -> Iterator[LabelledMention]:
    """The mentions of some rows, the inverse of `row_of`.

    Args:
        batch: Rows with the columns of the schema.
        document: The last document of the rows before; mentions of one document share one object and text.
    """
    import pyarrow.compute as pc

    if not batch.num_rows:
        return
    columns = {name: batch.column(name) for name in COLUMNS}
    contexts, ids = columns["context"], columns["document_id"]
    repeats = pc.and_(pc.equal(contexts[1:], contexts[:-1]), pc.equal(ids[1:], ids[:-1])).to_pylist()
    spans = spans_of(columns["spans"])
    lists = {key: columns[key].to_pylist() for key in ("id", "mention", "language", "gold", "semantic_types")}
    for number, (identifier, text, language, gold, types, odd, repeated) in enumerate(
        zip(*lists.values(), columns["oddities"].to_pylist(), [False, *repeats], strict=True)
    ):
        if not repeated or document is None or document.language != language:
            found = Document(ids[number].as_py(), contexts[number].as_py(), language)
            document = document if document == found else found
        yield LabelledMention(
            identifier, document, spans[number], text, language, tuple(gold), tuple(types), tuple(odd)
        )


def spans_of(column: pa.ListArray) -> list[tuple[Span, ...]]:
    """The spans of each row."""
    pieces = column.flatten()
    starts, ends = pieces.field("start").to_pylist(), pieces.field("end").to_pylist()
    found = [Span(start, end) for start, end in zip(starts, ends, strict=True)]
    offsets = column.offsets.to_pylist()
    first = offsets[0] if offsets else 0
    return [tuple(found[start - first : end - first]) for start, end in pairwise(offsets)]
