"""From identifiers of other vocabularies to concept ids: through these, aliases join a knowledge base."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.kb import schemas

PROPERTIES: Final = {
    "P2892": "umls",
    "P486": "mesh",
    "P699": "doid",
    "P5806": "snomedct",
    "P494": "icd10",
    "P5270": "mondo",
    "P3841": "hpo",
    "P1748": "ncit",
    "P1550": "orphanet",
}
"""Wikidata properties that hold an identifier, and the vocabulary it is of."""

UMLS_SOURCES: Final = {
    "MSH": ("mesh", 10),
    "SNOMEDCT_US": ("snomedct", 13),
    "ICD10": ("icd10", 13),
    "HPO": ("hpo", 13),
    "NCI": ("ncit", 13),
    "ORPHANET": ("orphanet", 13),
}
"""Source abbreviations of MRCONSO, their vocabulary, and the field with the identifier Wikidata uses."""

PREFIXES: Final = {"doid": "DOID:", "mondo": "MONDO:", "hpo": "HP:"}
"""Prefixes that an identifier may have or lack, so that `1234` and `DOID:1234` are one."""

HEADER: Final = ("vocabulary", "id", "cui")


class Crosswalk:
    """Concept ids of identifiers, by vocabulary."""

    def __init__(self) -> None:
        self._concepts: dict[str, dict[str, list[str]]] = defaultdict(dict)

    def add(self, vocabulary: str, identifier: str, concept: str) -> None:
        """Record that an identifier means a concept."""
        found = self._concepts[vocabulary].setdefault(plain(vocabulary, identifier), [])
        if concept not in found:
            found.append(concept)

    def concepts(self, vocabulary: str, identifier: str) -> tuple[str, ...]:
        """The concepts of an identifier; a CUI stands for itself."""
        if vocabulary == "umls":
            return (identifier,) if re.fullmatch(schemas.CUI_PATTERN, identifier) else ()
        return tuple(self._concepts.get(vocabulary, {}).get(plain(vocabulary, identifier), ()))

    def identifiers(self, vocabulary: str) -> list[str]:
        """All identifiers of a vocabulary, sorted, without prefixes."""
        return sorted(self._concepts.get(vocabulary, {}))

    def vocabularies(self) -> list[str]:
        """The vocabularies that it has identifiers of."""
        return sorted(v for v, ids in self._concepts.items() if ids)


def plain(vocabulary: str, identifier: str) -> str:
    """An identifier without its vocabulary's prefix."""
    return identifier.strip().removeprefix(PREFIXES.get(vocabulary, "\0"))


def read_crosswalk(path: Path) -> Crosswalk:
    """Read a table `vocabulary, id, cui` (TSV with that header), or a UMLS release's `MRCONSO.RRF`.

    Raises:
        MissingError: There is no such file.
        DataError: It is neither; says where.
    """
    if not path.is_file():
        raise MissingError(f"there is no crosswalk {path}", where=path)
    crosswalk = Crosswalk()
    if path.suffix.lower() == ".rrf":
        add_mrconso(crosswalk, path)
    else:
        add_table(crosswalk, path)
    if not crosswalk.vocabularies():
        raise DataError("the crosswalk holds no identifier", where=path, hint="see docs/training.md")
    return crosswalk


def add_table(crosswalk: Crosswalk, path: Path) -> None:
    """Add the rows of a TSV."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            cells = line.rstrip("\r\n").split("\t")
            if number == 1:
                if tuple(cells) != HEADER:
                    raise DataError(
                        "the crosswalk does not begin with the columns vocabulary, id, cui",
                        where=at(path, 1),
                        hint="a TSV of these three columns, or MRCONSO.RRF",
                    )
                continue
            if len(cells) != len(HEADER) or schemas.validation_error("cui", cells[2]):
                raise DataError(
                    "the row is not vocabulary, id, CUI", where=at(path, number), hint="hint the row"
                )
            crosswalk.add(*cells)


def add_mrconso(crosswalk: Crosswalk, path: Path) -> None:
    """Add the identifiers of a UMLS release; suppressible rows count, they are still cross-references."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            fields = line.split("|")
            if len(fields) < 18:
                raise DataError("the row has too few fields for MRCONSO.RRF", where=at(path, number))
            if found := UMLS_SOURCES.get(fields[11]):
                vocabulary, column = found
                if fields[column]:
                    crosswalk.add(vocabulary, fields[column], fields[0])
