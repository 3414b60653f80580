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
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.records import Document, LabelledMention, Span

if TYPE_CHECKING:
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
)
"""Columns in their order."""

NO_POSITION: Final = -1
"""`start` and `end` of a mention whose position the dataset does not give."""


def features() -> Features:
    """The schema as `datasets.Features`."""
    from datasets import Features, Value

    text, position = Value("string"), Value("int32")
    return Features(
        {
            "id": text,
            "document_id": text,
            "mention": text,
            "context": Value("large_string"),
            "start": position,
            "end": position,
            "spans": [{"start": position, "end": position}],
            "gold": [text],
            "semantic_types": [text],
            "language": text,
        }
    )


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
    }


def mention_of(row: Mapping[str, Any], document: Document | None = None) -> LabelledMention:
    """The mention of a table row, the inverse of `row_of`.

    Args:
        row: A row with the columns of the schema.
        document: A document made for an earlier row, taken when it is this row's too, so that the mentions of
            one abstract share one text in memory.
    """
    same = document is not None and document.id == row["document_id"] and document.text == row["context"]
    return LabelledMention(
        id=row["id"],
        document=document
        if same and document is not None
        else Document(row["document_id"], row["context"], row["language"]),
        spans=tuple(Span(span["start"], span["end"]) for span in row["spans"]),
        text=row["mention"],
        language=row["language"],
        gold=tuple(row["gold"]),
        semantic_types=tuple(row["semantic_types"]),
    )
