"""The PubTator format: a title line, an abstract line, mention lines, then a blank line.

They are `ID|t|title` and `ID|a|abstract`. Mention lines are `ID start end text types concept`, offsets
counted in title + one space + abstract. Source: the MedMentions repository's README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bioelx_bench.datasets.text import numbered_lines
from bioelx_bench.errors import DataError, at
from bioelx_bench.records import Span

TEXT_LINE: Final = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)
OFFSET: Final = re.compile(r"\d{1,9}", re.ASCII)
FIELDS: Final = 6


@dataclass(frozen=True, slots=True)
class Annotation:
    """One mention line.

    Attributes:
        span: Its place in the document's text.
        text: Its surface string.
        types: Semantic types, between commas in the file.
        concept: The concept id as written, such as `C0010674` or `UMLS:C0010674`.
    """

    span: Span
    text: str
    types: tuple[str, ...]
    concept: str


@dataclass(frozen=True, slots=True)
class Abstract:
    """A document: its text is the title, a space and the abstract."""

    id: str
    text: str
    annotations: tuple[Annotation, ...]


def parse_pubtator(text: str, where: str) -> Iterator[Abstract]:
    """Parse a PubTator file.

    Args:
        text: The file's content.
        where: Its path, for errors.

    Yields:
        Its documents, in the order of the file.

    Raises:
        DataError: A line is not in the format or out of place, a document comes twice, or an offset lies
            outside the text or gives another string than the line says.
    """
    seen: set[str] = set()
    block: list[tuple[int, str]] = []
    for number, line in [*numbered_lines(text), (0, "")]:
        if line:
            block.append((number, line))
        elif block:
            document = parse_document(block, where)
            if document.id in seen:
                raise DataError(f"the document {document.id} comes twice", where=at(where, block[0][0]))
            seen.add(document.id)
            yield document
            block = []


def parse_document(block: list[tuple[int, str]], where: str) -> Abstract:
    """Parse the lines of one document."""
    parts = []
    for (number, line), wanted in zip(block, "ta", strict=False):
        match = TEXT_LINE.fullmatch(line)
        if match is None or match[2] != wanted:
            raise malformed(line, f"ID|{wanted}|text", at(where, number))
        parts.append((match[1], match[3]))
    if len(parts) < len("ta"):
        raise malformed("", "ID|a|text after the title", at(where, block[-1][0]))
    (identifier, title), (second, abstract) = parts
    if second != identifier:
        raise DataError(f"title {identifier!r} and abstract {second!r} differ", where=at(where, block[1][0]))
    text = f"{title} {abstract}"
    annotations = tuple(
        parse_annotation(line, identifier, text, at(where, number)) for number, line in block[2:]
    )
    return Abstract(identifier, text, annotations)


def parse_annotation(line: str, identifier: str, text: str, place: str) -> Annotation:
    """Parse a mention line and check it against the text."""
    fields = line.split("\t")
    if len(fields) != FIELDS or not OFFSET.fullmatch(fields[1]) or not OFFSET.fullmatch(fields[2]):
        raise malformed(line, "six fields: ID, start, end, text, types, concept", place)
    if fields[0] != identifier:
        raise DataError(f"a mention of {fields[0]!r} stands in the document {identifier!r}", where=place)
    span = Span(int(fields[1]), int(fields[2]))
    if not span.start < span.end <= len(text):
        raise DataError(
            f"the offsets {span.start} {span.end} do not lie in the text of {len(text)} characters",
            where=place,
        )
    if text[span.start : span.end] != fields[3]:
        raise DataError(
            f"the offsets give {text[span.start : span.end][:60]!r}, the line says {fields[3][:60]!r}",
            where=place,
            why="a mention with wrong offsets would be marked at the wrong place",
        )
    if not fields[5]:
        raise malformed(line, "a concept in the sixth field", place)
    types = tuple(kind for kind in fields[4].split(",") if kind)
    return Annotation(span, fields[3], types, fields[5])


def malformed(line: str, wanted: str, place: str) -> DataError:
    """The error for a line that is not in the format."""
    return DataError(
        "the line is not in PubTator format", where=place, why=f"wanted {wanted}, found {line[:80]!r}"
    )
