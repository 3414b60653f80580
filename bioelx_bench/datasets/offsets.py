"""Offsets that count something else than characters: recognised by the text they give, and converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from bioelx_bench.records import Span

CHARACTERS: Final = "characters"

WIDTHS: Final[Mapping[str, Callable[[str], int]]] = {
    CHARACTERS: lambda _: 1,
    "bytes": lambda character: len(character.encode("utf-8", "surrogatepass")),
    "utf16": lambda character: 1 + (ord(character) > 0xFFFF),
}
"""What offsets may count, and how much of it a character has."""

MAX_GAP: Final = 1 << 20


class Offsets:
    """The text of a document put together from pieces at their offsets, and offsets converted to characters.

    Args:
        pieces: Text and start of each piece, in order; gaps are filled with spaces.
        unit: What the offsets count, a key of `WIDTHS`.

    Raises:
        ValueError: Pieces overlap or lie absurdly far apart.
    """

    def __init__(self, pieces: Iterable[tuple[str, int]], unit: str) -> None:
        self.unit = unit
        width = WIDTHS[unit]
        text, length = [], 0
        for piece, start in pieces:
            if start < length:
                raise ValueError(f"the passage at {start} overlaps the one before")
            if start > length + MAX_GAP:
                raise ValueError(f"the passage at {start} leaves a gap of over 1 MiB")
            text += [" " * (start - length), piece]
            length = start + (len(piece) if unit == CHARACTERS else sum(map(width, piece)))
        self.text = "".join(text)
        self._places: dict[int, int] | None = None
        if unit != CHARACTERS:
            ends = accumulate(map(width, self.text), initial=0)
            self._places = {place: number for number, place in enumerate(ends)}

    def span(self, start: int, end: int) -> Span | None:
        """The span of some offsets, not empty; None where they do not lie in the text."""
        if self._places is not None:
            start, end = self._places.get(start, -1), self._places.get(end, -1)
        return Span(start, end) if 0 <= start < end <= len(self.text) else None

    def agree(self, offsets: Sequence[tuple[int, int]], texts: Sequence[str]) -> list[Span] | None:
        """The span of each piece of a mention where all give their text, white space aside; None where not."""
        spans = [self.span(*pair) for pair in offsets]
        found = [span for span in spans if span is not None]
        if not found or len(found) < len(spans):
            return None
        words = [self.text[span.start : span.end].split() for span in found]
        if len(texts) == len(found):
            return found if words == [text.split() for text in texts] else None
        joined = " ".join(texts).split()
        return found if [word for piece in words for word in piece] == joined else None


def recognise_unit(
    pieces: Sequence[tuple[str, int]], mentions: Sequence[tuple[Sequence[tuple[int, int]], Sequence[str]]]
) -> Offsets:
    """The reading of a document under which most mentions' offsets give their text; characters where none is better.

    Raises:
        ValueError: The pieces fit together under no reading.
    """
    plain: Offsets | ValueError
    try:
        plain = Offsets(pieces, CHARACTERS)
    except ValueError as error:
        plain = error
    if all(text.isascii() for text, _ in pieces):
        if isinstance(plain, ValueError):
            raise plain
        return plain
    best, most = plain, -1
    if isinstance(plain, Offsets):
        most = agreeing(plain, mentions)
        if most == len(mentions):
            return plain
    for unit in WIDTHS:
        if unit == CHARACTERS:
            continue
        try:
            reading = Offsets(pieces, unit)
        except ValueError:
            continue
        if (number := agreeing(reading, mentions)) > most:
            best, most = reading, number
    if isinstance(best, ValueError):
        raise best
    return best


def agreeing(reading: Offsets, mentions: Sequence[tuple[Sequence[tuple[int, int]], Sequence[str]]]) -> int:
    """How many mentions' offsets give their text."""
    return sum(reading.agree(offsets, texts) is not None for offsets, texts in mentions)
