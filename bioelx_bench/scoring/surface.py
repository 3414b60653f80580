"""How a mention's surface relates to the names of a knowledge base: exact, ambiguous, seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress


def normalise(text: str) -> str:
    """The form in which surfaces are compared: NFKC, case-folded, runs of spaces as one."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


@dataclass(slots=True)
class Surfaces:
    """The concepts that bear each surface as a name.

    Attributes:
        concepts: Normalised surface to concept ids; surfaces that no concept bears are absent.
    """

    concepts: dict[str, set[str]] = field(default_factory=dict)

    def is_name(self, text: str) -> bool:
        """Whether any concept bears this surface."""
        return normalise(text) in self.concepts

    def is_exact(self, text: str, gold: Iterable[str]) -> bool:
        """Whether a gold concept bears this surface."""
        return not self.concepts.get(normalise(text), set()).isdisjoint(gold)

    def is_ambiguous(self, text: str) -> bool:
        """Whether several concepts bear this surface."""
        return len(self.concepts.get(normalise(text), ())) > 1


def find_surfaces(kb: KnowledgeBase, texts: Iterable[str], progress: Progress) -> Surfaces:
    """Look the surfaces of mentions up among all names, in one pass over the name table."""
    wanted = {normalise(text) for text in texts}
    rows: dict[str, set[int]] = {}
    start = 0
    with progress.task("Comparing surfaces", total=kb.name_count, unit="names") as task:
        for batch in kb.name_batches(["text"]):
            for offset, text in enumerate(batch.column(0).to_pylist()):
                key = normalise(text)
                if key in wanted:
                    rows.setdefault(key, set()).add(start + offset)
            start += batch.num_rows
            task.advance(batch.num_rows)
    concepts = {
        key: {kb.concept_id(int(kb.name_concepts[row])) for row in found} for key, found in rows.items()
    }
    return Surfaces(concepts)
