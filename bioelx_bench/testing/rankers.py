"""What every ranker must do, as a pytest class to subclass."""

# ruff: noqa: S101, D102 - these are tests: their names say what they check, by assertions

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench.testing.data import HOSTILE_TEXTS, make_knowledge_base, make_mention
from bioelx_bench.testing.retrievers import check_notes

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

Item = tuple[Mention, list[Candidate]]


class RankerConformance(ABC):
    """Subclass it as `Test...` and give `make_ranker`; pytest then runs every check.

    Attributes:
        deterministic: Whether two calls with the same input must give the same ranking.
        hostile_texts: Texts that a mention or a name may hold; shorten it for a slow model.
    """

    deterministic: ClassVar[bool] = True
    hostile_texts: ClassVar[tuple[str, ...]] = HOSTILE_TEXTS

    workplace: ClassVar[Path]
    kb: ClassVar[KnowledgeBase]
    environment: ClassVar[Environment]
    ranker: ClassVar[BaseRanker]
    items: ClassVar[list[Item]]

    @classmethod
    @abstractmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        """A new ranker; every call gives one with the same options."""

    @classmethod
    def setup_class(cls) -> None:
        """Make the ranker, and mentions with candidates."""
        cls.workplace = Path(tempfile.mkdtemp(prefix="conformance-"))
        cls.kb = make_knowledge_base(cls.workplace / "kb")
        cls.environment = Environment(
            cache=Cache(cls.workplace / "cache"), offline=True, progress=Progress(enabled=False), kb=cls.kb
        )
        concepts = ("C0018681", "C0011849", "C0011854", "C0011860", "C0004096")
        candidates = [
            Candidate(concept, 9.0 - place, self_name(cls.kb, concept))
            for place, concept in enumerate(concepts)
        ]
        words = (("headache", "en"), ("Zuckerkrankheit", "de"), ("糖尿病", "zh"), ("diabetes tipo 2", "es"))
        cls.items = [
            (make_mention(text, language, number), candidates[: number + 2])
            for number, (text, language) in enumerate(words)
        ]
        cls.ranker = cls.make_ranker(cls.environment)

    @classmethod
    def teardown_class(cls) -> None:
        """Close the ranker and remove the files."""
        cls.ranker.close()
        shutil.rmtree(cls.workplace)

    def check(self, ranking: Ranking, mention: Mention, candidates: Sequence[Candidate]) -> None:
        """A ranking is a permutation of the candidates, and all its parts are well formed."""
        assert isinstance(ranking, Ranking)
        assert ranking.mention_id == mention.id
        assert Counter(ranking.candidates) == Counter(candidates)
        if ranking.evidence is not None:
            assert len(ranking.evidence) == len(ranking.candidates)
            assert all(e is None or (type(e) is float and math.isfinite(e)) for e in ranking.evidence)
        assert ranking.status
        assert (ranking.status == "ok") == (not ranking.fallbacks)
        assert all(count > 0 for count in ranking.fallbacks.values())
        usage = ranking.usage
        assert min(usage.calls, usage.prompt_tokens, usage.completion_tokens) >= 0
        assert usage.cost_usd >= 0
        json.dumps([dict(ranking.fallbacks), ranking.status, usage.cost_usd], allow_nan=False)

    def test_satisfies_the_protocol(self) -> None:
        assert isinstance(self.ranker, BaseRanker)
        revision = self.ranker.model_revision
        assert revision is None or (isinstance(revision, str) and revision)

    def test_a_ranking_is_a_permutation(self) -> None:
        for mention, candidates in self.items:
            self.check(self.ranker.rank(mention, candidates), mention, candidates)

    def test_one_candidate_stays(self) -> None:
        mention, candidates = self.items[0]
        self.check(self.ranker.rank(mention, candidates[:1]), mention, candidates[:1])

    def test_no_candidates_give_an_empty_ranking(self) -> None:
        mention, _ = self.items[0]
        self.check(self.ranker.rank(mention, []), mention, [])

    def test_the_input_is_not_changed(self) -> None:
        mention, candidates = self.items[1]
        given = list(candidates)
        self.ranker.rank(mention, given)
        assert given == candidates

    def test_rank_many_answers_every_item_once(self) -> None:
        rankings = list(self.ranker.rank_many(iter(self.items)))
        assert sorted(r.mention_id for r in rankings) == sorted(m.id for m, _ in self.items)
        by_id = {ranking.mention_id: ranking for ranking in rankings}
        for mention, candidates in self.items:
            self.check(by_id[mention.id], mention, candidates)

    def test_rank_many_of_nothing_is_empty(self) -> None:
        assert list(self.ranker.rank_many([])) == []

    def test_the_same_input_gives_the_same_ranking(self) -> None:
        if not self.deterministic:
            pytest.skip("skipped: this ranker does not promise to be deterministic")
        many = {r.mention_id: r for r in self.ranker.rank_many(self.items)}
        for mention, candidates in self.items:
            one = self.ranker.rank(mention, candidates)
            two = self.ranker.rank(mention, candidates)
            assert one.candidates == two.candidates == many[mention.id].candidates

    def test_the_id_does_not_matter(self) -> None:
        if not self.deterministic:
            pytest.skip("skipped: this ranker does not promise to be deterministic")
        mention, candidates = self.items[-1]
        other = dataclasses.replace(mention, id="other/0")
        assert (
            self.ranker.rank(other, candidates).candidates
            == self.ranker.rank(mention, candidates).candidates
        )

    def test_notes_are_json(self) -> None:
        self.ranker.rank(*self.items[0])
        check_notes(self.ranker.notes())

    def test_a_mention_without_context_or_position_is_ranked(self) -> None:
        mention, candidates = self.items[1]
        bare = dataclasses.replace(mention, spans=(), document=dataclasses.replace(mention.document, text=""))
        self.check(self.ranker.rank(bare, candidates), bare, candidates)

    def test_any_text_is_ranked(self) -> None:
        _, candidates = self.items[-1]
        for number, text in enumerate(self.hostile_texts):
            mention = make_mention(text, "en", number=number)
            named = [dataclasses.replace(candidates[0], name=text or "-"), *candidates[1:]]
            self.check(self.ranker.rank(mention, named), mention, named)


def self_name(kb: KnowledgeBase, concept: str) -> str:
    """The first name of a concept."""
    return kb.concept(concept).names[0].text
