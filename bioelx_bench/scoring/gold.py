"""Gold concepts as the knowledge base of a run knows them."""

from __future__ import annotations

from collections.abc import Iterable

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention
from bioelx_bench.scoring.protocols import ScoringProtocol


class GoldConcepts:
    """Looks gold concepts up in a knowledge base, each once.

    Args:
        kb: The knowledge base.
        protocol: Says whether retired concepts are mapped to their successors.
    """

    def __init__(self, kb: KnowledgeBase, protocol: ScoringProtocol) -> None:
        self._kb = kb
        self._protocol = protocol
        self._current: dict[str, tuple[str, ...]] = {}

    def current(self, mention: LabelledMention) -> tuple[str, ...]:
        """The mention's gold concepts, retired ones replaced by their successors under the policy `map`.

        A concept that the knowledge base has neither itself nor by a successor stays as it is.
        """
        if self._protocol.retired == "keep":
            return mention.gold
        found = (concept for gold in mention.gold for concept in self._successors(gold) or (gold,))
        return tuple(dict.fromkeys(found))

    def known(self, gold: Iterable[str]) -> bool:
        """Whether the knowledge base has enough of the gold for a hit: any or all of it, by the protocol."""
        quantifier = any if self._protocol.match == "any" else all
        return quantifier(concept in self._successors(concept) for concept in gold)

    def _successors(self, concept: str) -> tuple[str, ...]:
        if concept not in self._current:
            self._current[concept] = self._kb.resolve_gold(concept)
        return self._current[concept]
