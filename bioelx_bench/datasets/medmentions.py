"""MedMentions (Mohan and Li, AKBC 2019): PubMed abstracts annotated with UMLS 2017AA concepts.

Revisions: `full` and `st21pv` are the two upstream corpora, split by upstream's PMID lists.
`token-per-line` is a derived form of `full` without documents and capitals, whose context is the sentence.
`sample` is ten documents of `full`. They are never mixed in one table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets import registry
from bioelx_bench.datasets.archives import read_maybe_gzip
from bioelx_bench.datasets.pubtator import Abstract, parse_pubtator
from bioelx_bench.datasets.sources import Located, locate
from bioelx_bench.datasets.text import CUI, decode, numbered_lines
from bioelx_bench.datasets.token_lines import parse_token_lines
from bioelx_bench.records import Document, LabelledMention

NAME: Final = "medmentions"
PREFIX: Final = "UMLS:"


def load(request: DatasetRequest) -> BaseDataset:
    """The loader of the revision that is asked for."""
    return TokenLines(request) if request.revision == "token-per-line" else PubTator(request)


class PubTator(BaseDataset):
    """Reads one split of a PubTator corpus; see `bioelx_bench.base.BaseDataset`.

    Counts: `gold_not_cui`, `type_unknown` (mentions whose concept was not in UMLS 2017AA Active:
    `UnknownType`), `same_span` (an earlier mention of the document has the same span), `overlapping` (it
    shares characters with the one before, nested ones included), `documents_missing` (PMIDs of the split
    that the file does not hold), `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.located: dict[str, Located] = {}
        source = registry.medmentions_corpus(request.revision)
        self.corpus = self.located[source.path] = locate(source, request, NAME)
        self.pmids: frozenset[str] | None = None
        if request.split != "all":
            listed = registry.medmentions_pmids(request.split)
            found = self.located[listed.path] = locate(listed, request, NAME)
            lines = numbered_lines(decode(found.path.read_bytes(), str(found.path)))
            self.pmids = frozenset(line.strip() for _, line in lines if line.strip())
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The corpus and the list of the split."""
        return {path: found.sha256 for path, found in self.located.items()}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every annotation of the split's documents, in the order of the file."""
        where = str(self.corpus.path)
        found = 0
        for abstract in parse_pubtator(decode(read_maybe_gzip(self.corpus.path), where), where):
            if self.pmids is None or abstract.id in self.pmids:
                found += 1
                yield from self.document(abstract)
        self.counts["documents_missing"] += 0 if self.pmids is None else len(self.pmids) - found

    def document(self, abstract: Abstract) -> Iterator[LabelledMention]:
        """The mentions of one abstract."""
        document = Document(f"{NAME}/{abstract.id}", abstract.text, "en")
        self.counts["documents_without_mention"] += not abstract.annotations
        seen: set[tuple[int, int]] = set()
        reached = 0
        for number, annotation in enumerate(abstract.annotations):
            span = annotation.span
            self.counts["same_span"] += (span.start, span.end) in seen
            self.counts["overlapping"] += span.start < reached
            seen.add((span.start, span.end))
            reached = max(reached, span.end)
            concept = annotation.concept.removeprefix(PREFIX)
            self.counts["gold_not_cui"] += CUI.fullmatch(concept) is None
            self.counts["type_unknown"] += "UnknownType" in annotation.types
            yield LabelledMention(
                id=f"{document.id}/{number:04d}",
                document=document,
                spans=(span,),
                text=annotation.text,
                language="en",
                gold=(concept,),
                semantic_types=annotation.types,
            )


class TokenLines(BaseDataset):
    """Reads a token-per-line file; each sentence is a document.

    Counts: `without_begin` (mentions that start with an `I-` tag), `gold_not_cui`,
    `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.split = request.split
        self.source = registry.medmentions_tokens(request.split)
        self.located = locate(self.source, request, NAME)
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The file."""
        return {self.source.path: self.located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention, in the order of the file."""
        where = str(self.located.path)
        text = decode(self.located.path.read_bytes(), where)
        for number, sentence in enumerate(parse_token_lines(text, where)):
            document = Document(f"{NAME}/{self.split}/{number:05d}", sentence.text, "en")
            self.counts["documents_without_mention"] += not sentence.chunks
            for index, chunk in enumerate(sentence.chunks):
                self.counts["without_begin"] += not chunk.begun
                self.counts["gold_not_cui"] += CUI.fullmatch(chunk.concept) is None
                yield LabelledMention(
                    id=f"{document.id}/{index:02d}",
                    document=document,
                    spans=(chunk.span,),
                    text=sentence.text[chunk.start : chunk.end],
                    language="en",
                    gold=(chunk.concept,),
                )
