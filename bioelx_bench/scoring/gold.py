"""Gold concepts as the knowledge base of a run knows them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention
from bioelx_bench.scoring.protocols import ScoringProtocol

MAX_REMEMBERED: Final = 1 << 20
"""Golds, or concepts of a small knowledge base, that are kept at hand; more are looked up again."""


class Gold(NamedTuple):
    """The gold of a mention as a knowledge base knows it.

    Attributes:
        ids: Concept ids.
        rows: The concept row of each; -1 for one that the knowledge base does not have.
        in_kb: Whether the knowledge base has enough of it for a hit: any or all of it, by the protocol.
    """

    ids: tuple[str, ...]
    rows: tuple[int, ...]
    in_kb: bool


class GoldConcepts:
    """Looks gold concepts up in a knowledge base, each once.

    Args:
        kb: The knowledge base.
        protocol: Says whether retired concepts are mapped to their successors, and how joined ids are read.
        scheme: Scheme of the gold; ids of another one than the knowledge base's go through its crosswalk.
    """

    def __init__(self, kb: KnowledgeBase, protocol: ScoringProtocol, scheme: str = "") -> None:
        self._kb = kb
        self._scheme = scheme
        self._foreign = kb.is_foreign(scheme)
        self._protocol = protocol
        self._known: dict[tuple[str, ...], Gold] = {}
        self._rows: dict[str, int] = {}
        if len(kb) <= MAX_REMEMBERED // 2:  # a pass over a small table is cheaper than a search for each id
            self._rows.update(zip(kb.concepts.column("id").to_pylist(), range(len(kb)), strict=True))

    def __call__(self, mention: LabelledMention) -> Gold:
        """The mention's gold, retired concepts replaced by their successors under the policy `map`.

        A concept that the knowledge base has neither itself nor by a successor or its crosswalk stays as it is.
        """
        found = self._known.get(mention.gold)
        if found is None:
            if len(self._known) > MAX_REMEMBERED:
                self._known.clear()
            found = self._known[mention.gold] = self._look_up(mention.gold)
        return found

    def _look_up(self, gold: tuple[str, ...]) -> Gold:
        if self._protocol.split_gold:
            gold = tuple(part for concept in gold for part in re.split(r"[+|]", concept))
        if self._protocol.retired == "map" or self._foreign:
            gold = tuple(current for old in gold for current in self._current(old))
        ids = tuple(dict.fromkeys(gold))
        rows = tuple(map(self._row, ids))
        has = [row >= 0 for row in rows]
        return Gold(ids, rows, bool(has) and (any(has) if self._protocol.match == "any" else all(has)))

    def _current(self, concept: str) -> tuple[str, ...]:
        if not self._foreign and concept in self._rows:
            return (concept,)
        return self._kb.resolve_gold(concept, self._scheme) or (concept,)

    def _row(self, concept: str) -> int:
        row = self._rows[concept] if concept in self._rows else self._kb.concept_row(concept)
        return -1 if row is None else row
