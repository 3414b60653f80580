"""The brat standoff format: a text file, and beside it a file of annotation lines.

`T1<TAB>TYPE 0 5;8 12<TAB>surface` is an entity (fragments between semicolons make it discontinuous) and
`#1<TAB>AnnotatorNotes T1<TAB>note` a note on one; `N1<TAB>Reference T1 UMLS:C0018787<TAB>heart` gives one an id.
Lines of relations, events and attributes are skipped.
Source: the format's documentation, https://brat.nlplab.org/standoff.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bioelx_bench.errors import DataError, at
from bioelx_bench.io.text import numbered_lines
from bioelx_bench.records import Span

ENTITY: Final = re.compile(r"(T\d+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)", re.DOTALL | re.ASCII)
NOTE: Final = re.compile(r"#\d*\t\S+ (\S+)(?:\t(.*))?", re.DOTALL | re.ASCII)
MAX_DIGITS: Final = 9
REFERENCE: Final = re.compile(r"N\d+\t\S+ (\S+) (\S[^\t]*)(?:\t.*)?", re.DOTALL | re.ASCII)
SKIPPED: Final = frozenset("REAM*")
"""First characters of lines of relations, events, attributes, modifications and equivalences."""


@dataclass(slots=True)
class Entity:
    """A text-bound annotation.

    Attributes:
        id: `T1`, `T2`, ...
        type: The type as annotated; some corpora put the concept id there.
        spans: Its fragments, in the order of the text.
        text: The surface string as annotated; fragments are joined by a space.
        line: Line number, for errors.
        notes: Notes on it.
        references: Ids that normalisation lines give it, as they are written.
    """

    id: str
    type: str
    spans: tuple[Span, ...]
    text: str
    line: int
    notes: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)


def parse_brat(text: str, annotations: str, where: str) -> list[Entity]:
    """Parse the annotations of one text.

    Args:
        text: The text, with its line ends as they are in the file, since offsets count them.
        annotations: The annotation file's content.
        where: Path of the annotation file, for errors.

    Returns:
        The entities in the order of the file. The fragments of each, joined by a space, are its surface
        string.

    Raises:
        DataError: A line is not in the format, an offset lies outside the text or gives another string than
            the annotated one, an id comes twice, or a note or id is of an entity that is not there.
    """
    entities: dict[str, Entity] = {}
    notes: list[tuple[int, str, str]] = []
    references: list[tuple[int, str, str]] = []
    for number, line in numbered_lines(annotations):
        if line.startswith("T"):
            entity = parse_entity(line, text, at(where, number), number)
            if entity.id in entities:
                raise DataError(f"the entity {entity.id} comes twice", where=at(where, number))
            entities[entity.id] = entity
        elif line.startswith(("#", "N")):
            match = (NOTE if line.startswith("#") else REFERENCE).fullmatch(line)
            if match is None:
                raise malformed(line, at(where, number))
            (notes if line.startswith("#") else references).append((number, match[1], match[2] or ""))
        elif line and line[0] not in SKIPPED:
            raise malformed(line, at(where, number))
    for number, target, _ in [*notes, *references]:
        if target not in entities and target.startswith("T"):
            raise DataError(f"a note on {target}, which is not there", where=at(where, number))
    for _, target, found in notes:
        if target in entities:
            entities[target].notes.append(found)
    for _, target, found in references:
        if target in entities:
            entities[target].references.append(found)
    return list(entities.values())


def parse_entity(line: str, text: str, place: str, number: int) -> Entity:
    """Parse one `T` line and check it against the text."""
    match = ENTITY.fullmatch(line)
    if match is None:
        raise malformed(line, place)
    identifier, kind, offsets, surface = match.groups()
    spans = tuple(sorted(fragments(offsets, place), key=lambda span: (span.start, span.end)))
    for span in spans:
        if not span.start < span.end <= len(text):
            raise DataError(
                f"the offsets {span.start} {span.end} do not lie in the text of {len(text)} characters",
                where=place,
            )
    found = " ".join(text[span.start : span.end] for span in spans)
    if re.sub(r"\s", " ", found) != re.sub(r"\s", " ", surface):
        raise DataError(
            f"the offsets give {found[:60]!r}, the annotation says {surface[:60]!r}",
            where=place,
            why="a mention with wrong offsets would be marked at the wrong place",
        )
    return Entity(identifier, kind, spans, surface, number)


def fragments(offsets: str, place: str) -> Iterator[Span]:
    """The spans of `0 5;8 12`."""
    for fragment in offsets.split(";"):
        start, end = fragment.split(" ")
        if max(len(start), len(end)) > MAX_DIGITS:
            raise DataError(f"the offsets {fragment[:40]!r} are too large", where=place)
        yield Span(int(start), int(end))


def malformed(line: str, place: str) -> DataError:
    """The error for a line that is not in the format."""
    return DataError(
        "the line is not in brat's standoff format",
        where=place,
        why=f"it is {line[:80]!r}; an entity is `T1<TAB>TYPE START END<TAB>TEXT`",
    )
