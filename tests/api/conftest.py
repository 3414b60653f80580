"""A small knowledge base, a ten-line retriever and mentions, as in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bioelx_bench import BaseRanker, BaseRetriever
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate, Document, LabelledMention, Mention, Ranking
from bioelx_bench.testing import make_knowledge_base

NAMES = [
    ("C0011849", "de", "Zuckerkrankheit"),
    ("C0011849", "en", "diabetes mellitus"),
    ("C0004096", "de", "Asthma bronchiale"),
    ("C0004096", "en", "asthma"),
    ("C0011311", "en", "dengue"),
]


class Grams(BaseRetriever):
    """Names by the three-letter pieces that they share with the mention."""

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        self.rows = [(kb.concept_id(int(kb.name_concepts[r])), kb.name_text(r)) for r in range(kb.name_count)]

    def search(self, mentions: Sequence[Mention], k: int, unit: str = "concept") -> list[list[Candidate]]:
        return [self.one(m.text, k) for m in mentions]

    def one(self, text: str, k: int) -> list[Candidate]:
        asked = {text.casefold()[i : i + 3] for i in range(len(text) - 2)}
        best: dict[str, tuple[float, str]] = {}
        for concept, name in self.rows:
            score = float(sum(piece in name.casefold() for piece in asked))
            if score > best.get(concept, (0.0, ""))[0]:
                best[concept] = (score, name)
        order = sorted(best, key=lambda c: (-best[c][0], c))[:k]
        return [Candidate(c, *best[c]) for c in order]


class Reverse(BaseRanker):
    """The retriever's order upside down."""

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        return Ranking(mention.id, tuple(reversed(candidates)))


@pytest.fixture
def kb_folder(tmp_path: Path) -> Path:
    make_knowledge_base(tmp_path / "kb", NAMES)
    return tmp_path / "kb"


@pytest.fixture
def mentions() -> list[LabelledMention]:
    texts = [
        ("Zuckerkrankheit", "C0011849"),
        ("Asthma", "C0004096"),
        ("Dengue", "C0011311"),
        ("Pest", "C0032064"),
    ]
    return [
        LabelledMention(f"m{i}", Document(f"d{i}", "", "de"), (), text, "de", (gold,))
        for i, (text, gold) in enumerate(texts)
    ]
