"""A user's own mentions from a table.

Columns: `mention` and `gold` (or `cui`) are required. `gold` holds one concept id, several joined by `|`,
or in JSON a list. Optional: `id`, `document_id`, `context`, `start` and `end` (or `spans`, a list of
`{start, end}`, in CSV as `0-5;8-12`), `language`, `semantic_types` (as `gold`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.rows import read_rows
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.datasets.text import unique
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.options import Options, did_you_mean
from bioelx_bench.records import Document, LabelledMention, Span

COLUMNS: Final = (
    "mention",
    "gold",
    "cui",
    "id",
    "document_id",
    "context",
    "start",
    "end",
    "spans",
    "language",
    "semantic_types",
)
LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
SPANS: Final = re.compile(r"\d{1,9}-\d{1,9}(;\d{1,9}-\d{1,9})*", re.ASCII)
INTEGER: Final = re.compile(r"\d{1,9}", re.ASCII)


class TableOptions(Options):
    """Options of the dataset `table`."""

    path: str = Field(
        description="file in CSV, TSV, JSON lines or Parquet (gzip allowed for the first three)"
    )
    language: str = Field("en", description="language of rows without one", pattern=r"^[a-z]{2,3}$")


class Table(BaseDataset):
    """Reads a user's table; the subset is `all` or a language; see `bioelx_bench.base.BaseDataset`.

    Counts: `several_gold`, `position_found` (the context names no position and holds the mention once),
    `position_unknown` (it holds it never or several times), `rows_of_other_languages`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.path = Path(request.options["path"]).expanduser()
        self.language = str(request.options["language"])
        self.subset = request.subset
        self.rows = list(read_rows(self.path))
        if not self.rows:
            raise DataError("the table has no rows", where=self.path)
        columns = {column for _, row in self.rows for column in row}
        for column in columns - set(COLUMNS):
            raise UsageError(
                f"unknown column {column!r}{did_you_mean(column, COLUMNS)}",
                where=self.path,
                why="a misspelt column would be left out silently",
                hint=f"columns are {', '.join(COLUMNS)}",
            )
        languages = {self.language_of(row, place) for place, row in self.rows}
        if self.subset not in {"all", *languages}:
            known = ["all", *sorted(languages)]
            raise UsageError(
                f"the table has no subset {self.subset!r}{did_you_mean(self.subset, known)}",
                where=self.path,
            )
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The file, by its name."""
        return {self.path.name: remembered_hash(self.path, None)}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row, in the order of the file."""
        for number, (place, row) in enumerate(self.rows):
            language = self.language_of(row, place)
            if self.subset not in {"all", language}:
                self.counts["rows_of_other_languages"] += 1
                continue
            yield self.mention(row, number, language, place)

    def mention(self, row: Mapping[str, Any], number: int, language: str, place: str) -> LabelledMention:
        """The mention of one row."""
        text = text_of(row, "mention", place)
        gold = names_of(row, "gold" if row.get("gold") else "cui", place)
        if not text or not gold:
            raise DataError(f"the row has no {'gold' if text else 'mention'}", where=place)
        context = text_of(row, "context", place)
        spans = self.spans(row, context, text, place)
        identifier = text_of(row, "id", place) or f"table/{language}/{number:05d}"
        self.counts["several_gold"] += len(gold) > 1
        return LabelledMention(
            id=identifier,
            document=Document(text_of(row, "document_id", place) or identifier, context, language),
            spans=spans,
            text=text,
            language=language,
            gold=gold,
            semantic_types=names_of(row, "semantic_types", place),
        )

    def language_of(self, row: Mapping[str, Any], place: str) -> str:
        """The row's language."""
        language = text_of(row, "language", place) or self.language
        if not LANGUAGE.fullmatch(language):
            raise DataError(f"the language {language!r} is no ISO 639 code such as 'de'", where=place)
        return language

    def spans(self, row: Mapping[str, Any], context: str, text: str, place: str) -> tuple[Span, ...]:
        """The mention's spans, as given or found."""
        given = given_spans(row, place)
        if given:
            found = " ".join(context[span.start : span.end] for span in given)
            if any(not span.start < span.end <= len(context) for span in given) or found != text:
                raise DataError(
                    f"the position gives {found[:60]!r}, the mention is {text[:60]!r}",
                    where=place,
                    why="start and end count characters of `context` from 0, end exclusive",
                )
            return given
        if context and context.count(text) == 1:
            self.counts["position_found"] += 1
            at = context.index(text)
            return (Span(at, at + len(text)),)
        self.counts["position_unknown"] += bool(context)
        return ()


def given_spans(row: Mapping[str, Any], place: str) -> tuple[Span, ...]:
    """The spans that a row gives, in the order of the text; empty if it gives none."""
    spans = row.get("spans")
    if isinstance(spans, str) and spans:
        if not SPANS.fullmatch(spans):
            raise DataError(f"spans must look like 0-5;8-12, not {spans[:40]!r}", where=place)
        spans = [dict(zip(("start", "end"), part.split("-"), strict=True)) for part in spans.split(";")]
    elif not spans:
        spans = [row] if row.get("start") not in (None, "", -1, "-1") else []
    if not isinstance(spans, list):
        raise DataError("spans must be a list of {start, end}", where=place)
    found = [Span(integer(span, "start", place), integer(span, "end", place)) for span in spans]
    return tuple(sorted(found, key=lambda span: (span.start, span.end)))


def integer(row: Any, key: str, place: str) -> int:
    """A whole number of a row."""
    found = row.get(key) if isinstance(row, Mapping) else None
    if isinstance(found, bool) or not INTEGER.fullmatch(str(found)):
        raise DataError(f"{key!r} must be a whole number, not {str(found)[:40]!r}", where=place)
    return int(str(found))


def text_of(row: Mapping[str, Any], key: str, place: str) -> str:
    """A text of a row; empty if it has none."""
    found = row.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise DataError(f"{key!r} must be text, not {type(found).__name__}", where=place)
    return found


def names_of(row: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    """A list of strings, or one string with `|` between them."""
    found = row.get(key) or []
    values = found.split("|") if isinstance(found, str) else found
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError(f"{key!r} must be text or a list of texts", where=place)
    return unique([value.strip() for value in values if value.strip()])
