"""`babelon` and `obo`: aliases from ontologies, and from tables that translate them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.errors import DataError, MissingError, UsageError, at
from bioelx_bench.files import hash_file
from bioelx_bench.records import Alias
from bioelx_bench_aliases.crosswalk import Crosswalk, read_crosswalk
from bioelx_bench_aliases.options import BabelonOptions, OboOptions
from bioelx_bench_aliases.wikidata import LABEL

SYNONYM: Final = "oboInOwl:hasExactSynonym"


def split_paths(text: str) -> list[Path]:
    """Paths with commas between."""
    return [Path(part.strip()) for part in text.split(",") if part.strip()]


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """sha256 of each file, by its name.

    Raises:
        MissingError: One is not there.
    """
    hashes = {}
    for path in paths:
        if not path.is_file():
            raise MissingError(f"there is no file {path}", where=path)
        hashes[path.name] = hash_file(path)
    return hashes


class Babelon(BaseAliasSource):
    """The Human Phenotype Ontology's translations, and tables like them."""

    def __init__(self, options: BabelonOptions, _environment: Environment) -> None:
        super().__init__()
        if (options.ontology is None) == (options.crosswalk is None):
            raise UsageError(
                "babelon needs either an ontology or a crosswalk, to know the concept of each term",
                where="-O ontology, -O crosswalk",
                hint="-O ontology=hp.obo",
            )
        self.options = options
        self.paths = split_paths(options.files)
        joins = [path for path in (options.ontology, options.crosswalk) if path is not None]
        self.files = hash_files([*self.paths, *joins])

    def __iter__(self) -> Iterator[Alias]:
        """The names of each table, in order."""
        self.counts.clear()
        if self.options.ontology is not None:
            crosswalk = read_ontology_crosswalk(self.options.ontology)
        else:
            assert self.options.crosswalk is not None  # noqa: S101 - one of them is given
            crosswalk = read_crosswalk(self.options.crosswalk)
        for path in self.paths:
            yield from self.rows(path, crosswalk)

    def rows(self, path: Path, crosswalk: Crosswalk) -> Iterator[Alias]:
        """The names of a Babelon table, or of a synonym table of the same project.

        Raises:
            DataError: Its columns are not those of either.
        """
        languages = self.options.wanted()
        statuses = {s.strip().upper() for s in self.options.statuses.split(",") if s.strip()}
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = set(rows.fieldnames or ())
            if not {"subject_id", "translation_value"} <= columns:
                raise DataError(
                    "the table has no columns subject_id and translation_value",
                    where=at(path, 1),
                    why=f"its columns are {', '.join(sorted(columns)) or 'none'}",
                )
            synonym_table = "translation_language" not in columns
            table_language = language_by_name(path) if synonym_table else ""
            for row in rows:
                self.counts["rows"] += 1
                term = (row["subject_id"] or "").strip()
                if term == "ID":
                    continue  # the ROBOT template line of synonym tables
                predicate = SYNONYM if synonym_table else (row.get("predicate_id") or "").strip()
                language = table_language or (row.get("translation_language") or "").strip()
                status = (row.get("translation_status") or row.get("Status") or "").strip().upper()
                concepts = crosswalk.concepts("term", term)
                reason = (
                    "not_a_name"
                    if predicate not in {LABEL, SYNONYM}
                    else "language"
                    if languages and language not in languages
                    else "status"
                    if statuses and status not in statuses
                    else "no_concept"
                    if not concepts
                    else ""
                )
                if reason:
                    self.counts[f"skipped:{reason}"] += 1
                    continue
                for concept in concepts:
                    yield Alias(
                        concept_id=concept,
                        language=language,
                        text=row["translation_value"] or "",
                        source=self.options.source,
                        preferred=predicate == LABEL,
                        property=predicate,
                        joined_by=term.partition(":")[0],
                        item=term,
                    )


def language_by_name(path: Path) -> str:
    """The language of a synonym table, which only its name tells: `hp-de.synonyms.tsv`.

    Raises:
        DataError: The name does not tell it.
    """
    _, dash, language = path.name.split(".")[0].partition("-")
    if not (dash and language):
        raise DataError(
            "the language of the synonym table is unknown",
            where=path,
            why="it has no column translation_language, and its name is not like hp-de.synonyms.tsv",
            hint="rename the file",
        )
    return language


def read_ontology_crosswalk(path: Path) -> Crosswalk:
    """The UMLS cross-references of an OBO file, as the vocabulary `term`.

    Raises:
        DataError: The ontology is broken.
    """
    from bioelx_bench.io.obo import read_obo
    from bioelx_bench.schemes import UMLS

    crosswalk = Crosswalk()
    for term in read_obo(path).terms:
        for xref in term.xrefs:
            prefix = xref.partition(":")[0].lower()
            if prefix in UMLS.prefixes and (cui := UMLS.canonical(xref)) is not None:
                crosswalk.add("term", term.id, cui)
    return crosswalk


class Obo(BaseAliasSource):
    """Names of ontology terms with UMLS cross-references."""

    def __init__(self, options: OboOptions, _environment: Environment) -> None:
        super().__init__()
        self.options = options
        self.paths = split_paths(options.files)
        self.files = hash_files(self.paths)

    def __iter__(self) -> Iterator[Alias]:
        """Label and synonyms of each term."""
        from bioelx_bench.kb.obo import read_ontology

        self.counts.clear()
        scopes = [s.strip() for s in self.options.scopes.split(",") if s.strip()]
        for path in self.paths:
            ontology = read_ontology(path, scopes, self.options.source)
            self.counts.update(ontology.counts)
            for term in ontology.terms:
                names = [(term.name, True, LABEL), *((s, False, SYNONYM) for s in term.synonyms)]
                for concept in term.ids:
                    for text, preferred, kind in names:
                        yield Alias(
                            concept_id=concept,
                            language=self.options.language,
                            text=text,
                            source=ontology.source,
                            preferred=preferred,
                            property=kind,
                            date=ontology.release or "",
                        )
