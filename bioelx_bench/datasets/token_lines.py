"""Token-per-line files: `token<TAB>tag`, tags `O`, `B-CONCEPT`, `I-CONCEPT`, a blank line after sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bioelx_bench.errors import DataError, at
from bioelx_bench.io.text import numbered_lines
from bioelx_bench.records import Span

TAG: Final = re.compile(r"([BI])-(\S+)")


@dataclass(slots=True)
class Chunk:
    """A mention: a range of characters of the sentence and its concept.

    Attributes:
        begun: Whether its first tag is `B-`; if not, an `I-` tag stands where no mention of its concept is
            open.
    """

    start: int
    end: int
    concept: str
    begun: bool

    @property
    def span(self) -> Span:
        """Its place in the sentence's text."""
        return Span(self.start, self.end)


@dataclass(slots=True)
class Sentence:
    """Tokens joined by one space, and the mentions in them."""

    text: str = ""
    chunks: list[Chunk] = field(default_factory=list)


def parse_token_lines(text: str, where: str) -> Iterator[Sentence]:
    """Parse a token-per-line file.

    `B-` opens a mention. `I-` continues the open mention of the same concept; elsewhere it opens one too,
    since otherwise an annotated token would be lost (as the CoNLL evaluation reads such tags).

    Args:
        text: The file's content.
        where: Its path, for errors.

    Yields:
        Its sentences, without empty ones.

    Raises:
        DataError: A line has not two fields, or a tag is none of the three.
    """
    sentence, open_chunk = Sentence(), None
    for number, line in numbered_lines(text):
        token, tab, tag = line.partition("\t")
        if not token.strip() and not tag.strip():
            if sentence.text:
                yield sentence
            sentence, open_chunk = Sentence(), None
            continue
        match = TAG.fullmatch(tag)
        if not tab or not token or (match is None and tag != "O"):
            raise DataError(
                "a line must be a token, a tab and a tag O, B-CONCEPT or I-CONCEPT",
                where=at(where, number),
                why=f"it is {line[:80]!r}",
            )
        start = len(sentence.text) + 1 if sentence.text else 0
        sentence.text = f"{sentence.text} {token}" if sentence.text else token
        if match is None:
            open_chunk = None
        elif match[1] == "I" and open_chunk is not None and open_chunk.concept == match[2]:
            open_chunk.end = len(sentence.text)
        else:
            open_chunk = Chunk(start, len(sentence.text), match[2], match[1] == "B")
            sentence.chunks.append(open_chunk)
    if sentence.text:
        yield sentence
