"""WikiMed-DE (Wang, Dima, Staab 2023): links of German Wikipedia articles, mapped to UMLS through Wikidata.

Revisions: `bel` and `full` are the two upstream corpora with articles, whose context is a window of the
article. `queries` is a later split into `CUI||mention` lines without context. They are never mixed in one
table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.context import cut_window
from bioelx_bench.datasets.sources import locate, on_github
from bioelx_bench.datasets.text import split_fields, unique
from bioelx_bench.declarations import CardText, DatasetSpec, Source
from bioelx_bench.errors import DataError, at
from bioelx_bench.io.json_documents import json_documents
from bioelx_bench.io.text import decode, numbered_lines, open_text
from bioelx_bench.records import Document, LabelledMention, Span

NAME: Final = "wikimed-de"
ZENODO: Final = "https://doi.org/10.5281/zenodo.8188966"
LICENCE: Final = "CC-BY-SA (text of Wikipedia); see Zenodo for the annotations"
PERMEDIQ: Final = ("PERMEDIQ/German-Bio-Entity-Linking", "aca0f944822f83089e6e59c4bcea7d08ac14ed47")
TEXT_BLOCK: Final = 1 << 20
NONE: Final = "None"
"""What upstream writes for a missing value."""

REACH: Final = 400
"""Characters around the given offset in which a mention with a wrong offset is looked for."""


QUERY_FILES: Final[Mapping[str, tuple[int | None, str | None]]] = {
    "train": (2_221_218, "5472df16d8107d8d1957b4e56a986f7a9d846b85a7aabffa54bb1117e0af7c04"),
    "dev": (509_744, "47093ba374c873c9f659d57b7b70de363a01c2e522e551d74e9a567eec4c5887"),
    "test": (None, None),
}
"""Size and sha256, where known, of the query file of each split."""

ARTICLE_FILES: Final[Mapping[str, str]] = {"bel": "WikiMed-DE-BEL", "full": "WikiMed-DE"}
"""File of each revision of WikiMed-DE with articles."""


SPEC: Final = DatasetSpec(
    name=NAME,
    summary="WikiMed-DE: German Wikipedia articles whose links are mapped to UMLS",
    factory="bioelx_bench.datasets.wikimed_de:load",
    revisions=("bel", "full", "queries"),
    subsets=("de",),
    splits=("all",),
    revision_splits={"queries": ("test", "dev", "train")},
    licence=LICENCE,
    homepage=ZENODO,
    context="window",
    sources="bioelx_bench.datasets.wikimed_de:sources",
    expected_mentions={
        ("bel", "all"): {"de": 413_913},
        ("queries", "train"): {"de": 79_904},
        ("queries", "dev"): {"de": 19_561},
        ("queries", "test"): {"de": 19_203},
    },
    card=CardText(
        title="WikiMed-DE",
        licence="other",
        about=(
            "WikiMed-DE is a silver standard made of the links of 53,981 German Wikipedia articles, mapped "
            "to UMLS through Wikidata. `bel` is the part with one CUI a mention, `full` all links; "
            "`queries` is a later split into mentions without context."
        ),
        annotation=(
            "Automatic: a link's target article gives the Wikidata item, which gives UMLS, MeSH and Disease "
            "Ontology identifiers (UMLS 2023AA). Only mentions with a CUI are linked; the others are "
            "counted. Wikidata labels and aliases overlap with the mentions, so figures of systems that use "
            "them are best read by seen and unseen mention."
        ),
        context="A window of 1,000 characters of the article; none in `queries`.",
        citation="""
@inproceedings{wang2023wikimedde,
  title = {WikiMed-DE: Constructing a Silver-Standard Dataset for German Biomedical Entity Linking using Wikipedia and
  Wikidata}, author = {Wang, Yi and Dima, Corina and Staab, Steffen},
  booktitle = {Wikidata Workshop at ISWC}, year = {2023}
}""",
        attribution="Mention strings: German Wikipedia, CC BY-SA. Identifiers: Wikidata, CC0.",
        quotable=True,
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The corpus of articles, which Zenodo gives in a browser, or the query file of a split."""
    if revision == "queries":
        size, sha256 = QUERY_FILES[split]
        name = f"de_wikimed_bel_{split}_query.txt"
        at = f"wikimed_de/bel_queries/{name}"
        return [on_github(PERMEDIQ, f"data/{name}", at=at, licence=LICENCE, size=size, sha256=sha256)]
    stem = f"wikimed_de/{ARTICLE_FILES[revision]}"
    return [
        Source(
            path=f"{stem}.json",
            alternatives=tuple(f"{stem}{suffix}" for suffix in (".jsonl", ".json.gz", ".jsonl.gz")),
            url="",
            page=ZENODO,
            licence=LICENCE,
        )
    ]


def load(request: DatasetRequest) -> BaseDataset:
    """The loader of the revision that is asked for."""
    return Queries(request) if request.revision == "queries" else Articles(request)


class Articles(BaseDataset):
    """Reads a corpus of articles; see `bioelx_bench.base.BaseDataset`.

    A mention is linked if upstream gives it a CUI. Oddities: `offset_repaired` (the offsets give another string, and
    the mention was found within `REACH` characters), `offset_wrong` (it was not: the mention has no position).
    Counts: `without_gold` (mentions that are not linked), `documents_without_mention` (articles without a linked
    mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        (source,) = sources(request.revision, request.split, request.subset)
        located = locate(source, request, NAME)
        self.path = located.path
        self.sources = {source.path: located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Linked mentions, in the order of the file."""
        with open_text(self.path) as stream:
            blocks = iter(lambda: stream.read(TEXT_BLOCK), "")
            for line, article in json_documents(blocks, str(self.path)):
                yield from self.article(article, at(self.path, line))

    def article(self, article: Any, place: str) -> Iterator[LabelledMention]:
        """The linked mentions of one article."""
        identifier = value(article, "id", str, place)
        text = value(article, "text", str, place)
        linked = 0
        for number, entry in enumerate(value(article, "mentions", list, place)):
            surface = value(entry, "mention", str, place)
            gold = listed(entry, "cui", place)
            if not gold:
                self.counts["without_gold"] += 1
                continue
            linked += 1
            span, odd = find_position(text, surface, entry, place)
            context, spans = cut_window(text, (span,) if span else ())
            yield LabelledMention(
                id=f"{NAME}/{identifier}/{number:04d}",
                document=Document(f"{NAME}/{identifier}", context, "de"),
                spans=spans,
                text=surface,
                language="de",
                gold=gold,
                semantic_types=listed(entry, "tui", place),
                oddities=(odd,) if odd else (),
            )
        self.counts["documents_without_mention"] += not linked


def find_position(text: str, surface: str, entry: Any, place: str) -> tuple[Span | None, str]:
    """The span that slices to the mention, nearest to the given offset, and what was odd."""
    start = value(entry, "start_index", int, place)
    end = value(entry, "end_index", int, place)
    if surface and start >= 0 and text[start:end] == surface:
        return Span(start, end), ""
    low = max(0, start - REACH)
    near = text[low : max(0, start + REACH + len(surface))]
    places = [low + at for at in occurrences(near, surface)]
    if not places:
        return None, "offset_wrong"
    nearest = min(places, key=lambda found: (abs(found - start), found))
    return Span(nearest, nearest + len(surface)), "offset_repaired"


class Queries(BaseDataset):
    """Reads `CUI||mention` lines without context; see `bioelx_bench.base.BaseDataset`.

    Oddities: `repeated_query` (an earlier row has this gold and mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self.split = request.split
        (source,) = sources(request.revision, request.split, request.subset)
        located = locate(source, request, NAME)
        self.path = located.path
        self.sources = {source.path: located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row, in the order of the file."""
        where = str(self.path)
        seen: set[tuple[str, str]] = set()
        for number, line in numbered_lines(decode(self.path.read_bytes(), where)):
            gold, text = split_fields(line, ("CUI", "mention"), at(where, number))
            odd = ("repeated_query",) if (gold, text) in seen else ()
            seen.add((gold, text))
            identifier = f"{NAME}/{self.split}/{number - 1:05d}"
            yield LabelledMention(
                id=identifier,
                document=Document(identifier, "", "de"),
                spans=(),
                text=text,
                language="de",
                gold=(gold,),
                oddities=odd,
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
