"""What a prompt shows of a candidate: names, types and definition from the knowledge base."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bioelx_bench.records import Candidate, Concept
from bioelx_bench_llm.context import clean, shorten

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

NAME_TOKENS: Final = 40
"""Longest name shown; knowledge bases hold names of hundreds of words."""
MAX_CONCEPTS_KEPT: Final = 50_000
"""Concepts kept in memory; about 1 KB each."""


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A candidate as a template sees it: every value is one line.

    Attributes:
        name: Preferred name, English where there is one.
        aliases: Other names, in the mention's language and in English; the one that matched comes first.
        types: Semantic types as the knowledge base writes them.
        definition: Shortened definition, or empty.
        label: The candidate's letter in a setwise question, else empty.
    """

    name: str
    aliases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    definition: str = ""
    label: str = ""


class CandidateViews:
    """Makes views, and keeps those of concepts it has met.

    Args:
        kb: The knowledge base, or None: then a view holds the name that matched, alone.
        aliases: How many aliases to show in each of the two languages.
        definition_tokens: Budget of a definition, in estimated tokens.
    """

    def __init__(self, kb: KnowledgeBase | None, aliases: int, definition_tokens: int) -> None:
        self._kb = kb
        self._aliases = aliases
        self._definition_tokens = definition_tokens
        self._kept: OrderedDict[tuple[str, str], CandidateView | None] = OrderedDict()

    def view(self, candidate: Candidate, language: str) -> CandidateView:
        """The view of a candidate for a mention in `language`."""
        matched = shorten(candidate.name, NAME_TOKENS)
        view = self._concept_card(candidate.concept_id, language)
        if view is None:
            return CandidateView(matched)
        if matched.casefold() in {view.name.casefold(), ""} or self._aliases == 0:
            return view
        others = tuple(a for a in view.aliases if a.casefold() != matched.casefold())
        return CandidateView(view.name, (matched, *others), view.types, view.definition)

    def _concept_card(self, concept_id: str, language: str) -> CandidateView | None:
        key = (concept_id, language)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        concept = self._find(concept_id)
        view = None if concept is None else self._describe(concept, language)
        self._kept[key] = view
        if len(self._kept) > MAX_CONCEPTS_KEPT:
            self._kept.popitem(last=False)
        return view

    def _find(self, concept_id: str) -> Concept | None:
        if self._kb is None:
            return None
        try:
            return self._kb.concept(concept_id)
        except KeyError:
            return None

    def _describe(self, concept: Concept, language: str) -> CandidateView | None:
        if not concept.names:
            return None
        head = next((n for n in concept.names if n.language == "en"), concept.names[0])
        seen = {clean(head.text).strip().casefold()}
        aliases: list[str] = []
        for wanted in dict.fromkeys((language, "en")):
            found = 0
            for name in concept.names:
                if found == self._aliases:
                    break
                if name.language != wanted:
                    continue
                text = clean(name.text).strip()
                if text and text.casefold() not in seen:
                    seen.add(text.casefold())
                    aliases.append(shorten(text, NAME_TOKENS))
                    found += 1
        definition = shorten(concept.definition or "", self._definition_tokens)
        types = tuple(clean(t).strip() for t in concept.semantic_types)
        return CandidateView(shorten(head.text, NAME_TOKENS), tuple(aliases), types, definition)
