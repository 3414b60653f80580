"""A user's own mentions from a table.

Columns: `mention` and `gold` (or `cui`) are required. `gold` holds one concept id, several joined by `|` or as
`bioelx_bench.schemes` reads them, or in JSON a list. Optional: `id`, `document_id`, `context`, `start` and `end` (or
`spans`, a list of `{start, end}`, in text as `0-5;8-12`), `language` (or `lang`), `semantic_types` (as `gold`). A
text file of `id||mention` lines has no header.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.io.tables import open_table
from bioelx_bench.options import Options, did_you_mean
from bioelx_bench.records import Document, LabelledMention, Span
from bioelx_bench.schemes import list_text

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
    "lang",
    "semantic_types",
)
SAME: Final[Mapping[str, str]] = {"cui": "gold", "lang": "language"}
"""Columns that may be named otherwise."""

LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
SPANS: Final = re.compile(r"\d{1,9}-\d{1,9}(;\d{1,9}-\d{1,9})*", re.ASCII)
INTEGER: Final = re.compile(r"(\d{1,9})(\.0*)?", re.ASCII)
NO_POSITION: Final = frozenset(("", "-1", "-1.0"))

SPEC: Final = DatasetSpec(
    name="table",
    benchmark=False,
    summary="Your own mentions in a CSV, TSV, JSON lines or Parquet file (-D path=)",
    factory="bioelx_bench.datasets.table:Table",
    options="bioelx_bench.datasets.table:TableOptions",
    revisions=("user",),
    subsets=("all",),
    open_subsets=True,
    splits=("all",),
    licence="your own",
    homepage="",
    context="as given",
    id_scheme="",
)


class TableOptions(Options):
    """Options of the dataset `table`."""

    path: str = Field(
        description="file in CSV, TSV, JSON lines or Parquet, text also compressed, or id||mention lines"
    )
    language: str = Field("en", description="language of rows without one", pattern=r"^[a-z]{2,3}$")
    scheme: str = Field("", description="scheme of the ids, such as umls or mesh; empty recognises it")


class Table(BaseDataset):
    """Reads a user's table; the subset is `all` or a language; see `bioelx_bench.base.BaseDataset`.

    Oddities: `position_found` (the row gives no position and its context holds the mention once), `position_unknown`
    (it holds it never or several times). Counts: `rows_of_other_languages`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        options = TableOptions.model_validate(dict(request.options))
        path = Path(options.path).expanduser()
        self.file = open_table(path, where=f"-D path={options.path}", headerless=("gold", "mention"))
        self.language, self.id_scheme = options.language, options.scheme
        self.subset = request.subset
        self.sources = {path.name: remembered_hash(path, request.cache)}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row, in the order of the file."""
        languages: set[str] = set()
        for mention, _ in self.with_places():
            languages.add(mention.language)
            if self.subset in {"all", mention.language}:
                yield mention
            else:
                self.counts["rows_of_other_languages"] += 1
        if not languages:
            raise DataError("the table has no rows", where=self.file.path)
        known = ["all", *sorted(languages)]
        if self.subset not in known:
            raise UsageError(
                f"the table has no subset {self.subset!r}{did_you_mean(self.subset, known)}",
                where=self.file.path,
            )

    def place(self, identifier: str) -> str | None:
        """The line on which an id stands for the second time."""
        found = [place for mention, place in self.with_places() if mention.id == identifier]
        return found[1] if len(found) > 1 else None

    def with_places(self) -> Iterator[tuple[LabelledMention, str]]:
        """The mention of every row, and where it stands."""
        checked: set[str] = set()
        for number, (line, cells) in enumerate(self.file.rows()):
            place = self.file.place(line)
            if not cells.keys() <= checked:
                check_columns(cells, place)
                checked |= cells.keys()
            row = {SAME.get(column, column): value for column, value in cells.items() if not is_empty(value)}
            yield self.mention(row, number, place), place

    def mention(self, row: Mapping[str, Any], number: int, place: str) -> LabelledMention:
        """The mention of one row."""
        text = text_of(row, "mention", place)
        if not text:
            raise DataError("the row has no mention", where=place)
        language = text_of(row, "language", place) or self.language
        if not LANGUAGE.fullmatch(language):
            raise DataError(f"the language {language!r} is no ISO 639 code such as 'de'", where=place)
        context = text_of(row, "context", place)
        spans, odd = find_spans(row, context, text, place)
        identifier = text_of(row, "id", place) or f"table/{language}/{number:05d}"
        return LabelledMention(
            id=identifier,
            document=Document(text_of(row, "document_id", place) or identifier, context, language),
            spans=spans,
            text=text,
            language=language,
            gold=values_of(row, "gold", place),
            semantic_types=types_of(row, place),
            oddities=odd,
        )


def check_columns(cells: Mapping[str, Any], place: str) -> None:
    """Refuse a row whose columns cannot be meant.

    Raises:
        UsageError: A column is unknown, named twice in other words, or there is none for the gold.
    """
    for column in cells:
        if column not in COLUMNS:
            raise UsageError(
                f"unknown column {column!r}{did_you_mean(column, COLUMNS)}",
                where=place,
                why="a misspelt column would be left out silently",
                hint=f"columns are {', '.join(COLUMNS)}",
            )
    for other, column in SAME.items():
        if other in cells and column in cells:
            raise UsageError(f"the columns {other!r} and {column!r} are the same", where=place)
    if "mention" not in cells:
        raise DataError("the row has no mention", where=place)
    if not {"gold", "cui"} & cells.keys():
        raise DataError("the row has no gold", where=place, hint="name the column of the ids `gold`")


def is_empty(value: Any) -> bool:
    """Whether a cell is none: pandas writes NaN where a value is missing."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def find_spans(
    row: Mapping[str, Any], context: str, text: str, place: str
) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The mention's spans, as given or found, and what was odd."""
    given = given_spans(row, place)
    if given:
        found = " ".join(context[span.start : span.end] for span in given)
        if any(not span.start < span.end <= len(context) for span in given) or found != text:
            raise DataError(
                f"the position gives {found[:60]!r}, the mention is {text[:60]!r}",
                where=place,
                why="start and end count characters of `context` from 0, end exclusive",
            )
        return given, ()
    if context and context.count(text) == 1:
        start = context.index(text)
        return (Span(start, start + len(text)),), ("position_found",)
    return (), ("position_unknown",) if context else ()


def given_spans(row: Mapping[str, Any], place: str) -> tuple[Span, ...]:
    """The spans that a row gives, in the order of the text; empty if it gives none."""
    spans = row.get("spans")
    if isinstance(spans, str):
        if not SPANS.fullmatch(spans):
            raise DataError(f"spans must look like 0-5;8-12, not {spans[:40]!r}", where=place)
        spans = [dict(zip(("start", "end"), part.split("-"), strict=True)) for part in spans.split(";")]
    elif not spans:
        spans = [] if str(row.get("start", "")).strip() in NO_POSITION else [row]
    if not isinstance(spans, list):
        raise DataError("spans must be a list of {start, end}", where=place)
    found = [Span(integer(span, "start", place), integer(span, "end", place)) for span in spans]
    return tuple(sorted(found, key=lambda span: (span.start, span.end)))


def integer(row: Any, key: str, place: str) -> int:
    """A whole number of a row; pandas writes `3.0` where the column has an empty cell."""
    found = row.get(key) if isinstance(row, Mapping) else None
    number = INTEGER.fullmatch(str(found).strip())
    if isinstance(found, bool) or number is None:
        raise DataError(f"{key!r} must be a whole number, not {str(found)[:40]!r}", where=place)
    return int(number[1])


def text_of(row: Mapping[str, Any], key: str, place: str) -> str:
    """A text of a row, or the text of a whole number; empty if it has none."""
    found = row.get(key, "")
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if (
        isinstance(found, bool)
        or not isinstance(found, str | int)
        or (key == "mention" and not isinstance(found, str))
    ):
        raise DataError(f"{key!r} must be text, not {type(found).__name__}", where=place)
    return str(found)


def values_of(row: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    """The texts or whole numbers of a cell that holds one or a list of them, as they are written."""
    found = row.get(key, [])
    values = found if isinstance(found, list) else [found]
    kept = [value for value in values if not is_empty(value)]
    if any(isinstance(value, bool) or not isinstance(value, str | int | float) for value in kept):
        raise DataError(f"{key!r} must be text or a list of texts", where=place)
    return tuple(text_of({key: value}, key, place) for value in kept)


def types_of(row: Mapping[str, Any], place: str) -> tuple[str, ...]:
    """The semantic types: a list, a list written as text, or one text with `|` between them."""
    values = values_of(row, "semantic_types", place)
    if len(values) == 1:
        items = list_text(values[0]) if values[0].startswith("[") else None
        values = tuple(values[0].split("|")) if items is None else tuple(map(str, items))
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))
