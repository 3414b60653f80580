"""A mention marked in its context, cut to a budget.

The budget is in tokens, estimated without any model's tokenizer from the length in UTF-8: three bytes a token.
That is one token for each Chinese, Japanese or Korean character, about two thirds of a token for a Cyrillic
or Greek letter, and a third for a Latin one: above what current multilingual vocabularies need, so a prompt
rarely gets longer than promised. An exact count would differ from model to model, so that one budget would
show different models different contexts, and the rankings could not be compared.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bioelx_bench.records import Mention, Span

BYTES_PER_TOKEN: Final = 3
OPEN: Final = "<mention>"
CLOSE: Final = "</mention>"
ELLIPSIS: Final = "…"
WORD_SLACK: Final = 24
"""Characters a cut may move to stand between words; scripts without spaces have no place so near."""


MODEL_MARKS: Final = re.compile(
    r"<\s?/?\s?[A-Za-z|｜][\w:.▁|｜/-]{0,60}\s?>|<0x[0-9A-Fa-f]{2}>"  # <|im_start|>, <start_of_turn>, </s>, <mention>
    r"|<<\s*/?\s*\w{1,20}\s*>>"  # <<SYS>>
    r"|\[\s*/?\s*[A-Z]{3,}(?:_[A-Z]+)*\s*\]"  # [INST], [/INST], [SYSTEM_PROMPT], [TOOL_CALLS]
    r"|◁[^▷\n]{0,40}▷"  # ◁think▷
    r"|<[|｜]|[|｜]>"  # pieces that data beside them could complete
)
"""Marks of chat formats, of all families: tokens by which a model tells whose turn it is, and our own mark."""
BROKEN: Final = str.maketrans(
    {"<": "(", ">": ")", "[": "(", "]": ")", "◁": "(", "▷": ")", "|": "/", "｜": "/"}
)


def clean(text: str) -> str:
    """Data as one line: no control characters, single spaces, and nothing that looks like a mark of a chat format.

    A server's tokenizer may take such text for the real mark, so its brackets become round ones. Brackets that
    compare numbers or hold no single word stay.
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    shown = re.sub(r"\s+", " ", shown)
    while (broken := MODEL_MARKS.sub(lambda mark: mark[0].translate(BROKEN), shown)) != shown:
        shown = broken  # what is left may make a new mark
    return shown


def size(text: str) -> int:
    """Length in UTF-8 bytes, the unit of budgets."""
    return len(text.encode("utf-8", "replace"))


def cut_end(text: str, budget: int) -> str:
    """The longest start of `text` within `budget` bytes, ended between words where words are spaced."""
    if size(text) <= budget:
        return text
    kept = text.encode("utf-8", "replace")[: max(budget, 0)].decode("utf-8", "ignore")
    while kept and len(kept) < len(text) and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    if kept and not kept[-1].isspace() and not text[len(kept)].isspace():
        space = kept.rfind(" ")
        if space >= 0 and len(kept) - space <= WORD_SLACK:
            kept = kept[:space]
    return kept


def cut_start(text: str, budget: int) -> str:
    """The longest end of `text` within `budget` bytes, begun between words where words are spaced."""
    if size(text) <= budget:
        return text
    data = text.encode("utf-8", "replace")
    kept = data[len(data) - max(budget, 0) :].decode("utf-8", "ignore")
    while kept and unicodedata.combining(kept[0]):
        kept = kept[1:]
    if kept and not kept[0].isspace() and not text[len(text) - len(kept) - 1].isspace():
        space = kept.find(" ")
        if 0 <= space <= WORD_SLACK:
            kept = kept[space + 1 :]
    return kept


def shorten(text: str, tokens: int) -> str:
    """`text` as one line within a budget of `tokens`, with an ellipsis where something was left out."""
    line = clean(text).strip()
    if tokens <= 0:
        return ""
    kept = cut_end(line, tokens * BYTES_PER_TOKEN)
    return line if kept == line else kept.rstrip() + ELLIPSIS


def marked_context(mention: Mention, tokens: int) -> str:
    """The mention's context with every piece of the mention between `<mention>` and `</mention>`.

    What is left out, at the ends or between the pieces of a discontinuous mention, shows as an ellipsis. The
    mention itself is never cut, even where it alone is beyond the budget.

    Args:
        mention: The mention; without spans its document is shown unmarked, from the start.
        tokens: Budget of the whole, in estimated tokens.

    Returns:
        One line; empty where the document has no text.
    """
    text = mention.document.text
    spans = [s for s in mention.spans if 0 <= s.start < s.end <= len(text)]
    if not text.strip() or tokens <= 0:
        return ""
    if not spans:
        return shorten(text, tokens)
    pieces, gaps = split_at(text, spans)
    left, *between, right = gaps
    budget = tokens * BYTES_PER_TOKEN - sum(size(piece) for piece in pieces)
    middles = []
    for gap in between:
        middles.append(shorten_gap(gap, budget))
        budget -= size(middles[-1])
    before, after = share(left, right, max(budget, 0))
    parts = [(ELLIPSIS if before != left else "") + before]
    for piece, middle in zip(pieces, [*middles, ""], strict=True):
        parts.append(f"{OPEN}{piece}{CLOSE}{middle}")
    parts.append(after + (ELLIPSIS if after != right else ""))
    return "".join(parts).strip()


def split_at(text: str, spans: list[Span]) -> tuple[list[str], list[str]]:
    """The cleaned pieces of a mention, and the cleaned text before, between and after them."""
    pieces, gaps, at = [], [], 0
    for span in sorted(spans, key=lambda s: s.start):
        start = max(span.start, at)  # spans that overlap give each character once
        if start >= span.end:
            continue
        gaps.append(clean(text[at:start]))
        pieces.append(clean(text[start : span.end]).strip())
        at = span.end
    return pieces, [*gaps, clean(text[at:])]


def shorten_gap(gap: str, budget: int) -> str:
    """The text between two pieces, its middle left out where it is too long."""
    if size(gap) <= budget:
        return gap
    half = max(budget, 0) // 4  # a gap may take half of what is left, a quarter beside each piece
    return f"{cut_end(gap, half).rstrip()} {ELLIPSIS} {cut_start(gap, half).lstrip()}"


def share(left: str, right: str, budget: int) -> tuple[str, str]:
    """Cut both sides to a common budget; what one side does not need goes to the other."""
    half = budget // 2
    for_left = max(half, budget - size(right))
    before = cut_start(left, min(for_left, budget))
    return before, cut_end(right, budget - size(before))
