"""Columns of the rows that every builder feeds to `bioelx_bench.kb.build`, and what their values must be.

The column `cui` holds the concept id, of whatever scheme the rows declare.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from bioelx_bench.schemes import UMLS, IdScheme

NAMES: Final = pa.schema(
    [
        pa.field("cui", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("preferred", pa.bool_(), nullable=False),
    ]
)
"""A name of a concept."""

DEFINITIONS: Final = pa.schema(
    [
        pa.field("cui", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)
"""A definition of a concept."""

SEMANTIC_TYPES: Final = pa.schema(
    [pa.field("cui", pa.string(), nullable=False), pa.field("tui", pa.string(), nullable=False)]
)
"""A semantic type of a concept."""

RETIRED: Final = pa.schema(
    [pa.field("cui", pa.string(), nullable=False), pa.field("successor", pa.string(), nullable=False)]
)
"""A concept that a release retired and one that took its place; `successor` is empty if none did."""

CUI_PATTERN: Final = r"^C[0-9]{7}$"
TUI_PATTERN: Final = r"^T[0-9]{3}$"
LANGUAGE_PATTERN: Final = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
SOURCE_PATTERN: Final = r"^[^\x00-\x20|\x7f]([^\x00-\x1f|\x7f]*[^\x00-\x20|\x7f])?$"
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"

RULES: Final = {
    "cui": (re.compile(CUI_PATTERN), "a CUI is the letter C and seven digits"),
    "tui": (re.compile(TUI_PATTERN), "a semantic type is the letter T and three digits"),
    "language": (
        re.compile(LANGUAGE_PATTERN),
        "a language is a lower-case ISO 639 code such as en or de (UMLS writes ENG, GER)",
    ),
    "source": (re.compile(SOURCE_PATTERN), "a source is a short name without '|' or control characters"),
    "name": (re.compile(NAME_PATTERN), "a name is not empty and has no line breaks or control characters"),
}
"""For each column, its pattern and the sentence that explains it."""


def validation_error(column: str, value: str, scheme: IdScheme = UMLS) -> str | None:
    """Why `value` cannot stand in `column`, or None if it can; concept ids must be of the scheme."""
    if column == "cui" and scheme is not UMLS:
        return (
            None if scheme.matches(value) else f"an id of the scheme {scheme.name} matches {scheme.pattern}"
        )
    pattern, sentence = RULES[column]
    return None if pattern.fullmatch(value) else sentence
