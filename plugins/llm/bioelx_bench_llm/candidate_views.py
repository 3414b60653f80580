"""What a prompt shows of a candidate: names, types and definition from the knowledge base."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bioelx_bench.records import Candidate, Concept
from bioelx_bench_llm.context import clean, shorten

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

MAX_ALIASES: Final = 3
"""Aliases shown, in each of the mention's language and English."""
MAX_DEFINITION_TOKENS: Final = 40
MAX_NAME_TOKENS: Final = 40
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
    """

    def __init__(self, kb: KnowledgeBase | None) -> None:
        self._kb = kb
        self._kept: OrderedDict[tuple[str, str], CandidateView | None] = OrderedDict()

    def views(self, candidates: Sequence[Candidate], language: str) -> list[CandidateView]:
        """The views of a mention's candidates, for a mention in `language`.

        Candidates that would look the same get what tells them apart: names that only they have, in any language.
        """
        views = [self.view(candidate, language) for candidate in candidates]
        alike: dict[CandidateView, list[int]] = {}
        for place, view in enumerate(views):
            alike.setdefault(folded(view), []).append(place)
        for places in alike.values():
            if len(places) > 1:
                found = [self._find(candidates[place].concept_id) for place in places]
                names = [{} if c is None else all_names(c) for c in found]
                for place, own in zip(places, names, strict=True):
                    views[place] = replace(
                        views[place], aliases=(*views[place].aliases, *only_in(own, names))
                    )
        return views

    def view(self, candidate: Candidate, language: str) -> CandidateView:
        """The view of one candidate by itself."""
        matched = shorten(candidate.name, MAX_NAME_TOKENS)
        view = self._concept_view(candidate.concept_id, language)
        if view is None:
            return CandidateView(matched)
        if matched.casefold() in {view.name.casefold(), ""}:
            return view
        others = tuple(a for a in view.aliases if a.casefold() != matched.casefold())
        return replace(view, aliases=(matched, *others))

    def _concept_view(self, concept_id: str, language: str) -> CandidateView | None:
        key = (concept_id, language)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        concept = self._find(concept_id)
        view = None if concept is None else describe(concept, language)
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


def describe(concept: Concept, language: str) -> CandidateView | None:
    """What is shown of a concept: its English name, aliases in both languages, types and a short definition."""
    if not concept.names:
        return None
    head = next((n for n in concept.names if n.language == "en"), concept.names[0])
    seen = {clean(head.text).strip().casefold()}
    aliases: list[str] = []
    for wanted in dict.fromkeys((language, "en")):
        found = 0
        for name in concept.names:
            if found == MAX_ALIASES:
                break
            text = clean(name.text).strip() if name.language == wanted else ""
            if text and text.casefold() not in seen:
                seen.add(text.casefold())
                aliases.append(shorten(text, MAX_NAME_TOKENS))
                found += 1
    definition = shorten(concept.definition or "", MAX_DEFINITION_TOKENS)
    types = tuple(clean(t).strip() for t in concept.semantic_types)
    return CandidateView(shorten(head.text, MAX_NAME_TOKENS), tuple(aliases), types, definition)


def folded(view: CandidateView) -> CandidateView:
    """A view without what a reader would not tell apart: case, and the order of aliases."""
    aliases = tuple(sorted({a.casefold() for a in view.aliases} - {view.name.casefold()}))
    return CandidateView(view.name.casefold(), aliases, view.types, view.definition)


def all_names(concept: Concept) -> dict[str, str]:
    """A concept's names in every language as they are shown, by their case-folded form."""
    shown = (shorten(name.text, MAX_NAME_TOKENS) for name in concept.names)
    return {text.casefold(): text for text in shown if text}


def only_in(own: Mapping[str, str], all_of_them: Sequence[Mapping[str, str]]) -> list[str]:
    """The first names of a concept that none of the others has."""
    others = {name for names in all_of_them if names is not own for name in names}
    return [text for name, text in own.items() if name not in others][:MAX_ALIASES]
