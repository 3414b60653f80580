"""What a retriever and a ranker must not give: checked at the batch where it occurs, cheap enough for every batch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from operator import attrgetter, contains
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import BenchError
from bioelx_bench.records import Candidate, Mention, Ranking, Unit, Usage
from bioelx_bench.runs.foreign import Origin, broken_contract

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

MAX_REMEMBERED: Final = 1_000_000
"""Names that are kept at hand; beyond them they are looked up again."""

MAX_COUNT: Final = 2**53
"""What a count, or a cost in USD, may be at most: beyond it floats are no longer exact."""

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
        self._names: dict[str, frozenset[str]] = {}
        self._remembered = 0

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
        self._concepts(mentions, lengths, flat)
        if {*map(type, map(attrgetter("score"), flat))} <= {float}:
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
        raw = [*map(attrgetter("score"), flat)]
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
        self, mentions: Sequence[Mention], lengths: npt.NDArray[np.int64], flat: Sequence[Candidate]
    ) -> None:
        ids, names = [*map(attrgetter("concept_id"), flat)], [*map(attrgetter("name"), flat)]
        if not {*map(type, ids), *map(type, names)} <= {str}:
            bad = next(
                i for i, pair in enumerate(zip(ids, names, strict=True)) if {*map(type, pair)} != {str}
            )
            shown = (ids[bad], names[bad])
            raise self._error(mentions, lengths, bad, f"returned {shown!r}: concept id and name must be str,")
        if self._unit == "concept":
            for mention, (start, stop) in zip(
                mentions, pairwise([0, *np.cumsum(lengths).tolist()]), strict=True
            ):
                if len(set(ids[start:stop])) < stop - start:
                    twice = next(ids[i] for i in range(start, stop) if ids[i] in ids[start:i])
                    what = f"returned the concept {twice!r} twice"
                    raise broken_contract(self._origin, "search", what, mention.id)
        if unknown := self._learn(set(ids) - self._names.keys(), set(ids)):
            bad = next(i for i, concept in enumerate(ids) if concept in unknown)
            what = f"returned the concept {ids[bad]!r}, which the knowledge base does not have,"
            raise self._error(mentions, lengths, bad, what)
        if not all(map(contains, map(self._names.__getitem__, ids), names)):
            bad = next(i for i, concept in enumerate(ids) if names[i] not in self._names[concept])
            what = f"returned the name {names[bad]!r}, which is none of the concept {ids[bad]!r},"
            raise self._error(mentions, lengths, bad, what)

    def _learn(self, new: set[str], needed: set[str]) -> set[str]:
        """Look up the names of concepts; gives those that the knowledge base does not have."""
        if not new:
            return set()
        if self._remembered > MAX_REMEMBERED:
            self._names.clear()
            self._remembered, new = 0, needed
        concepts = list(new)
        rows = self._kb.concept_rows(concepts)
        if (rows < 0).any():
            return {concept for concept, row in zip(concepts, rows.tolist(), strict=True) if row < 0}
        for concept, texts in zip(concepts, names_of_rows(self._kb, rows), strict=True):
            self._names[concept] = texts
            self._remembered += len(texts)
        return set()


def names_of_rows(kb: KnowledgeBase, rows: npt.NDArray[np.int32]) -> Iterator[frozenset[str]]:
    """The names of each of some concepts, read from the name table in one go."""
    import pyarrow as pa

    starts = kb.name_offsets[rows]
    counts = kb.name_offsets[rows + 1] - starts
    ends = np.cumsum(counts)
    wanted = np.repeat(starts - ends + counts, counts) + np.arange(int(counts.sum()))
    # pa.array of a NumPy array would import pandas, half a second, for nothing
    places = pa.Array.from_buffers(pa.int64(), len(wanted), [None, pa.py_buffer(wanted.astype(np.int64))])
    texts = kb.names.column("text").take(places).to_pylist()
    for start, end in pairwise([0, *ends.tolist()]):
        yield frozenset(texts[start:end])


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

    check_types(ranking, wrong)
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
        status=ranking.status,
        usage=checked_usage(ranking.usage, wrong),
        fallbacks=dict(ranking.fallbacks),
        nil=bool(ranking.nil),
        error=writable(ranking.error),
    )


def check_types(ranking: Ranking, wrong: Callable[[str], BenchError]) -> None:
    """Refuse a ranking with fields of other types than they must be.

    Raises:
        BenchError: It names the field.
    """
    fields: list[tuple[str, type | tuple[type, ...]]] = [
        ("candidates", (tuple, list)),
        ("evidence", (tuple, list, type(None))),
        ("status", str),
        ("usage", Usage),
        ("fallbacks", Mapping),
        ("nil", (bool, np.bool_)),
        ("error", str),
    ]
    for name, kinds in fields:
        value = getattr(ranking, name)
        if not isinstance(value, kinds):
            raise wrong(f"returned a ranking whose {name} is a {type(value).__name__}")
    if not re.fullmatch(r"[a-z_]{1,40}", ranking.status):
        raise wrong(f"returned the status {ranking.status[:40]!a}, which is no word of a-z and _,")
    for kind, count in ranking.fallbacks.items():
        if type(kind) is not str or type(count) is not int or not 0 <= count <= MAX_COUNT:
            raise wrong(f"returned the fallback {kind!a:.40}: {count!a:.40}, which is no name and count,")


def writable(text: str) -> str:
    """A text that can be written as UTF-8: lone surrogates as codes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def checked_usage(usage: Usage, wrong: Any) -> Usage:
    """Usage as plain numbers, none negative."""
    counts = (usage.calls, usage.prompt_tokens, usage.completion_tokens)
    cost = usage.cost_usd
    if any(not is_number(type(n)) or not 0 <= n <= MAX_COUNT for n in (*counts, cost)) or not math.isfinite(
        as_float(cost)
    ):
        raise wrong(f"returned a usage that cannot be: {usage!s:.200}")
    calls, prompt, completion = map(int, counts)
    return Usage(calls, prompt, completion, float(cost))
