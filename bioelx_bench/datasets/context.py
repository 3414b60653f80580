"""Cutting what a ranker sees out of a long document, in one way for every dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bioelx_bench.records import Span

WINDOW: Final = 1000
"""Characters of the window that is cut out of an article, mention included."""


def cut_window(text: str, spans: Sequence[Span], size: int = WINDOW) -> tuple[str, tuple[Span, ...]]:
    """Cut a window of at most `size` characters around a mention, at white space, never through the mention.

    The mention stands in the middle where the text allows; near an end of the text the window takes more of
    the other side. A mention longer than `size` is the window itself.

    Args:
        text: The document.
        spans: The mention's spans in it; they stay together, with all that lies between them.
        size: Length of the window in characters.

    Returns:
        The window, and the spans in it. Without spans, the start of the text.
    """
    if not spans:
        return text[: word_end(text, size, 0)], ()
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    room = max(size - (last - first), 0)
    before = min(first, max(room // 2, room - (len(text) - last)))
    start = word_start(text, first - before, first)
    end = word_end(text, min(len(text), last + room - (first - start)), last)
    return text[start:end], tuple(Span(span.start - start, span.end - start) for span in spans)


def word_start(text: str, at: int, limit: int) -> int:
    """The first start of a word in `at..limit`; `at` itself where there is none (scripts without spaces)."""
    if at == 0 or text[at - 1].isspace():
        return at
    for position in range(at, limit):
        if text[position].isspace():
            return position + 1
    return at


def word_end(text: str, at: int, limit: int) -> int:
    """The last end of a word in `limit..at`; `at` itself where there is none."""
    if at >= len(text) or text[at].isspace():
        return min(at, len(text))
    for position in range(at, limit, -1):
        if text[position - 1].isspace():
            return position - 1
    return at
