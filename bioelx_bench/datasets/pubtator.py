"""The PubTator format: a title line, an abstract line, mention lines, then a blank line.

They are `ID|t|title` and `ID|a|abstract`. Mention lines are `ID start end text type concept`, offsets counted in
title + one space + abstract; BC5CDR adds a seventh field with the single mentions of a composite one, and lines
`ID relation concept concept` for relations, which are skipped. Sources: the README of MedMentions; the BioCreative V
CDR corpus (Li et al., Database 2016).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bioelx_bench.datasets.offsets import CHARACTERS, Offsets, recognise_unit
from bioelx_bench.errors import DataError, at
from bioelx_bench.io.text import numbered_lines
from bioelx_bench.records import Span

TEXT_LINE: Final = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)
OFFSET: Final = re.compile(r"\d{1,9}", re.ASCII)
MENTION_FIELDS: Final = (5, 6, 7)
RELATION_FIELDS: Final = 4


@dataclass(frozen=True, slots=True)
class Annotation:
    """One mention line.

    Attributes:
        spans: Its place in the document's text; empty where the offsets do not give `text`.
        text: Its surface string.
        types: Semantic types, between commas in the file.
        concept: The concept id as written, such as `C0010674`, `UMLS:C0010674` or `D003924|D008881`; empty if the
            line gives none.
        oddities: What was odd in its offsets.
    """

    spans: tuple[Span, ...]
    text: str
    types: tuple[str, ...]
    concept: str
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MentionLine:
    """The fields of a mention line, as they are written."""

    number: int
    start: int
    end: int
    text: str
    types: str
    concept: str


@dataclass(frozen=True, slots=True)
class Abstract:
    """A document: its text is the title, a space and the abstract."""

    id: str
    text: str
    annotations: tuple[Annotation, ...]


class Parser:
    """Parses one PubTator file.

    Args:
        where: The file's path, for errors.
        strict: Whether a document that comes twice, wrong offsets, a missing concept and a line of a relation are
            errors. If not, they are counted: `documents_repeated` (read once), `relations`; offsets of bytes or
            UTF-16 units are converted, and a mention with wrong ones has no span.

    Attributes:
        counts: What was skipped.
    """

    def __init__(self, where: str, *, strict: bool = True) -> None:
        self.where = where
        self.strict = strict
        self.counts: Counter[str] = Counter()

    def documents(self, text: str) -> Iterator[Abstract]:
        """The documents of a file's content, in its order.

        Raises:
            DataError: A line is not in the format or out of place; if strict, see the class.
        """
        seen: set[str] = set()
        for block in blocks(text):
            document = self.document(block)
            if document.id in seen:
                if self.strict:
                    raise DataError(
                        f"the document {document.id} comes twice", where=at(self.where, block[0][0])
                    )
                self.counts["documents_repeated"] += 1
                continue
            seen.add(document.id)
            yield document

    def document(self, block: Sequence[tuple[int, str]]) -> Abstract:
        """Parse the lines of one document."""
        parts = []
        for (number, line), wanted in zip(block, "ta", strict=False):
            match = TEXT_LINE.fullmatch(line)
            if match is None or match[2] != wanted:
                raise malformed(line, f"ID|{wanted}|text", at(self.where, number))
            parts.append((match[1], match[3]))
        if len(parts) < len("ta"):
            raise malformed("", "ID|a|text after the title", at(self.where, block[-1][0]))
        (identifier, title), (second, abstract) = parts
        if second != identifier:
            raise DataError(
                f"title {identifier!r} and abstract {second!r} differ", where=at(self.where, block[1][0])
            )
        lines = (self.mention_line(number, line, identifier) for number, line in block[2:])
        found = [line for line in lines if line is not None]
        pairs = [(((line.start, line.end),), (line.text,)) for line in found]
        text = f"{title} {abstract}"
        offsets = Offsets([(text, 0)], CHARACTERS) if self.strict else recognise_unit([(text, 0)], pairs)
        return Abstract(identifier, text, tuple(self.annotation(line, offsets) for line in found))

    def mention_line(self, number: int, line: str, identifier: str) -> MentionLine | None:
        """Take a mention line apart; None for a relation."""
        place = at(self.where, number)
        fields = line.split("\t")
        if fields[0] != identifier and len(fields) >= RELATION_FIELDS:
            raise DataError(f"a mention of {fields[0]!r} stands in the document {identifier!r}", where=place)
        mention = len(fields) in MENTION_FIELDS and all(OFFSET.fullmatch(field) for field in fields[1:3])
        if not mention and not self.strict and len(fields) == RELATION_FIELDS:
            self.counts["relations"] += 1
            return None
        if not mention or (self.strict and len(fields) != MENTION_FIELDS[1]):
            raise malformed(line, "six fields: ID, start, end, text, types, concept", place)
        concept = fields[5].strip() if len(fields) > MENTION_FIELDS[0] else ""
        if self.strict and not concept:
            raise malformed(line, "a concept in the sixth field", place)
        return MentionLine(number, int(fields[1]), int(fields[2]), fields[3], fields[4], concept)

    def annotation(self, line: MentionLine, offsets: Offsets) -> Annotation:
        """A mention line checked against the text.

        Raises:
            DataError: The offsets do not give the mention, and that is an error.
        """
        types = tuple(kind for kind in line.types.split(",") if kind)
        span = offsets.span(line.start, line.end)
        if span is not None and offsets.text[span.start : span.end] == line.text:
            odd = () if offsets.unit == CHARACTERS else (f"offsets_in_{offsets.unit}",)
            return Annotation((span,), line.text, types, line.concept, odd)
        if not self.strict:
            return Annotation((), line.text, types, line.concept, ("offset_mismatch",))
        place = at(self.where, line.number)
        if span is None:
            raise DataError(
                f"the offsets {line.start} {line.end} do not lie in the text of {len(offsets.text)} characters",
                where=place,
            )
        raise DataError(
            f"the offsets give {offsets.text[span.start : span.end][:60]!r}, the line says {line.text[:60]!r}",
            where=place,
            why="a mention with wrong offsets would be marked at the wrong place",
        )


def parse_pubtator(text: str, where: str) -> Iterator[Abstract]:
    """Parse a PubTator file strictly; see `Parser`."""
    return Parser(where).documents(text)


def blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """The numbered lines of each document."""
    block: list[tuple[int, str]] = []
    for number, line in [*numbered_lines(text), (0, "")]:
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []


def with_overlaps(annotations: Iterable[Annotation]) -> Iterator[tuple[Annotation, list[str]]]:
    """Each annotation of a document with `same_span` and `overlapping` where it meets an earlier one."""
    seen: set[tuple[Span, ...]] = set()
    reached = 0
    for annotation in annotations:
        odd = list(annotation.oddities)
        odd += ["same_span"] * (bool(annotation.spans) and annotation.spans in seen)
        for span in annotation.spans:
            odd += ["overlapping"] * (span.start < reached)
            reached = max(reached, span.end)
        seen.add(annotation.spans)
        yield annotation, odd


def malformed(line: str, wanted: str, place: str) -> DataError:
    """The error for a line that is not in the format."""
    return DataError(
        "the line is not in PubTator format", where=place, why=f"wanted {wanted}, found {line[:80]!r}"
    )
