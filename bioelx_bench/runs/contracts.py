"""What a retriever and a ranker must not give: checked at the batch where it occurs, cheap enough for every batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import BenchError
from bioelx_bench.records import Candidate, Mention, Ranking, Unit, Usage
from bioelx_bench.runs.foreign import Origin, broken_contract

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

MAX_REMEMBERED: Final = 2_000_000
"""Pairs of concept and name that are known to be right; beyond them they are looked up again."""

Snapshot = list[tuple[Any, ...]]


def snapshot(mentions: Sequence[Mention]) -> Snapshot:
    """What mentions hold, apart from the mentions."""
    return [
        (m.id, m.text, m.language, m.spans, m.document.id, m.document.text, m.document.language)
        for m in mentions
    ]


def is_number(kind: type) -> bool:
    """Whether values of a type are numbers that a score may be."""
    return issubclass(kind, int | float | np.integer | np.floating) and not issubclass(kind, bool | np.bool_)


def as_float(value: Any) -> float:
    """A number as a float; an integer beyond all floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


class CandidateChecker:
    """Checks a retriever's answers against the knowledge base; remembers what it looked up.

    Args:
        origin: The retriever, for errors.
        kb: The knowledge base.
        k: The most candidates a list may hold.
        unit: What takes a place in a list.
    """

    def __init__(self, origin: Origin, kb: KnowledgeBase, k: int, unit: Unit) -> None:
        self._origin = origin
        self._kb = kb
        self._k = k
        self._unit = unit
        self._right: set[tuple[str, str]] = set()

    def check(self, mentions: Sequence[Mention], found: object) -> list[list[Candidate]]:
        """The lists with scores as floats.

        Raises:
            BenchError: Something in them cannot be; it names the mention.
        """
        lists = self._lists(mentions, found)
        flat = list(chain.from_iterable(lists))
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        if wrong := set(map(type, flat)) - {Candidate}:
            bad = next(i for i, c in enumerate(flat) if type(c) in wrong)
            raise self._error(
                mentions, lengths, bad, f"returned a {type(flat[bad]).__name__} in place of a Candidate"
            )
        scores = self._scores(mentions, lengths, flat)
        self._order(mentions, lengths, scores)
        self._concepts(mentions, lists, lengths, flat)
        if {type(c.score) for c in flat} <= {float}:
            return lists
        taken = iter(scores.tolist())
        return [[Candidate(c.concept_id, next(taken), c.name) for c in candidates] for candidates in lists]

    def _error(
        self, mentions: Sequence[Mention], lengths: npt.NDArray[np.int64], position: int, what: str
    ) -> BenchError:
        number = int(np.searchsorted(np.cumsum(lengths), position, side="right"))
        return broken_contract(self._origin, "search", what, mentions[number].id)

    def _lists(self, mentions: Sequence[Mention], found: object) -> list[list[Candidate]]:
        if not isinstance(found, Sequence) or isinstance(found, str | bytes):
            raise broken_contract(
                self._origin,
                "search",
                f"returned {type(found).__name__}, not a sequence with one list a mention",
            )
        if len(found) != len(mentions):
            raise broken_contract(
                self._origin, "search", f"returned {len(found)} lists for {len(mentions)} mentions"
            )
        lists: list[list[Candidate]] = []
        for mention, candidates in zip(mentions, found, strict=True):
            if not isinstance(candidates, list | tuple):
                what = f"returned {type(candidates).__name__} in place of a list of candidates"
                raise broken_contract(self._origin, "search", what, mention.id)
            if len(candidates) > self._k:
                what = f"returned {len(candidates)} candidates where k={self._k}"
                raise broken_contract(self._origin, "search", what, mention.id)
            lists.append(list(candidates))
        return lists

    def _scores(
        self, mentions: Sequence[Mention], lengths: npt.NDArray[np.int64], flat: Sequence[Candidate]
    ) -> npt.NDArray[np.float64]:
        raw = [c.score for c in flat]
        wrong = {kind for kind in set(map(type, raw)) if not is_number(kind)}
        if wrong:
            bad = next(i for i, score in enumerate(raw) if type(score) in wrong)
            raise self._error(mentions, lengths, bad, f"returned the score {raw[bad]!r}, which is no number,")
        scores = np.fromiter(map(as_float, raw), np.float64, len(raw))
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise self._error(
                mentions, lengths, bad, f"returned the score {scores[bad]}, which is not finite,"
            )
        return scores

    def _order(
        self, mentions: Sequence[Mention], lengths: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
    ) -> None:
        rises = np.flatnonzero(np.diff(scores) > 0) + 1
        starts = np.cumsum(lengths)
        rises = rises[~np.isin(rises, starts)]
        if len(rises):
            bad = int(rises[0])
            what = f"returned the score {scores[bad]:g} after {scores[bad - 1]:g}, not best first,"
            raise self._error(mentions, lengths, bad, what)

    def _concepts(
        self,
        mentions: Sequence[Mention],
        lists: Sequence[Sequence[Candidate]],
        lengths: npt.NDArray[np.int64],
        flat: Sequence[Candidate],
    ) -> None:
        pairs = [(c.concept_id, c.name) for c in flat]
        if any(
            type(concept) is not str or type(name) is not str for concept, name in set(pairs) - self._right
        ):
            bad = next(i for i, (a, b) in enumerate(pairs) if type(a) is not str or type(b) is not str)
            raise self._error(
                mentions, lengths, bad, f"returned {pairs[bad]!r}: concept id and name must be str,"
            )
        if self._unit == "concept":
            for mention, candidates in zip(mentions, lists, strict=True):
                ids = [c.concept_id for c in candidates]
                if len(set(ids)) < len(ids):
                    twice = next(i for n, i in enumerate(ids) if i in ids[:n])
                    raise broken_contract(
                        self._origin, "search", f"returned the concept {twice!r} twice", mention.id
                    )
        self._names(mentions, lengths, pairs)

    def _names(
        self, mentions: Sequence[Mention], lengths: npt.NDArray[np.int64], pairs: Sequence[tuple[str, str]]
    ) -> None:
        asked = set(pairs) - self._right
        if not asked:
            return
        rows = {concept: self._kb.concept_row(concept) for concept in {concept for concept, _ in asked}}
        if unknown := {concept for concept, row in rows.items() if row is None}:
            bad = next(i for i, (concept, _) in enumerate(pairs) if concept in unknown)
            what = f"returned the concept {pairs[bad][0]!r}, which the knowledge base does not have,"
            raise self._error(mentions, lengths, bad, what)
        there = names_of_concepts(self._kb, {c: r for c, r in rows.items() if r is not None})
        if wrong := asked - there:
            bad = next(i for i, pair in enumerate(pairs) if pair in wrong)
            concept, name = pairs[bad]
            what = f"returned the name {name!r}, which is none of the concept {concept!r},"
            raise self._error(mentions, lengths, bad, what)
        if len(self._right) + len(asked) > MAX_REMEMBERED:
            self._right.clear()
        self._right |= asked


def names_of_concepts(kb: KnowledgeBase, rows: dict[str, int]) -> set[tuple[str, str]]:
    """All pairs of concept and name of some concepts, read from the name table in one go."""
    import pyarrow as pa

    concepts = list(rows)
    order = np.fromiter(rows.values(), np.int64, len(rows))
    starts, stops = kb.name_offsets[order], kb.name_offsets[order + 1]
    counts = stops - starts
    offsets = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    wanted = offsets + np.arange(int(counts.sum()))
    texts = kb.names.column("text").take(pa.array(wanted)).to_pylist()
    owners = np.repeat(np.arange(len(concepts)), counts).tolist()
    return {(concepts[owner], text) for owner, text in zip(owners, texts, strict=True)}


def check_unchanged(origin: Origin, method: str, mentions: Sequence[Mention], before: Snapshot) -> None:
    """Refuse a component that changed the mentions it was given.

    Raises:
        BenchError: One was changed.
    """
    for mention, now, then in zip(mentions, snapshot(mentions), before, strict=True):
        if now != then:
            raise broken_contract(
                origin, method, "changed the mention it was given", str(then[0] or mention.id)
            )


def check_ranking(
    origin: Origin, ranking: object, given: Sequence[Candidate] | None, waiting: Sequence[str] = ()
) -> Ranking:
    """A ranker's answer with plain numbers in it.

    Raises:
        BenchError: It is no permutation of the candidates that went in with their scores and names, or its evidence
            or usage cannot be.
    """
    if not isinstance(ranking, Ranking):
        which = next(iter(waiting), None)
        raise broken_contract(
            origin, "rank", f"returned {type(ranking).__name__} in place of a Ranking", which
        )
    if given is None:
        what = "returned a ranking that was not asked for or came twice"
        raise broken_contract(origin, "rank", what, str(ranking.mention_id))

    def wrong(what: str) -> BenchError:
        return broken_contract(origin, "rank", what, ranking.mention_id)

    if any(type(c) is not Candidate for c in ranking.candidates):
        raise wrong("returned something else than candidates")
    before = sorted((c.concept_id, float(c.score), c.name) for c in given)
    try:
        after = sorted((c.concept_id, float(c.score), c.name) for c in ranking.candidates)
    except (TypeError, ValueError) as error:
        raise wrong("returned candidates with something else than text and numbers in them") from error
    if [a[0] for a in before] != [a[0] for a in after]:
        raise wrong("returned no permutation of the candidates that went in")
    if before != after:
        raise wrong("changed a candidate's score or name (evidence has a field of its own)")
    original = {c.concept_id: c for c in given}
    evidence = ranking.evidence
    if evidence is not None:
        if len(evidence) != len(ranking.candidates):
            raise wrong(
                f"returned {len(evidence)} values of evidence for {len(ranking.candidates)} candidates"
            )
        if any(e is not None and not (is_number(type(e)) and math.isfinite(as_float(e))) for e in evidence):
            raise wrong("returned evidence that is neither a finite number nor None")
    return Ranking(
        mention_id=ranking.mention_id,
        candidates=tuple(original[c.concept_id] for c in ranking.candidates),
        evidence=None if evidence is None else tuple(None if e is None else float(e) for e in evidence),
        status=str(ranking.status),
        usage=checked_usage(ranking.usage, wrong),
        fallbacks={str(kind): int(count) for kind, count in ranking.fallbacks.items()},
        nil=bool(ranking.nil),
        error=str(ranking.error),
    )


def checked_usage(usage: Usage, wrong: Any) -> Usage:
    """Usage as plain numbers, none negative."""
    counts = (usage.calls, usage.prompt_tokens, usage.completion_tokens)
    cost = usage.cost_usd
    if any(not is_number(type(n)) or n < 0 for n in (*counts, cost)) or not math.isfinite(as_float(cost)):
        raise wrong(f"returned a usage that cannot be: {usage}")
    calls, prompt, completion = map(int, counts)
    return Usage(calls, prompt, completion, float(cost))
