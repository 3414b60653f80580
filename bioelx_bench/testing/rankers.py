"""What every ranker must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

import dataclasses
import json
import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pytest

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench.testing.component import ComponentConformance, check_notes, expect
from bioelx_bench.testing.data import HOSTILE_TEXTS, make_mention

Item = tuple[Mention, list[Candidate]]


class RankerConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_ranker`; pytest then runs every check.

    Attributes:
        deterministic: Whether two calls with the same input must give the same ranking.
        hostile_texts: Texts that a mention or a name may hold; shorten it for a slow model.
    """

    deterministic: ClassVar[bool] = True
    hostile_texts: ClassVar[tuple[str, ...]] = HOSTILE_TEXTS

    ranker: ClassVar[BaseRanker]
    items: ClassVar[list[Item]]

    @classmethod
    @abstractmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        """A new ranker; every call gives one with the same options."""

    @classmethod
    def setup_class(cls) -> None:
        """Make the ranker, and mentions with candidates."""
        super().setup_class()
        concepts = ("C0018681", "C0011849", "C0011854", "C0011860", "C0004096")
        candidates = [
            Candidate(concept, 9.0 - place, cls.kb.concept(concept).names[0].text)
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
        super().teardown_class()

    def check(self, ranking: Ranking, mention: Mention, candidates: Sequence[Candidate]) -> None:
        """A ranking is a permutation of the candidates, and all its parts are well formed."""
        expect(
            isinstance(ranking, Ranking),
            f"rank gives a {type(ranking).__name__}, not a bioelx_bench.records.Ranking",
            "the harness logs and scores it",
        )
        expect(
            ranking.mention_id == mention.id,
            f"the ranking is of {ranking.mention_id!r}, not of {mention.id!r}",
            "it is scored against that mention's gold",
        )
        before, after = Counter(candidates), Counter(ranking.candidates)
        lost, added = [*(before - after)][:2], [*(after - before)][:2]
        expect(
            not lost and not added,
            f"the ranking is no permutation of its candidates: lost {lost}, new {added}; keep concept ids, names "
            "and the retriever's scores as they are, and put what you found into evidence",
            "evidence and the retriever's scores are mixed later, and candidates are compared before and after",
        )
        if ranking.evidence is not None:
            expect(
                len(ranking.evidence) == len(ranking.candidates),
                f"there are {len(ranking.evidence)} values of evidence for {len(ranking.candidates)} candidates",
                "each belongs to the candidate at its place",
            )
            for value in ranking.evidence:
                expect(
                    value is None or (type(value) is float and math.isfinite(value)),
                    f"the evidence {value!r} is neither None nor a finite float",
                    "it is logged as JSON and mixed with the retriever's scores",
                )
        expect(ranking.status, "the status is empty", "the result counts what was repaired")
        expect(
            (ranking.status == "ok") == (not ranking.fallbacks),
            f"the status is {ranking.status!r} with fallbacks {dict(ranking.fallbacks)}; `ok` means none, and other "
            "words some",
            "nothing may be repaired silently",
        )
        usage = ranking.usage
        well = all(count > 0 for count in ranking.fallbacks.values())
        well &= min(usage.calls, usage.prompt_tokens, usage.completion_tokens) >= 0 <= usage.cost_usd
        expect(well, "a count of fallbacks is not above 0, or one of usage is below", "they are added up")
        json.dumps([dict(ranking.fallbacks), ranking.status, usage.cost_usd], allow_nan=False)

    def test_satisfies_the_protocol(self) -> None:
        expect(
            isinstance(self.ranker, BaseRanker),
            f"{type(self.ranker).__name__} must subclass bioelx_bench.base.BaseRanker",
            "the harness calls its methods, most of which have defaults there",
        )
        revision = self.ranker.model_revision
        expect(
            revision is None or (isinstance(revision, str) and revision),
            f"model_revision is {revision!r}, not None or text",
            "it is part of the run's id",
        )

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
        expect(
            given == candidates, "rank changes the list that it is given", "the harness logs it as retrieved"
        )

    def test_rank_many_answers_every_item_once(self) -> None:
        rankings = list(self.ranker.rank_many(iter(self.items)))
        got, wanted = sorted(r.mention_id for r in rankings), sorted(m.id for m, _ in self.items)
        expect(got == wanted, f"rank_many answers {got} for {wanted}", "each mention is ranked exactly once")
        by_id = {ranking.mention_id: ranking for ranking in rankings}
        for mention, candidates in self.items:
            self.check(by_id[mention.id], mention, candidates)

    def test_rank_many_of_nothing_is_empty(self) -> None:
        expect(not list(self.ranker.rank_many([])), "rank_many of nothing gives something", "it is logged")

    def test_the_same_input_gives_the_same_ranking(self) -> None:
        if not self.deterministic:
            pytest.skip("skipped: this ranker does not promise to be deterministic")
        why = "the same run must give the same figures; set deterministic = False where a model cannot"
        many = {r.mention_id: r for r in self.ranker.rank_many(self.items)}
        for mention, candidates in self.items:
            one = self.ranker.rank(mention, candidates)
            two = self.ranker.rank(mention, candidates)
            expect(
                one.candidates == two.candidates, f"{mention.text!r} is ranked otherwise a second time", why
            )
            expect(
                one.candidates == many[mention.id].candidates,
                f"{mention.text!r} is ranked otherwise by rank_many than by rank",
                why,
            )

    def test_the_id_does_not_matter(self) -> None:
        if not self.deterministic:
            pytest.skip("skipped: this ranker does not promise to be deterministic")
        mention, candidates = self.items[-1]
        other = dataclasses.replace(mention, id="other/0")
        expect(
            self.ranker.rank(other, candidates).candidates
            == self.ranker.rank(mention, candidates).candidates,
            "a mention with another id is ranked otherwise",
            "ids follow the order of a dataset, so one that reads them may know the answers",
        )

    def test_a_mention_without_context_or_position_is_ranked(self) -> None:
        mention, candidates = self.items[1]
        bare = dataclasses.replace(mention, spans=(), document=dataclasses.replace(mention.document, text=""))
        self.check(self.ranker.rank(bare, candidates), bare, candidates)

    def test_any_text_is_ranked(self) -> None:
        _, candidates = self.items[-1]
        for number, text in enumerate(self.hostile_texts):
            mention = make_mention(text, "en", number)
            named = [dataclasses.replace(candidates[0], name=text or "-"), *candidates[1:]]
            try:
                ranking = self.ranker.rank(mention, named)
            except Exception as error:  # foreign code may raise anything
                kind = type(error).__name__
                expect(False, f"rank fails on {text[:40]!r}: {kind}: {error}", "datasets hold every text")
            self.check(ranking, mention, named)

    def test_notes_are_json(self) -> None:
        self.ranker.rank(*self.items[0])
        check_notes(self.ranker.notes())
