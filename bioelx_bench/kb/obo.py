"""Names and definitions from ontologies, under their terms' own ids or under those that they cross-refer to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.io.obo import OboTerm, read_obo
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.sources import describe_file
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.options import did_you_mean
from bioelx_bench.progress import Progress
from bioelx_bench.schemes import SCHEMES, UMLS, IdScheme, find_scheme

NATIVE: Final = "native"
SCOPES: Final = ("exact", "broad", "narrow", "related")


@dataclass(frozen=True, slots=True)
class Term:
    """A term with the ids of the concepts it stands for."""

    ids: tuple[str, ...]
    name: str
    synonyms: tuple[str, ...]
    definition: str | None


@dataclass(slots=True)
class Ontology:
    """The terms of one file that have an id of the scheme, and counts of what was left out."""

    source: str
    release: str | None
    scheme: IdScheme
    terms: list[Term] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)


def build_from_obo(
    files: Sequence[Path],
    name: str,
    folder: Path,
    *,
    ids: str = UMLS.name,
    language: str = "en",
    scopes: Sequence[str] = ("exact",),
    source: str | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base from ontology files.

    Args:
        files: OBO (`.obo`) or OBO-graph JSON (`.json`) files, also compressed.
        name: The knowledge base's name.
        folder: The output.
        ids: `native` for the terms' own ids, or the scheme whose cross-references (`xref`, `skos:exactMatch`, page
            addresses) become the concepts, such as `umls`.
        language: Language of the names.
        scopes: Scopes of synonyms that count as names, of `SCOPES`.
        source: Source of the names; by default each file's ontology, in capitals.
        licence: The files' licence, for the manifest.
        progress: Shows progress.

    Raises:
        UsageError: A scope, the scheme or the language is not one.
        MissingError: A file is not there.
        DataError: A file is not an ontology (says file and line), or no term has an id of the scheme.
        BenchError: The disk is full, or the output exists.
    """
    check_options(scopes, language, ids)
    described = [describe_file(f, licence=licence) for f in files]

    def make() -> Rows:
        ontologies = [read_ontology(f, scopes, source, ids=ids) for f in files]
        require_terms(ontologies, files)
        counts: Counter[str] = Counter()
        for ontology in ontologies:
            counts.update({f"{ontology.source}:{k}": v for k, v in ontology.counts.items()})
            # A count carries the place, so that the manifest names the lines that were passed over.
            counts.update({f"{ontology.source}:skipped:{place}": 1 for place in ontology.skipped})
        schemes = {o.scheme for o in ontologies}
        return Rows(
            id_scheme=schemes.pop() if len(schemes) == 1 else SCHEMES["any"],
            names=(batch for o in ontologies for batch in name_rows(o, language)),
            definitions=(batch for o in ontologies for batch in definition_rows(o)),
            counts=counts,
        )

    return build_knowledge_base(
        folder,
        name,
        make,
        files=described,
        filters={"builder": "obo", "ids": ids, "language": language}
        | {"scopes": sorted(scopes), "source": source},
        progress=progress,
    )


def check_options(scopes: Sequence[str], language: str, ids: str) -> None:
    """Refuse options that no ontology could be read with.

    Raises:
        UsageError: A scope, the scheme or the language is not one.
    """
    if unknown := [s for s in scopes if s not in SCOPES]:
        raise UsageError(
            f"unknown scope {unknown[0]!r}{did_you_mean(unknown[0], SCOPES)}", where=f"--scopes {unknown[0]}"
        )
    if why := schemas.validation_error("language", language):
        raise UsageError(f"{language!r} is not a language", where="--language", why=why)
    if ids != NATIVE:
        find_scheme(ids)


def require_terms(ontologies: Sequence[Ontology], files: Sequence[Path]) -> None:
    """Refuse ontologies of which no term has an id of the scheme.

    Raises:
        DataError: Says how many terms there are and what they lack.
    """
    if any(ontology.terms for ontology in ontologies):
        return
    terms = sum(ontology.counts["terms"] for ontology in ontologies)
    scheme = ontologies[0].scheme
    written = ", ".join(f"{prefix.upper()}:" for prefix in scheme.prefixes) or scheme.pattern
    why = ", ".join(f"{k}: {n:,}" for o in ontologies for k, n in sorted(o.counts.items()) if n)
    raise DataError(
        f"{terms:,} term{'s' * (terms != 1)}, none with a cross-reference to {scheme.name} ({written})",
        where=", ".join(map(str, files)),
        why=why,
        hint="bioelx-bench kb build obo FILE --ids native takes the terms' own ids",
    )


def read_ontology(
    file: Path, scopes: Iterable[str], source: str | None = None, *, ids: str = UMLS.name
) -> Ontology:
    """Read a file's terms; obsolete terms and those without an id are counted and left out.

    Args:
        file: See `build_from_obo`.
        scopes: Scopes of synonyms to take.
        source: Its name as a source; by default the ontology's own, in capitals.
        ids: See `build_from_obo`.

    Raises:
        DataError: It is not an ontology; says where.
    """
    wanted = {s.upper() for s in scopes}
    document = read_obo(file)
    scheme = native_scheme(document.terms) if ids == NATIVE else find_scheme(ids)
    ontology = Ontology(source or source_name(document.name, file), document.release, scheme)
    ontology.counts.update({f"skipped:{kind}": n for kind, n in document.skipped.items() if n})
    ontology.skipped = [place.replace(str(file), file.name) for place in document.places]
    for term in document.terms:
        add_term(ontology, term, wanted, native=ids == NATIVE)
    return ontology


def native_scheme(terms: Sequence[OboTerm]) -> IdScheme:
    """The known scheme of most terms' own ids, else the opaque one."""
    votes = Counter(
        scheme.name
        for term in terms
        for scheme in SCHEMES.values()
        if not scheme.opaque
        and term.id.partition(":")[0].lower() in scheme.prefixes
        and scheme.canonical(term.id)
    )
    [(best, number)] = votes.most_common(1) or [("any", 0)]
    return SCHEMES[best if number * 2 > len(terms) else "any"]


def source_name(name: str | None, file: Path) -> str:
    """The ontology's name as a source, in capitals."""
    stem = file.name.split(".")[0]
    short = (name or stem).rsplit("/", 1)[-1].removesuffix(".obo").removesuffix(".owl").removesuffix(".json")
    return (short if schemas.validation_error("source", short) is None else stem).upper()


def add_term(ontology: Ontology, term: OboTerm, scopes: set[str], *, native: bool) -> None:
    """Take one term, or count why it is left out."""
    ontology.counts["terms"] += 1
    if term.obsolete:
        ontology.counts["dropped:obsolete_term"] += 1
        return
    ids = native_ids(ontology, term) if native else cross_references(ontology, term)
    name = clean_name(term.name)
    if not ids:
        ontology.counts[
            "dropped:term_without_cui" if ontology.scheme is UMLS else "dropped:term_without_id"
        ] += 1
    elif not name or schemas.validation_error("name", name):
        ontology.counts["dropped:term_without_name"] += 1
    else:
        texts = dict.fromkeys(clean_name(text) for text, scope in term.synonyms if scope in scopes)
        usable = [t for t in texts if t and t != name and not schemas.validation_error("name", t)]
        definition = clean_name(term.definition) if term.definition else None
        ontology.terms.append(Term(ids, name, tuple(usable), definition or None))


def native_ids(ontology: Ontology, term: OboTerm) -> tuple[str, ...]:
    """The term's own id, if it is of the ontology's scheme (terms of others are imported and not its own)."""
    own = ontology.scheme.canonical(term.id)
    if own is None:
        ontology.counts["dropped:term_of_another_ontology"] += 1
        return ()
    return (own,)


def cross_references(ontology: Ontology, term: OboTerm) -> tuple[str, ...]:
    """The ids of the scheme that a term refers to."""
    found: dict[str, None] = {}
    for xref in term.xrefs:
        prefix, colon, _ = xref.partition(":")
        named = colon == ":" and prefix.lower() in ontology.scheme.prefixes
        address = prefix.lower() in ("http", "https") and any(
            p in xref.lower() for p in ontology.scheme.prefixes
        )
        if not (named or address):
            continue
        identifier = ontology.scheme.canonical(xref)
        if identifier is not None:
            found[identifier] = None
        elif ontology.scheme is UMLS:
            ontology.counts["dropped:xref_not_a_cui"] += 1
        else:
            ontology.counts["dropped:xref_not_an_id"] += 1
    return tuple(found)


def clean_name(text: str) -> str:
    """Text with each run of white space as one space."""
    return " ".join(text.split())


def name_rows(ontology: Ontology, language: str) -> Iterator[pa.RecordBatch]:
    """The terms' names as rows; a term's label is preferred."""
    rows = [
        (identifier, text, text == term.name)
        for term in ontology.terms
        for identifier in term.ids
        for text in (term.name, *term.synonyms)
    ]
    if rows:
        ids, texts, preferred = zip(*rows, strict=True)
        languages, sources = [language] * len(rows), [ontology.source] * len(rows)
        yield pa.record_batch(
            [pa.array(column) for column in (ids, languages, texts, sources, preferred)],
            schema=schemas.NAMES,
        )


def definition_rows(ontology: Ontology) -> Iterator[pa.RecordBatch]:
    """The terms' definitions as rows."""
    rows = [(i, t.definition, ontology.source) for t in ontology.terms if t.definition for i in t.ids]
    if rows:
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        yield pa.record_batch(columns, schema=schemas.DEFINITIONS)
