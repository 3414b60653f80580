"""The Mantra gold standard corpus (Kors et al., JAMIA 2015): EMEA drug labels, patent claims, Medline titles.

The data is under the GPL and never part of this package. Each unit is a brat document whose entity type is
the CUI; the note on an entity repeats it and adds a preferred name, semantic types and a semantic group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.brat import Entity, parse_brat
from bioelx_bench.datasets.sources import locate, on_github
from bioelx_bench.declarations import CardText, DatasetSpec, Source
from bioelx_bench.errors import DataError
from bioelx_bench.io.archives import ZipReader
from bioelx_bench.io.text import decode
from bioelx_bench.records import Document, LabelledMention

FOLDERS: Final[Mapping[str, str]] = {
    "en": "English",
    "fr": "French",
    "de": "German",
    "es": "Spanish",
    "nl": "Dutch",
}
"""Folder of each language in the archive."""

CORPORA: Final[Mapping[str, re.Pattern[str]]] = {
    "emea": re.compile(r"EMEA_.*"),
    "patent": re.compile(r"Patents_.*"),
    "medline": re.compile(r"Medline_.*"),
}
"""Folders of each corpus below a language; English Medline has four, one for each other language."""

NOTE_VALUES: Final = 4
REPOSITORY: Final = ("mi-erasmusmc/Mantra-Gold-Standard-Corpus", "8ef737daa2208938a2c64ca600b117482ebe3c42")
LICENCE: Final = "GPL-3.0"
HOMEPAGE: Final = f"https://github.com/{REPOSITORY[0]}"
SOURCES: Final = "bioelx_bench.datasets.mantra:sources"

MENTIONS: Final[Mapping[str, Mapping[str, int]]] = {
    "emea": {"en": 433, "fr": 431, "de": 425, "es": 432, "nl": 434},
    "patent": {"en": 353, "fr": 342, "de": 348},
    "medline": {"en": 1177, "fr": 279, "de": 309, "es": 324, "nl": 243},
}
"""Mentions of each corpus and language, counted in its files; their sum is the 5,530 of the paper."""

CITATION: Final = """
@article{kors2015multilingual,
  title = {A multilingual gold-standard corpus for biomedical concept recognition: the Mantra GSC},
  author = {Kors, Jan A and Clematide, Simon and Akhondi, Saber A and van Mulligen, Erik M and
            Rebholz-Schuhmann, Dietrich},
  journal = {Journal of the American Medical Informatics Association}, year = {2015}
}"""

EMEA: Final = DatasetSpec(
    name="emea",
    summary="EMEA: drug labels of the Mantra corpus in five languages",
    factory="bioelx_bench.datasets.mantra:emea",
    revisions=("2015",),
    subsets=tuple(MENTIONS["emea"]),
    licence=LICENCE,
    homepage=HOMEPAGE,
    context="unit",
    sources=SOURCES,
    expected_mentions={("2015", "test"): MENTIONS["emea"]},
    card=CardText(
        title="EMEA",
        licence="gpl-3.0",
        about=(
            "EMEA is the part of the Mantra gold standard corpus that holds units of drug labels, parallel "
            "in five languages."
        ),
        annotation=(
            "Three annotators a language, harmonised and adjudicated. Gold concepts are UMLS 2014AB "
            "identifiers from MeSH, SNOMED CT and MedDRA. A stretch of text may be annotated with several "
            "concepts: each is a mention of its own (`same span`)."
        ),
        context="The unit: about a sentence of a drug label.",
        citation=CITATION,
    ),
)

PATENT: Final = DatasetSpec(
    name="patent",
    summary="Patent: patent claims of the Mantra corpus in three languages",
    factory="bioelx_bench.datasets.mantra:patent",
    revisions=("2015",),
    subsets=tuple(MENTIONS["patent"]),
    licence=LICENCE,
    homepage=HOMEPAGE,
    context="unit",
    sources=SOURCES,
    expected_mentions={("2015", "test"): MENTIONS["patent"]},
    card=CardText(
        title="Patent",
        licence="gpl-3.0",
        about=(
            "Patent is the part of the Mantra gold standard corpus that holds units of biomedical patent "
            "claims, parallel in three languages."
        ),
        annotation=(
            "As in EMEA: three annotators a language, harmonised and adjudicated, UMLS 2014AB identifiers "
            "from MeSH, SNOMED CT and MedDRA."
        ),
        context="The unit: a patent claim, which may be long.",
        citation=CITATION,
    ),
)

WHOLE: Final = DatasetSpec(
    name="mantra",
    benchmark=False,
    summary="Mantra: the whole gold standard corpus, drug labels, patent claims and Medline titles",
    factory="bioelx_bench.datasets.mantra:whole",
    revisions=("2015",),
    subsets=tuple(f"{corpus}-{language}" for corpus, counts in MENTIONS.items() for language in counts),
    licence=LICENCE,
    homepage=HOMEPAGE,
    context="unit",
    sources=SOURCES,
    expected_mentions={
        ("2015", "test"): {
            f"{corpus}-{language}": count
            for corpus, counts in MENTIONS.items()
            for language, count in counts.items()
        }
    },
    card=CardText(
        title="Mantra GSC",
        licence="gpl-3.0",
        about=(
            "The whole Mantra gold standard corpus: drug labels (EMEA), patent claims (Patent) and Medline "
            "titles, 5,530 mentions in five languages. The datasets `emea` and `patent` are parts of it; do "
            "not count them twice."
        ),
        annotation=(
            "Three annotators a language, harmonised and adjudicated. Gold concepts are UMLS 2014AB "
            "identifiers from MeSH, SNOMED CT and MedDRA. A stretch of text may be annotated with several "
            "concepts: each is a mention of its own (`same span`)."
        ),
        context="The unit: a sentence of a drug label, a patent claim or a title.",
        citation=CITATION,
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The archive of brat files, which holds all corpora and languages."""
    return [
        on_github(
            REPOSITORY,
            "Mantra-GSC-brat.zip",
            at="mantra_gsc/Mantra-GSC-brat.zip",
            licence=LICENCE,
            size=2_624_976,
            sha256="81bce226240215892035a8ba7ee6bf0fb23be844abb129de638e27716f3030fb",
            acknowledge=True,
        )
    ]


class Mantra(BaseDataset):
    """Reads one language of one corpus; see `bioelx_bench.base.BaseDataset`.

    Oddities: `discontinuous` (several spans), `note_incomplete` (a note without its four values; the gold CUI is the
    entity's type, not affected), `note_missing`, `note_differs` (a complete note that names another CUI), `same_span`
    (an earlier mention has the same spans and another CUI). Counts: `documents_without_mention`.
    """

    def __init__(
        self, request: DatasetRequest, dataset: str, corpus: str, language: str, source: Source
    ) -> None:
        super().__init__()
        self.dataset, self.corpus, self.language = dataset, corpus, language
        self.subset = request.subset
        self.located = locate(source, request, dataset)
        self.sources = {source.path: self.located.sha256}

    def mentions(self) -> Iterator[LabelledMention]:
        """Units by path, and within a unit the entities in the order of its file."""
        archive = ZipReader(self.located.path)
        try:
            members = set(archive.names)
            units = sorted(name.removesuffix(".txt") for name in members if self.is_unit(name))
            if not units:
                raise archive.damaged(f"it has no {FOLDERS[self.language]} {self.corpus} units")
            for unit in units:
                if f"{unit}.ann" not in members:
                    raise archive.damaged(f"the unit {unit}.txt has no annotation file")
                yield from self.unit(archive, unit)
        finally:
            archive.close()

    def is_unit(self, name: str) -> bool:
        """Whether a member is a text of this corpus and language."""
        parts = name.split("/")
        return (
            name.endswith(".txt")
            and len(parts) >= 3
            and parts[0] != "__MACOSX"
            and parts[-3] == FOLDERS[self.language]
            and CORPORA[self.corpus].fullmatch(parts[-2]) is not None
        )

    def unit(self, archive: ZipReader, unit: str) -> Iterator[LabelledMention]:
        """The mentions of one unit."""
        where = f"{archive.path}!{unit}"
        text = decode(archive.read(f"{unit}.txt"), f"{where}.txt")
        annotations = decode(archive.read(f"{unit}.ann"), f"{where}.ann")
        entities = parse_brat(text, annotations, f"{where}.ann")
        self.counts["documents_without_mention"] += not entities
        document = Document(
            f"{self.dataset}/{self.subset}/{self.unit_id(unit)}", text.rstrip(), self.language
        )
        seen: set[object] = set()
        for entity in entities:
            types, odd = semantic_types(entity)
            odd += ["discontinuous"] * (len(entity.spans) > 1)
            odd += ["same_span"] * (entity.spans in seen)
            seen.add(entity.spans)
            yield LabelledMention(
                id=f"{document.id}/{entity.id}",
                document=document,
                spans=entity.spans,
                text=entity.text,
                language=self.language,
                gold=(entity.type,),
                semantic_types=types,
                oddities=tuple(odd),
            )

    def unit_id(self, unit: str) -> str:
        """A unit's name; in Medline with its part, `en-de/0101_d14392833.u1`, since English has four."""
        folder, name = unit.split("/")[-2:]
        if self.corpus != "medline":
            return name
        part = re.match(r"Medline_(\w\w)_(\w\w)_", folder)
        if part is None:
            raise DataError(f"the folder {folder!r} names no language pair", where=unit)
        return f"{part[1]}-{part[2]}".lower() + f"/{name}"


def semantic_types(entity: Entity) -> tuple[tuple[str, ...], list[str]]:
    """The names of the semantic types in the note, joined there by `|`, and what is odd in it."""
    for note in entity.notes:
        values = re.findall(r'"([^"]*)"', note)
        if len(values) != NOTE_VALUES:
            return (), ["note_incomplete"]
        return tuple(values[2].split("|")), ["note_differs"] * (values[0] != entity.type)
    return (), ["note_missing"]


def emea(request: DatasetRequest) -> Mantra:
    """EMEA: the subset is a language."""
    return Mantra(request, "emea", "emea", request.subset, archive(request))


def patent(request: DatasetRequest) -> Mantra:
    """Patent: the subset is a language."""
    return Mantra(request, "patent", "patent", request.subset, archive(request))


def whole(request: DatasetRequest) -> Mantra:
    """The whole corpus: the subset is a corpus and a language, such as `medline-de`."""
    corpus, _, language = request.subset.partition("-")
    return Mantra(request, "mantra", corpus, language, archive(request))


def archive(request: DatasetRequest) -> Source:
    """The one source of all three datasets."""
    (source,) = sources(request.revision, request.split, request.subset)
    return source
