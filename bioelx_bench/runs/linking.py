"""Linking text without gold: candidates and rankings of mentions, without a run."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.errors import UsageError
from bioelx_bench.records import Candidate, Document, Mention, Ranking, Span
from bioelx_bench.runs.loading import LoadedComponents, load_components, open_index
from bioelx_bench.runs.plan import Plan
from bioelx_bench.runs.ranking import CheckedRanker
from bioelx_bench.runs.retrieval import BATCH, CheckedRetriever

MARKS: Final = re.compile(r"\\([\[\]\\])|([\[\]])")


@dataclass(frozen=True, slots=True)
class LinkedMention:
    """A mention with what was found for it.

    Attributes:
        mention: The mention.
        candidates: The retriever's candidates, best first.
        ranking: The ranker's order of the first of them; None without a ranker.
    """

    mention: Mention
    candidates: tuple[Candidate, ...]
    ranking: Ranking | None = None

    @property
    def final(self) -> tuple[Candidate, ...]:
        """The candidates in their last order: ranked ones first, then the rest of the retriever's."""
        if self.ranking is None:
            return self.candidates
        ranked = () if self.ranking.nil else self.ranking.candidates
        known = {c.concept_id for c in self.ranking.candidates}
        return (*ranked, *(c for c in self.candidates if c.concept_id not in known))

    @property
    def best(self) -> Candidate | None:
        """The first candidate, or None where nothing was found or the ranker answered "none of these"."""
        if self.ranking is not None and self.ranking.nil:
            return None
        return self.final[0] if self.final else None

    def to_dict(self) -> dict[str, Any]:
        """The form in which `bioelx-bench link --json` prints it."""
        found: dict[str, Any] = {
            "mention_id": self.mention.id,
            "mention": self.mention.text,
            "language": self.mention.language,
            "context": self.mention.document.text,
            "candidates": [
                {"concept_id": c.concept_id, "name": c.name, "score": c.score} for c in self.final
            ],
        }
        if self.ranking is not None:
            found["ranking"] = {
                "status": self.ranking.status,
                "nil": self.ranking.nil,
                "error": self.ranking.error,
            }
        return found

    def _repr_html_(self) -> str:
        """The candidates as a table for notebooks."""
        rows = "".join(
            f"<tr><td>{html.escape(c.concept_id)}</td><td>{html.escape(c.name)}</td><td>{c.score:.3f}</td></tr>"
            for c in self.final[:10]
        )
        return f"<table><caption>{html.escape(self.mention.text)}</caption>{rows}</table>"


def mentions_in(text: str | Mention, number: int, language: str) -> list[Mention]:
    """The mentions marked by square brackets in a text.

    Args:
        text: `fever after [dengue]`; without a mark it is a mention without context. A backslash before a bracket or
            a backslash makes it a plain character. A mention passes as it is.
        number: Position of the text, for ids.
        language: ISO 639-1 code.

    Raises:
        UsageError: It is no text, the brackets do not match, or there is nothing between them.
    """
    if isinstance(text, Mention):
        return [Mention(text.id, text.document, text.spans, text.text, text.language)]
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"text {number + 1} is empty or no text", hint='write "fever after [dengue]"')
    plain, spans = unmarked(text, number)
    document = Document(f"text/{number}", plain if spans else "", language)
    if not spans:
        return [Mention(f"text/{number}/0", document, (), plain.strip(), language)]
    return [
        Mention(f"text/{number}/{i}", document, (span,), plain[span.start : span.end], language)
        for i, span in enumerate(spans)
    ]


def unmarked(text: str, number: int) -> tuple[str, list[Span]]:
    """The text without its marks, and what stood between each pair of them."""
    plain: list[str] = []
    length = last = 0
    start: int | None = None
    spans: list[Span] = []
    for match in MARKS.finditer(text):
        piece = text[last : match.start()] + (match[1] or "")
        plain.append(piece)
        length += len(piece)
        last = match.end()
        if match[2] == "[" and start is None:
            start = length
        elif match[2] == "]" and start is not None and length > start:
            spans.append(Span(start, length))
            start = None
        elif match[2]:
            raise UsageError(
                f"the brackets of text {number + 1} do not mark a mention",
                where=f"character {match.start() + 1}",
                hint='write "fever after [dengue]"; \\[ is a bracket',
            )
    if start is not None:
        raise UsageError(
            f"the brackets of text {number + 1} do not mark a mention", where="a bracket is not closed"
        )
    return "".join([*plain, text[last:]]), spans


def link_mentions(plan: Plan, mentions: Sequence[Mention], environment: Environment) -> list[LinkedMention]:
    """Candidates and rankings of mentions, in their order.

    Raises:
        BenchError: A component failed or broke its contract.
    """
    parts = load_components(plan, environment)
    try:
        open_index(parts, fresh=plan.config.fresh)
        retriever = CheckedRetriever(
            parts.retriever, plan.retriever.origin, parts.kb, plan.config.k, "concept"
        )
        found: list[list[Candidate]] = []
        for start in range(0, len(mentions), BATCH):
            found += retriever.search(mentions[start : start + BATCH])
        rankings = rank_all(plan, parts, mentions, found)
    finally:
        parts.close()
    return [
        LinkedMention(mention, tuple(candidates), rankings.get(number))
        for number, (mention, candidates) in enumerate(zip(mentions, found, strict=True))
    ]


def rank_all(
    plan: Plan, parts: LoadedComponents, mentions: Sequence[Mention], found: Sequence[Sequence[Candidate]]
) -> dict[int, Ranking]:
    """The ranking of each mention by its position; empty without a ranker."""
    if parts.ranker is None or plan.ranker is None or plan.rerank_depth is None:
        return {}
    depth = plan.rerank_depth
    positions = {mention.id: number for number, mention in enumerate(mentions)}
    if len(positions) < len(mentions):
        raise UsageError("two mentions have one id", hint="give each mention an id of its own")
    rankings = {n: Ranking(mentions[n].id, tuple(c)) for n, c in enumerate(found) if len(c) < 2}

    def items() -> Iterator[tuple[Mention, Sequence[Candidate]]]:
        for number, (mention, candidates) in enumerate(zip(mentions, found, strict=True)):
            if number not in rankings:
                yield mention, candidates[:depth]

    for ranking in CheckedRanker(parts.ranker, plan.ranker.origin).rank(items()):
        rankings[positions[ranking.mention_id]] = ranking
    return rankings
