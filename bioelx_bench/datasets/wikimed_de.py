"""WikiMed-DE (Wang, Dima, Staab 2023): links of German Wikipedia articles, mapped to UMLS through Wikidata.

Revisions: `bel` and `full` are the two upstream corpora with articles, whose context is a window of the
article. `queries` is a later split into `CUI||mention` lines without context. They are never mixed in one
table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets import registry
from bioelx_bench.datasets.archives import blocks_maybe_gzip
from bioelx_bench.datasets.context import cut_window
from bioelx_bench.datasets.json_documents import json_documents
from bioelx_bench.datasets.sources import locate
from bioelx_bench.datasets.text import CUI, decode, numbered_lines, split_fields, unique
from bioelx_bench.errors import DataError, at
from bioelx_bench.records import Document, LabelledMention, Span

NAME: Final = "wikimed-de"
ARTICLES_LIMIT: Final = 16 << 30
NONE: Final = "None"
"""What upstream writes for a missing value."""

REACH: Final = 400
"""Characters around the given offset in which a mention with a wrong offset is looked for."""


def load(request: DatasetRequest) -> BaseDataset:
    """The loader of the revision that is asked for."""
    return Queries(request) if request.revision == "queries" else Articles(request)


class Articles(BaseDataset):
    """Reads a corpus of articles; see `bioelx_bench.base.BaseDataset`.

    A mention is linked if upstream gives it a CUI. Counts: `without_cui` (mentions that are not linked and
    give no row), `several_gold`, `gold_not_cui`, `offset_repaired` (the offsets give another string, and
    the mention was found within `REACH` characters), `offset_wrong` (it was not: the mention has no
    position), `documents_without_mention` (articles without a linked mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.source = registry.wikimed_articles(request.revision)
        self.located = locate(self.source, request, NAME)
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The corpus."""
        return {self.source.path: self.located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Linked mentions, in the order of the file."""
        path = self.located.path
        blocks = blocks_maybe_gzip(path, ARTICLES_LIMIT)
        for line, article in json_documents(blocks, str(path)):
            yield from self.article(article, at(path, line))

    def article(self, article: Any, place: str) -> Iterator[LabelledMention]:
        """The linked mentions of one article."""
        identifier = value(article, "id", str, place)
        text = value(article, "text", str, place)
        linked = 0
        for number, entry in enumerate(value(article, "mentions", list, place)):
            surface = value(entry, "mention", str, place)
            gold = listed(entry, "cui", place)
            if not gold:
                self.counts["without_cui"] += 1
                continue
            linked += 1
            span = self.position(text, surface, entry, place)
            context, spans = cut_window(text, (span,) if span else ())
            self.counts["several_gold"] += len(gold) > 1
            self.counts["gold_not_cui"] += any(not CUI.fullmatch(concept) for concept in gold)
            yield LabelledMention(
                id=f"{NAME}/{identifier}/{number:04d}",
                document=Document(f"{NAME}/{identifier}", context, "de"),
                spans=spans,
                text=surface,
                language="de",
                gold=gold,
                semantic_types=listed(entry, "tui", place),
            )
        self.counts["documents_without_mention"] += not linked

    def position(self, text: str, surface: str, entry: Any, place: str) -> Span | None:
        """The span that slices to the mention, nearest to the given offset."""
        start = value(entry, "start_index", int, place)
        end = value(entry, "end_index", int, place)
        if surface and start >= 0 and text[start:end] == surface:
            return Span(start, end)
        low = max(0, start - REACH)
        near = text[low : max(0, start + REACH + len(surface))]
        places = [low + at for at in occurrences(near, surface)]
        if not places:
            self.counts["offset_wrong"] += 1
            return None
        self.counts["offset_repaired"] += 1
        nearest = min(places, key=lambda found: (abs(found - start), found))
        return Span(nearest, nearest + len(surface))


class Queries(BaseDataset):
    """Reads `CUI||mention` lines without context; see `bioelx_bench.base.BaseDataset`.

    Counts: `several_gold`, `gold_not_cui`, `repeated_query` (an earlier row has this gold and mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.split = request.split
        self.source = registry.wikimed_queries(request.split)
        self.located = locate(self.source, request, NAME)
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The file."""
        return {self.source.path: self.located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row, in the order of the file."""
        where = str(self.located.path)
        seen: set[tuple[str, str]] = set()
        for number, line in numbered_lines(decode(self.located.path.read_bytes(), where)):
            gold, text = split_fields(line, ("CUI", "mention"), at(where, number))
            concepts = unique(gold.split("|"))
            self.counts["several_gold"] += len(concepts) > 1
            self.counts["gold_not_cui"] += any(not CUI.fullmatch(concept) for concept in concepts)
            self.counts["repeated_query"] += (gold, text) in seen
            seen.add((gold, text))
            identifier = f"{NAME}/{self.split}/{number - 1:05d}"
            yield LabelledMention(
                id=identifier,
                document=Document(identifier, "", "de"),
                spans=(),
                text=text,
                language="de",
                gold=concepts,
            )


def value(entry: Any, key: str, kind: type, place: str) -> Any:
    """A value of a JSON object that must be there and of its type."""
    found = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise DataError(
            f"{key!r} must be {kind.__name__}, found {json.dumps(found)[:60]}",
            where=place,
            why="a document is an object with id, text and mentions, as the README of WikiMed-DE shows",
        )
    return found


def listed(entry: Any, key: str, place: str) -> tuple[str, ...]:
    """A list of strings that upstream writes as a list, as one string, or as `'None'`."""
    found = entry.get(key)
    values = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(text, str) for text in values):
        raise DataError(f"{key!r} must be text or a list of texts, found {str(found)[:60]}", where=place)
    return unique([text for text in values if text and text != NONE])


def occurrences(text: str, word: str) -> Iterator[int]:
    """Every place at which a word stands in a text."""
    at = text.find(word) if word else -1
    while at >= 0:
        yield at
        at = text.find(word, at + 1)
