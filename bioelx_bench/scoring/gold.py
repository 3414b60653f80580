"""Gold concepts as the knowledge base of a run knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention
from bioelx_bench.scoring.protocols import ScoringProtocol

MAX_REMEMBERED: Final = 1 << 20
"""Concept ids whose rows are kept at hand; more are looked up again."""


class ConceptCodes(dict[str, int]):
    """An integer for each concept id: its row in the knowledge base, or a negative number of its own.

    Two ids have one code only if they are the same id, and a code below 0 is of no concept of the knowledge base.
    """

    def __init__(self, kb: KnowledgeBase) -> None:
        super().__init__()
        self._kb = kb
        self._unknown = 0
        if len(kb) <= MAX_REMEMBERED // 2:  # a pass over a small table is cheaper than a search for each id
            self.update(zip(kb.concepts.column("id").to_pylist(), range(len(kb)), strict=True))

    def __missing__(self, concept_id: str) -> int:
        row = self._kb.concept_row(concept_id) if isinstance(concept_id, str) else None
        if row is None:
            self._unknown -= 1
            row = self._unknown
        self[concept_id] = row
        return row


class GoldConcepts:
    """Looks gold concepts up in a knowledge base, each once.

    Args:
        kb: The knowledge base.
        protocol: Says whether retired concepts are mapped to their successors, and how joined ids are read.
        codes: Codes of concepts.
    """

    def __init__(self, kb: KnowledgeBase, protocol: ScoringProtocol, codes: ConceptCodes) -> None:
        self._kb = kb
        self._codes = codes
        self._protocol = protocol
        self._current: dict[str, tuple[str, ...]] = {}

    def current(self, mention: LabelledMention) -> tuple[str, ...]:
        """The mention's gold concepts, retired ones replaced by their successors under the policy `map`.

        A concept that the knowledge base has neither itself nor by a successor stays as it is.
        """
        gold = mention.gold
        if self._protocol.split_gold:
            gold = tuple(part for concept in gold for part in re.split(r"[+|]", concept))
        if self._protocol.retired == "keep":
            return tuple(dict.fromkeys(gold))
        found = (concept for old in gold for concept in self._successors(old) or (old,))
        return tuple(dict.fromkeys(found))

    def __call__(self, mention: LabelledMention) -> tuple[tuple[str, ...], bool]:
        """The mention's gold, and whether the knowledge base has enough of it for a hit."""
        gold = self.current(mention)
        return gold, self.known(gold)

    def known(self, gold: Iterable[str]) -> bool:
        """Whether the knowledge base has enough of the gold for a hit: any or all of it, by the protocol."""
        has = [self._codes[concept] >= 0 for concept in gold]
        return bool(has) and (any(has) if self._protocol.match == "any" else all(has))

    def _successors(self, concept: str) -> tuple[str, ...]:
        if concept not in self._current:
            if len(self._current) > MAX_REMEMBERED:
                self._current.clear()
            self._current[concept] = self._kb.resolve_gold(concept)
        return self._current[concept]
