"""MedMentions (Mohan and Li, AKBC 2019): PubMed abstracts annotated with UMLS 2017AA concepts.

Revisions: `full` and `st21pv` are the two upstream corpora, split by upstream's PMID lists.
`token-per-line` is a derived form of `full` without documents and capitals, whose context is the sentence.
`sample` is ten documents of `full`. They are never mixed in one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.pubtator import Abstract, parse_pubtator, with_overlaps
from bioelx_bench.datasets.sources import locate, on_github
from bioelx_bench.datasets.token_lines import parse_token_lines
from bioelx_bench.declarations import CardText, DatasetSpec, Source
from bioelx_bench.io.archives import open_bytes
from bioelx_bench.io.text import decode, numbered_lines
from bioelx_bench.records import Document, LabelledMention

NAME: Final = "medmentions"
HOMEPAGE: Final = "https://github.com/chanzuckerberg/MedMentions"
LICENCE: Final = "CC0-1.0"
MEDMENTIONS: Final = ("chanzuckerberg/MedMentions", "14578232bb6cdf290fea9dd7fee60a3e01ee6fd5")
MEDICAL_NER: Final = ("javiagu13/MedicalNER", "7b0e1797bbb38f239195f2878b556cdacd230830")
MEDPATH: Final = ("mnishant2/MedPath", "8be25af5d0f480c89d0fdb4de2cf0fd83c5443a1")
"""Repository and commit that each file comes from."""

PMIDS: Final[Mapping[str, tuple[str, int, str]]] = {
    "train": ("trng", 23_715, "ab037fc5606588b4294fa1ead987a66652fe8f3c81e7832e6a02d0c1cdb1c7e6"),
    "dev": ("dev", 7_902, "d03508c74df795000599509b997b7280c0ff5bc53b064547e98b29be8b616abd"),
    "test": ("test", 7_911, "fece5bcb8c61edf8de73884980b80daf274132ef6d69f0d195c0114acbfdd4ab"),
}
"""Upstream's name, size and sha256 of the PMID list of each split."""

TOKEN_FILES: Final[Mapping[str, tuple[int | None, str | None]]] = {
    "dev": (2_900_883, "3fc52b4a7fe4a2ee4c20c746eda7fc0459e8e8df8682d8b7dea04d7944395a15"),
    "test": (None, None),
}
"""Size and sha256, where known, of the token-per-line files."""

SPEC: Final = DatasetSpec(
    name=NAME,
    summary="MedMentions: PubMed abstracts with every UMLS concept marked",
    factory="bioelx_bench.datasets.medmentions:load",
    revisions=("full", "st21pv", "token-per-line", "sample"),
    subsets=("en",),
    splits=("test", "dev", "train", "all"),
    revision_splits={"token-per-line": ("dev", "test"), "sample": ("all",)},
    licence=LICENCE,
    homepage=HOMEPAGE,
    context="abstract",
    sources="bioelx_bench.datasets.medmentions:sources",
    expected_mentions={
        ("full", "all"): {"en": 352_496},
        ("st21pv", "all"): {"en": 203_282},
        ("st21pv", "test"): {"en": 40_157},
        ("sample", "all"): {"en": 760},
        ("token-per-line", "dev"): {"en": 67_030},
    },
    card=CardText(
        title="MedMentions",
        licence="cc0-1.0",
        about=(
            "MedMentions is 4,392 PubMed titles and abstracts in which every mention of a UMLS concept is "
            "marked. `full` is the whole corpus, `st21pv` its part for information retrieval (21 semantic "
            "types, 18 vocabularies); both split by upstream's PMID lists. `token-per-line` is a lower- "
            "cased form of `full` without documents, `sample` ten documents of `full`."
        ),
        annotation=(
            "By professional annotators; upstream estimates a precision of 97.3 per cent. Gold concepts are "
            "UMLS 2017AA identifiers."
        ),
        context="Title and abstract; in `token-per-line` the sentence.",
        citation="""
@inproceedings{mohan2019medmentions,
  title = {MedMentions: A Large Biomedical Corpus Annotated with UMLS Concepts},
  author = {Mohan, Sunil and Li, Donghui},
  booktitle = {AKBC}, year = {2019}
}""",
        attribution="Data: MedMentions, CC0 1.0. Text: the abstract in PubMed.",
        quotable=True,
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The corpus of a revision, and the list of a split's documents where it has splits."""
    if revision == "token-per-line":
        size, sha256 = TOKEN_FILES[split]
        name = f"medMentions-{split}-CUI-version.tsv"
        licence = "none stated; derived from MedMentions (CC0-1.0)"
        at = f"medmentions/bio_full/{name}"
        return [on_github(MEDICAL_NER, f"BIO-CUI/{name}", at=at, licence=licence, size=size, sha256=sha256)]
    if revision == "sample":
        return [
            Source(
                path="medmentions/pubtator_sample/corpus_pubtator_10docs.txt",
                url="",
                page=f"https://github.com/{MEDPATH[0]} at {MEDPATH[1][:8]}",
                licence=LICENCE,
                size=48_538,
                sha256="de67b8d6859f7338f195f4d070d09ba094133afce2c6213ff60eb87482262b00",
            )
        ]
    path = f"{revision}/data/corpus_pubtator.txt.gz"
    corpus = on_github(MEDMENTIONS, path, at=f"medmentions/upstream/{path}", licence=LICENCE)
    if split == "all":
        return [corpus]
    name, size, sha256 = PMIDS[split]
    path = f"full/data/corpus_pubtator_pmids_{name}.txt"
    at = f"medmentions/upstream/{path}"
    return [corpus, on_github(MEDMENTIONS, path, at=at, licence=LICENCE, size=size, sha256=sha256)]


def load(request: DatasetRequest) -> BaseDataset:
    """The loader of the revision that is asked for."""
    return TokenLines(request) if request.revision == "token-per-line" else PubTator(request)


class PubTator(BaseDataset):
    """Reads one split of a PubTator corpus; see `bioelx_bench.base.BaseDataset`.

    Oddities: `type_unknown` (the concept was not in UMLS 2017AA Active: `UnknownType`), `same_span` (an earlier
    mention of the document has the same span), `overlapping` (it shares characters with one before, nested ones
    included).
    Counts: `documents_missing` (PMIDs of the split that the file does not hold), `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        files = sources(request.revision, request.split, request.subset)
        located = {source.path: locate(source, request, NAME) for source in files}
        self.sources = {path: found.sha256 for path, found in located.items()}
        self.corpus, *lists = (found.path for found in located.values())
        self.pmids: frozenset[str] | None = None
        for path in lists:
            lines = numbered_lines(decode(path.read_bytes(), str(path)))
            self.pmids = frozenset(line.strip() for _, line in lines if line.strip())

    def mentions(self) -> Iterator[LabelledMention]:
        """Every annotation of the split's documents, in the order of the file."""
        where = str(self.corpus)
        found = 0
        for abstract in parse_pubtator(read_text(self.corpus), where):
            if self.pmids is None or abstract.id in self.pmids:
                found += 1
                yield from self.document(abstract)
        self.counts["documents_missing"] += 0 if self.pmids is None else len(self.pmids) - found

    def document(self, abstract: Abstract) -> Iterator[LabelledMention]:
        """The mentions of one abstract."""
        document = Document(f"{NAME}/{abstract.id}", abstract.text, "en")
        self.counts["documents_without_mention"] += not abstract.annotations
        for number, (annotation, odd) in enumerate(with_overlaps(abstract.annotations)):
            odd += ["type_unknown"] * ("UnknownType" in annotation.types)
            yield LabelledMention(
                id=f"{document.id}/{number:04d}",
                document=document,
                spans=annotation.spans,
                text=annotation.text,
                language="en",
                gold=(annotation.concept,),
                semantic_types=annotation.types,
                oddities=tuple(odd),
            )


def read_text(path: Path) -> str:
    """A file's text, decompressed where it is packed."""
    with open_bytes(path) as stream:
        return decode(stream.read(), str(path))


class TokenLines(BaseDataset):
    """Reads a token-per-line file; each sentence is a document.

    Oddities: `without_begin` (mentions that start with an `I-` tag). Counts: `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self.split = request.split
        (source,) = sources(request.revision, request.split, request.subset)
        located = locate(source, request, NAME)
        self.path = located.path
        self.sources = {source.path: located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention, in the order of the file."""
        where = str(self.path)
        text = decode(self.path.read_bytes(), where)
        for number, sentence in enumerate(parse_token_lines(text, where)):
            document = Document(f"{NAME}/{self.split}/{number:05d}", sentence.text, "en")
            self.counts["documents_without_mention"] += not sentence.chunks
            for index, chunk in enumerate(sentence.chunks):
                yield LabelledMention(
                    id=f"{document.id}/{index:02d}",
                    document=document,
                    spans=(chunk.span,),
                    text=sentence.text[chunk.start : chunk.end],
                    language="en",
                    gold=(chunk.concept,),
                    oddities=() if chunk.begun else ("without_begin",),
                )
