"""Describing prepared subsets: counts, and real examples with the mention marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from bioelx_bench.datasets.context import cut_window
from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.records import LabelledMention, Span

EXAMPLE_WINDOW: Final = 240


def describe(prepared: PreparedSubset, limit: int) -> dict[str, Any]:
    """A subset as JSON, with its first `limit` mentions as examples."""
    return {
        "documents": prepared.documents,
        "mentions": len(prepared),
        "sha256": prepared.sha256,
        "id_scheme": prepared.id_scheme,
        "counts": prepared.counts,
        "sources": dict(prepared.sources),
        "examples": [example(mention) for mention in islice(prepared.mentions(), limit)],
    }


def example(mention: LabelledMention) -> dict[str, Any]:
    """A mention as JSON, its context cut to what one can read and marked with `[[` and `]]`."""
    text, spans = cut_window(mention.document.text, mention.spans, EXAMPLE_WINDOW)
    return {
        "id": mention.id,
        "mention": mention.text,
        "context": text,
        "spans": [[span.start, span.end] for span in spans],
        "marked": mark(text, spans, "[[", "]]"),
        "gold": list(mention.gold),
        "semantic_types": list(mention.semantic_types),
        "language": mention.language,
        "oddities": list(mention.oddities),
    }


def mark(text: str, spans: Sequence[Span], opening: str, closing: str) -> str:
    """The text with marks around each span of one mention."""
    for span in sorted(spans, key=lambda span: span.start, reverse=True):
        marked = f"{opening}{text[span.start : span.end]}{closing}"
        text = text[: span.start] + marked + text[span.end :]
    return text
