"""The Mantra gold standard corpus (Kors et al., JAMIA 2015): EMEA drug labels, patent claims, Medline titles.

The data is under the GPL and never part of this package. Each unit is a brat document whose entity type is
the CUI; the note on an entity repeats it and adds a preferred name, semantic types and a semantic group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets import registry
from bioelx_bench.datasets.archives import ZipReader
from bioelx_bench.datasets.brat import Entity, parse_brat
from bioelx_bench.datasets.sources import Source, locate
from bioelx_bench.datasets.text import CUI, decode
from bioelx_bench.errors import DataError
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


class Mantra(BaseDataset):
    """Reads one language of one corpus; see `bioelx_bench.base.BaseDataset`.

    Counts: `discontinuous` (mentions of several spans), `note_incomplete` (a note without its four values;
    the gold CUI is the entity's type, not affected), `note_missing`, `note_differs` (a complete note that
    names another CUI), `gold_not_cui`, `same_span` (an earlier mention has the same spans and another CUI),
    `documents_without_mention`.
    """

    def __init__(
        self, request: DatasetRequest, dataset: str, corpus: str, language: str, source: Source
    ) -> None:
        self.dataset, self.corpus, self.language = dataset, corpus, language
        self.subset = request.subset
        self.source = source
        self.located = locate(source, request, dataset)
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The archive."""
        return {self.source.path: self.located.sha256}

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
            self.counts["discontinuous"] += len(entity.spans) > 1
            self.counts["same_span"] += entity.spans in seen
            self.counts["gold_not_cui"] += CUI.fullmatch(entity.type) is None
            seen.add(entity.spans)
            yield LabelledMention(
                id=f"{document.id}/{entity.id}",
                document=document,
                spans=entity.spans,
                text=entity.text,
                language=self.language,
                gold=(entity.type,),
                semantic_types=self.semantic_types(entity),
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

    def semantic_types(self, entity: Entity) -> tuple[str, ...]:
        """The names of the semantic types in the note, joined there by `|`."""
        for note in entity.notes:
            values = re.findall(r'"([^"]*)"', note)
            if len(values) != NOTE_VALUES:
                self.counts["note_incomplete"] += 1
                return ()
            self.counts["note_differs"] += values[0] != entity.type
            return tuple(values[2].split("|"))
        self.counts["note_missing"] += 1
        return ()


def emea(request: DatasetRequest) -> Mantra:
    """EMEA: the subset is a language."""
    return Mantra(request, "emea", "emea", request.subset, registry.mantra())


def patent(request: DatasetRequest) -> Mantra:
    """Patent: the subset is a language."""
    return Mantra(request, "patent", "patent", request.subset, registry.mantra())


def whole(request: DatasetRequest) -> Mantra:
    """The whole corpus: the subset is a corpus and a language, such as `medline-de`."""
    corpus, _, language = request.subset.partition("-")
    return Mantra(request, "mantra", corpus, language, registry.mantra())
