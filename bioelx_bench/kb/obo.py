"""Names and definitions from ontologies with UMLS cross-references, in OBO or OBO-graph JSON."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.text import decode, describe_file, open_bytes
from bioelx_bench.options import did_you_mean
from bioelx_bench.plugins import installed_version
from bioelx_bench.progress import Progress

UMLS_PREFIXES: Final = frozenset({"UMLS", "UMLS_CUI"})
SCOPES: Final = ("exact", "broad", "narrow", "related")
FIX: Final = "fix the file or get it again"


@dataclass(frozen=True, slots=True)
class Term:
    """What is taken from one term of an ontology."""

    cuis: tuple[str, ...]
    name: str
    synonyms: tuple[str, ...]
    definition: str | None


@dataclass(slots=True)
class Ontology:
    """The terms of one file that have a CUI, and counts of what was left out."""

    source: str
    release: str | None
    terms: list[Term] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def build_from_obo(
    files: Sequence[Path],
    name: str,
    folder: Path,
    *,
    language: str = "en",
    scopes: Sequence[str] = ("exact",),
    source: str | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base from ontology files.

    Args:
        files: OBO (`.obo`) or OBO-graph JSON (`.json`) files, either also `.gz` or `.xz`.
        name: The knowledge base's name.
        folder: The output.
        language: Language of the names.
        scopes: Scopes of synonyms that count as names, of `SCOPES`.
        source: Source of the names; by default each file's ontology, in capitals.
        licence: The files' licence, for the manifest.
        progress: Shows progress.

    Raises:
        UsageError: A scope or the language is not one.
        MissingError: A file is not there.
        DataError: A file is not an ontology (says file and line), or has no UMLS cross-reference.
        BenchError: The disk is full, or the output exists.
    """
    if unknown := [s for s in scopes if s not in SCOPES]:
        raise UsageError(
            f"unknown scope {unknown[0]!r}{did_you_mean(unknown[0], SCOPES)}", where=f"--scopes {unknown[0]}"
        )
    if why := schemas.explain("language", language):
        raise UsageError(f"{language!r} is not a language", where="--language", why=why)
    described = [describe_file(f, licence=licence) for f in files]

    def make() -> Rows:
        ontologies = [read_ontology(f, scopes, source) for f in files]
        counts: Counter[str] = Counter()
        for ontology in ontologies:
            counts.update({f"{ontology.source}:{k}": v for k, v in ontology.counts.items()})
        return Rows(
            names=(batch for o in ontologies for batch in name_rows(o, language)),
            definitions=(batch for o in ontologies for batch in definition_rows(o)),
            counts=counts,
        )

    return build_knowledge_base(
        folder,
        name,
        make,
        files=described,
        filters={"builder": "obo", "language": language, "scopes": sorted(scopes), "source": source},
        software={"fastobo": installed_version("fastobo")},
        progress=progress,
    )


def read_ontology(file: Path, scopes: Iterable[str], source: str | None = None) -> Ontology:
    """Read a file's terms; obsolete terms and those without a CUI are counted and left out.

    Args:
        file: See `build_from_obo`.
        scopes: Scopes of synonyms to take.
        source: Its name as a source; by default the ontology's own, in capitals.

    Raises:
        DataError: It cannot be parsed; says where.
    """
    wanted = {s.upper() for s in scopes}
    header, frames = load(file)
    name, release = describe(header, file)
    ontology = Ontology(source or name, release)
    for frame in frames:
        add_term(ontology, frame, wanted)
    return ontology


def load(file: Path) -> tuple[Iterable[Any], Iterator[Any]]:
    """Header clauses and term frames of a file.

    Raises:
        DataError: It cannot be parsed.
    """
    import fastobo

    with open_bytes(file) as stream:
        data = stream.read()
    if not data.strip():
        raise DataError("the ontology is empty", where=at(file, 1), hint=FIX)
    check_utf8(data, file)
    try:
        if data.lstrip()[:1] in (b"{", b"["):
            documents = [fastobo.load_graph(io.BytesIO(graph)) for graph in split_graphs(data, file)]
        else:
            documents = [fastobo.load(io.BytesIO(data))]
    except SyntaxError as error:
        raise DataError(
            "the ontology is not in OBO format", where=at(file, error.lineno), why=error.msg, hint=FIX
        ) from error
    except (ValueError, OSError, TypeError) as error:
        raise DataError("the ontology cannot be read", where=file, why=str(error), hint=FIX) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DataError("the ontology cannot be read", where=file, why=str(error), hint=FIX) from error
    frames = (f for d in documents for f in d if isinstance(f, fastobo.term.TermFrame))
    return documents[0].header, frames


def check_utf8(data: bytes, file: Path) -> None:
    """Raise with the line at which `data` is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        for number, line in enumerate(data.split(b"\n"), 1):
            decode(line, file, number)
        raise


def split_graphs(data: bytes, file: Path) -> list[bytes]:
    """The graphs of an OBO-graph document, each as a document of its own.

    Raises:
        DataError: It is not JSON, or has no graphs.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise DataError("the ontology is not JSON", where=at(file, line), why=str(error), hint=FIX) from error
    graphs = document.get("graphs") if isinstance(document, dict) else None
    if not isinstance(graphs, list) or not graphs or not all(isinstance(g, dict) for g in graphs):
        raise DataError(
            "the JSON is not an OBO graph", where=at(file, 1), why="it has no list 'graphs'", hint=FIX
        )
    return [json.dumps({"graphs": [graph]}).encode() for graph in graphs]


def describe(header: Iterable[Any], file: Path) -> tuple[str, str | None]:
    """The ontology's name as a source, and its release."""
    stem = file.name.split(".")[0]
    name, release = stem, None
    for clause in header:
        if clause.raw_tag() == "ontology":
            name = str(clause.raw_value()).rsplit("/", 1)[-1].removesuffix(".obo").removesuffix(".owl")
        elif clause.raw_tag() == "data-version":
            release = str(clause.raw_value())
    return (name if schemas.explain("source", name) is None else stem).upper(), release


def add_term(ontology: Ontology, frame: Any, scopes: set[str]) -> None:
    """Take one term, or count why it is left out."""
    name: str | None = None
    definition: str | None = None
    cuis: dict[str, None] = {}
    synonyms: dict[str, None] = {}
    ontology.counts["terms"] += 1
    for clause in frame:
        tag = clause.raw_tag()
        if tag == "is_obsolete" and clause.obsolete:
            ontology.counts["dropped:obsolete_term"] += 1
            return
        if tag == "name":
            name = one_line(clause.name)
        elif tag == "def":
            definition = one_line(clause.definition)
        elif tag == "synonym":
            if clause.synonym.scope in scopes:
                synonyms[one_line(clause.synonym.desc)] = None
        elif tag == "xref":
            add_cui(ontology, clause.xref.id, cuis)
    if not cuis:
        ontology.counts["dropped:term_without_cui"] += 1
    elif name is None or not name:
        ontology.counts["dropped:term_without_name"] += 1
    else:
        kept = tuple(s for s in synonyms if s and s != name)
        ontology.terms.append(Term(tuple(cuis), name, kept, definition or None))


def add_cui(ontology: Ontology, identifier: Any, cuis: dict[str, None]) -> None:
    """Take a cross-reference if it is a CUI."""
    if getattr(identifier, "prefix", None) not in UMLS_PREFIXES:
        return
    cui = str(identifier.local)
    if schemas.explain("cui", cui) is None:
        cuis[cui] = None
    else:
        ontology.counts["dropped:xref_not_a_cui"] += 1


def one_line(text: str) -> str:
    """Text with each run of white space as one space."""
    return " ".join(text.split())


def name_rows(ontology: Ontology, language: str) -> Iterator[pa.RecordBatch]:
    """The terms' names as rows; a term's label is preferred."""
    rows = [
        (cui, text, text == term.name)
        for term in ontology.terms
        for cui in term.cuis
        for text in (term.name, *term.synonyms)
    ]
    if rows:
        cuis, texts, preferred = zip(*rows, strict=True)
        languages, sources = [language] * len(rows), [ontology.source] * len(rows)
        yield pa.record_batch(
            [pa.array(column) for column in (cuis, languages, texts, sources, preferred)],
            schema=schemas.NAMES,
        )


def definition_rows(ontology: Ontology) -> Iterator[pa.RecordBatch]:
    """The terms' definitions as rows."""
    rows = [(cui, t.definition, ontology.source) for t in ontology.terms if t.definition for cui in t.cuis]
    if rows:
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        yield pa.record_batch(columns, schema=schemas.DEFINITIONS)
