"""Terms of ontologies in OBO format or as OBO-graph JSON, read with tolerance: a bad line is counted, not fatal.

A small reader of our own. Parsers that follow the grammar to the letter, such as fastobo, refuse a whole file for one
line that real ontologies have (a space in a cross-reference, a date with another order, brackets around an author),
and what is needed here is six tags of a term.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import DataError, at
from bioelx_bench.io.archives import open_bytes
from bioelx_bench.io.text import decode, numbered_lines

HINT: Final = "fix the file or get it again"
STANZA: Final = re.compile(r"\[([A-Za-z_]+)\]")
CLAUSE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*:\s*(.*)")
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(.*)')
TRAILING: Final = re.compile(r"(?:\s+\{[^{}]*\})?(?:\s+!.*)?$")
DATE: Final = re.compile(r"([0-2][0-9]|3[01]):(0[1-9]|1[0-2]):[0-9]{4} [0-2][0-9]:[0-5][0-9]")
LISTED: Final = re.compile(r"\[(.*)\]")
QUOTES: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
ESCAPE: Final = re.compile(r"\\(.)")
ESCAPES: Final = {"n": "\n", "t": "\t", "W": " "}
SCOPES: Final = ("EXACT", "BROAD", "NARROW", "RELATED")
MATCHES: Final = ("skos:exactmatch", "exactmatch", "owl:sameas", "owl:equivalentclass", "umls", "umls_cui")
"""Properties, in lower case, whose value is an id of the same concept elsewhere."""

MAX_NAMED: Final = 20


@dataclass(slots=True)
class OboTerm:
    """What is taken from one term.

    Attributes:
        id: Its id, as it is written.
        name: Its label; empty where there is none.
        synonyms: Texts of synonyms with their scope (`EXACT`, `BROAD`, `NARROW`, `RELATED`).
        definition: Its definition, or None.
        xrefs: Cross-references and exact matches, as they are written.
        obsolete: Whether it is marked so.
    """

    id: str
    name: str = ""
    synonyms: list[tuple[str, str]] = field(default_factory=list)
    definition: str | None = None
    xrefs: list[str] = field(default_factory=list)
    obsolete: bool = False


@dataclass(slots=True)
class OboDocument:
    """An ontology file.

    Attributes:
        name: The ontology's own name; None where it gives none.
        release: Its `data-version`, or None.
        terms: Its terms, in order.
        skipped: Lines of terms that could not be read, by kind.
        places: The first of these lines, for messages.
    """

    name: str | None = None
    release: str | None = None
    terms: list[OboTerm] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)

    def skip(self, kind: str, place: str) -> None:
        """Count a line that cannot be read."""
        self.skipped[kind] += 1
        if len(self.places) < MAX_NAMED:
            self.places.append(place)


def read_obo(file: Path) -> OboDocument:
    """Read a file in OBO format or OBO-graph JSON, compressed or not.

    Raises:
        MissingError: There is no such file.
        DataError: It is empty, not text, or no ontology at all; says where.
    """
    with open_bytes(file) as stream:
        data = stream.read()
    if not data.strip():
        raise DataError("the ontology is empty", where=at(file, 1), hint=HINT)
    text = decode(data, str(file))
    if text.lstrip()[:1] in ("{", "["):
        return read_graphs(text, file)
    return read_lines(text, file)


def read_lines(text: str, file: Path) -> OboDocument:
    """Read the OBO format."""
    document = OboDocument()
    term: OboTerm | None = None
    stanza = "header"
    clauses = 0
    for number, line in numbered_lines(text):
        stripped = line.strip()
        if not stripped or stripped.startswith("!"):
            continue
        if opening := STANZA.fullmatch(TRAILING.sub("", stripped)):
            stanza = opening[1]
            term = OboTerm("") if stanza == "Term" else None
            document.terms += [term] if term is not None else []
            continue
        clause = CLAUSE.fullmatch(stripped)
        clauses += clause is not None
        if clause is None:
            if not clauses:
                break
            if stanza in ("header", "Term"):
                document.skip("line", at(file, number))
        elif term is not None:
            kind = add_clause(term, clause[1], clause[2])
            if kind is not None:
                document.skip(kind, at(file, number))
        elif stanza == "header" and not add_header(document, clause[1], clause[2]):
            document.skip("date", at(file, number))
    if not clauses:
        raise DataError(
            "the ontology is not in OBO format",
            where=at(file, 1),
            why="its lines are no 'tag: value'",
            hint=HINT,
        )
    nameless = [t for t in document.terms if not t.id]
    document.skipped["term_without_id"] += len(nameless)
    document.terms = [t for t in document.terms if t.id]
    return document


def add_header(document: OboDocument, tag: str, value: str) -> bool:
    """Take one clause of the header; False where it cannot be read."""
    if tag == "ontology":
        document.name = bare(value) or None
    elif tag == "data-version":
        document.release = bare(value) or None
    return tag != "date" or DATE.fullmatch(bare(value)) is not None


def add_clause(term: OboTerm, tag: str, value: str) -> str | None:
    """Take one clause of a term; gives its tag if it cannot be read."""
    if tag == "id":
        term.id = bare(value)
    elif tag == "name":
        term.name = bare(value)
    elif tag == "is_obsolete":
        term.obsolete = bare(value).lower() == "true"
    elif tag in ("def", "synonym"):
        quoted = QUOTED.fullmatch(value)
        if quoted is None:
            return tag
        content = unescape(quoted[1])
        if tag == "def":
            term.definition = content
        else:
            words = quoted[2].split(None, 1)
            term.synonyms.append((content, words[0] if words and words[0] in SCOPES else "RELATED"))
        listed = LISTED.search(quoted[2])
        items = QUOTES.sub("", listed[1]).split(",") if listed is not None else []
        if any(len(item.split()) > 1 for item in items):
            return "xref_in_list"
    elif tag == "xref":
        target = (
            QUOTED.sub("", TRAILING.sub("", value)).strip()
            if '"' in value
            else TRAILING.sub("", value).strip()
        )
        if not target or re.search(r"\s", target):
            return tag
        term.xrefs.append(unescape(target))
    elif tag == "property_value":
        words = value.replace('"', " ").split()
        if len(words) < 2:
            return tag
        if words[0].lower().rsplit("#", 1)[-1].rsplit("/", 1)[-1] in MATCHES:
            term.xrefs.append(unescape(words[1]))
    return None


def bare(value: str) -> str:
    """A value without trailing qualifiers and comment, unescaped."""
    return unescape(TRAILING.sub("", value).strip())


def unescape(text: str) -> str:
    r"""A text with its `\` escapes replaced."""
    return ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), text) if "\\" in text else text


def read_graphs(text: str, file: Path) -> OboDocument:
    """Read OBO-graph JSON."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise DataError(
            "the ontology is not JSON", where=at(file, line), why=str(error), hint=HINT
        ) from error
    graphs = content.get("graphs") if isinstance(content, dict) else None
    if not isinstance(graphs, list) or not graphs or not all(isinstance(g, dict) for g in graphs):
        raise DataError(
            "the JSON is not an OBO graph", where=at(file, 1), why="it has no list 'graphs'", hint=HINT
        )
    document = OboDocument(name=text_of(graphs[0].get("id")) or None)
    document.release = text_of(dict_of(graphs[0].get("meta")).get("version")) or None
    for graph in graphs:
        nodes = graph.get("nodes", [])
        if not isinstance(nodes, list):
            raise DataError("the ontology cannot be read", where=file, why="'nodes' is no list", hint=HINT)
        for node in nodes:
            if isinstance(node, dict) and node.get("type", "CLASS") == "CLASS" and text_of(node.get("id")):
                document.terms.append(graph_term(node))
            elif not isinstance(node, dict):
                document.skip("node", str(file))
    return document


def graph_term(node: dict[str, Any]) -> OboTerm:
    """One node as a term."""
    meta = dict_of(node.get("meta"))
    matches = [
        text_of(item.get("val"))
        for item in dicts_of(meta.get("basicPropertyValues"))
        if re.split(r"[/#]", text_of(item.get("pred")))[-1].lower() in MATCHES
    ]
    return OboTerm(
        id=text_of(node.get("id")),
        name=text_of(node.get("lbl")),
        synonyms=[
            (text_of(item.get("val")), scope)
            for item in dicts_of(meta.get("synonyms"))
            for scope in SCOPES
            if re.split(r"[/#]", text_of(item.get("pred")))[-1].lower() == f"has{scope.lower()}synonym"
        ],
        definition=text_of(dict_of(meta.get("definition")).get("val")) or None,
        xrefs=[text_of(item.get("val")) for item in dicts_of(meta.get("xrefs"))] + matches,
        obsolete=meta.get("deprecated") is True,
    )


def text_of(value: Any) -> str:
    """A value if it is text, else an empty text."""
    return value if isinstance(value, str) else ""


def dict_of(value: Any) -> dict[str, Any]:
    """A value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def dicts_of(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
