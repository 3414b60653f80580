"""The conformance classes pass good components and catch each fault they are there for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bioelx_bench.base import BaseRanker, BaseRetriever, Environment, Notes
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate, Mention, Ranking, Unit
from bioelx_bench.testing import RankerConformance, RetrieverConformance
from bioelx_bench.testing.data import SMALL_NAMES

Found = list[list[Candidate]]


class Overlap(BaseRetriever):
    """A small good retriever: names score by the characters they share with the mention."""

    model_revision = "1"
    units = ("concept", "name")

    def index_identity(self) -> dict[str, Any]:
        return {"form": 1}

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        rows = [self.kb_row(kb, row) for row in range(kb.name_count)]
        (folder / "names.tsv").write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8")

    def kb_row(self, kb: KnowledgeBase, row: int) -> tuple[str, str]:
        return kb.concept_id(int(kb.name_concepts[row])), kb.name_text(row)

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        lines = (folder / "names.tsv").read_text(encoding="utf-8").split("\n")
        self.names = [tuple(line.split("\t")) for line in lines]

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> Found:
        return [self.one(mention, k, unit) for mention in mentions]

    def one(self, mention: Mention, k: int, unit: Unit) -> list[Candidate]:
        scored = [
            Candidate(concept, len(set(name) & set(mention.text)) / len(set(name) | set(mention.text)), name)
            for concept, name in self.names
        ]
        found, seen = [], set()
        for candidate in sorted(scored, key=lambda c: (-c.score, c.concept_id)):
            if candidate.score > 0 and not (unit == "concept" and candidate.concept_id in seen):
                found.append(candidate)
            seen.add(candidate.concept_id)
        return found[:k]

    def notes(self) -> Notes:
        return Notes(facts={"names": len(self.names)})

    def close(self) -> None:
        self.names = []


class TestGoodRetriever(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> Overlap:
        return Overlap()


Change = Callable[[Overlap, Sequence[Mention], int, Unit], Found]


def plain(self: Overlap, mentions: Sequence[Mention], k: int, unit: Unit) -> Found:
    return Overlap.search(self, mentions, k, unit)


def reads_ids(self: Overlap, mentions: Sequence[Mention], k: int, unit: Unit) -> Found:
    known = {f"test/{language}/{i}": concept for i, (concept, language, _) in enumerate(SMALL_NAMES)}
    return [
        [Candidate(known[m.id], 1.0, "x")] if m.id in known else found
        for m, found in zip(mentions, plain(self, mentions, k, unit), strict=True)
    ]


def scores_by_batch(self: Overlap, mentions: Sequence[Mention], k: int, unit: Unit) -> Found:
    found = plain(self, mentions, k, unit)
    return [[replace(c, score=c.score / len(mentions)) for c in candidates] for candidates in found]


SEARCH_FAULTS: dict[str, tuple[Change, str, tuple[Any, ...]]] = {
    "too many": (
        lambda s, m, k, u: plain(s, m, k + 1, u),
        "test_gives_at_most_k_candidates_for_each_mention",
        (3,),
    ),
    "one list missing": (
        lambda s, m, k, u: plain(s, m, k, u)[1:],
        "test_gives_at_most_k_candidates_for_each_mention",
        (3,),
    ),
    "nothing": (lambda s, m, k, u: [[] for _ in m], "test_gives_at_most_k_candidates_for_each_mention", (3,)),
    "names as concepts": (lambda s, m, k, u: plain(s, m, k, "name"), "test_concepts_are_distinct", ()),
    "another's name": (
        lambda s, m, k, u: [[replace(c, name="?") for c in cs] for cs in plain(s, m, k, u)],
        "test_candidates_are_concepts_with_their_own_names",
        (),
    ),
    "unordered": (
        lambda s, m, k, u: [cs[::-1] for cs in plain(s, m, k, u)],
        "test_scores_fall_and_ties_are_in_order_of_concept_id",
        ("concept",),
    ),
    "ties the wrong way": (
        lambda s, m, k, u: [
            sorted(cs, key=lambda c: (-c.score, -int(c.concept_id[1:]))) for cs in plain(s, m, k, u)
        ],
        "test_scores_fall_and_ties_are_in_order_of_concept_id",
        ("concept",),
    ),
    "no number": (
        lambda s, m, k, u: [[replace(c, score=math.nan) for c in cs] for cs in plain(s, m, k, u)],
        "test_scores_fall_and_ties_are_in_order_of_concept_id",
        ("concept",),
    ),
    "k changes the rest": (
        lambda s, m, k, u: [cs[-k:] for cs in plain(s, m, k + 1, u)],
        "test_fewer_candidates_are_the_first_of_more",
        ("concept",),
    ),
    "batch counts": (scores_by_batch, "test_batches_do_not_matter", ()),
    "reads ids": (reads_ids, "test_only_the_text_and_language_are_seen", ()),
    "worst first": (
        lambda s, m, k, u: [cs[20:] for cs in plain(s, m, k + 20, u)],
        "test_finds_exact_names",
        (),
    ),
}


def run_check(factory: Callable[[], Any], check: str, arguments: tuple[Any, ...]) -> None:
    """Run one check of the conformance class on a component."""

    class Checked(RetrieverConformance):
        units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

        @classmethod
        def make_retriever(cls, environment: Environment) -> Any:
            return factory()

    Checked.setup_class()
    try:
        getattr(Checked(), check)(*arguments)
    finally:
        Checked.teardown_class()


@pytest.mark.parametrize("fault", SEARCH_FAULTS)
def test_a_fault_in_search_is_caught(fault: str) -> None:
    change, check, arguments = SEARCH_FAULTS[fault]
    run_check(Overlap, check, arguments)  # the good one passes the very check

    class Faulty(Overlap):
        def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> Found:
            return change(self, mentions, k, unit)

    with pytest.raises(pytest.fail.Exception):
        run_check(Faulty, check, arguments)


class TouchesFolder(Overlap):
    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        super().open(kb, folder)
        (folder / "opened").touch()


class TrustsLeftovers(Overlap):
    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        if not (folder / "names.tsv").exists():
            super().index(kb, folder)


class CountsFolders(Overlap):
    def index_identity(self) -> dict[str, Any]:
        return {"object": id(self)}


class LikesLatin(Overlap):
    def one(self, mention: Mention, k: int, unit: Unit) -> list[Candidate]:
        mention.text.encode("utf-8")
        return super().one(mention, k, unit)


class CountsNothing(Overlap):
    def notes(self) -> Notes:
        return Notes(facts={"rate": math.nan})


class CountsParts(Overlap):
    def notes(self) -> Notes:
        return Notes(counts={"seconds": 0.5})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("faulty", "check", "arguments"),
    [
        (TouchesFolder, "test_opening_and_searching_change_nothing_in_the_folder", ()),
        (TrustsLeftovers, "test_what_an_interrupted_build_left_does_no_harm", ()),
        (CountsFolders, "test_identity_is_json_and_the_same_for_the_same_options", ()),
        (LikesLatin, "test_any_text_gives_a_list", ("\ud800 broken", "en")),
        (CountsNothing, "test_notes_are_json", ()),
        (CountsParts, "test_notes_are_json", ()),
    ],
)
def test_a_fault_beside_search_is_caught(
    faulty: type[Overlap], check: str, arguments: tuple[Any, ...]
) -> None:
    run_check(Overlap, check, arguments)
    with pytest.raises(pytest.fail.Exception):
        run_check(faulty, check, arguments)


class ByName(BaseRanker):
    """A small good ranker: candidates by the words that name and mention share."""

    model_revision = None

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        words = set(mention.text.split())
        shared = {c.concept_id: float(len(words & set(c.name.split()))) for c in candidates}
        ordered = tuple(sorted(candidates, key=lambda c: -shared[c.concept_id]))
        return Ranking(mention.id, ordered, tuple(shared[c.concept_id] for c in ordered))


class TestGoodRanker(RankerConformance):
    @classmethod
    def make_ranker(cls, environment: Environment) -> ByName:
        return ByName()


class Drops(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        good = super().rank(mention, candidates)
        return replace(good, candidates=good.candidates[1:])


class Invents(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        good = super().rank(mention, candidates)
        return replace(good, candidates=(Candidate("C9999999", 99.0, "?"), *good.candidates[1:]))


class Sorts(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        candidates.reverse()  # type: ignore[attr-defined]
        return super().rank(mention, candidates)


class Rescores(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        good = super().rank(mention, candidates)
        return replace(good, candidates=tuple(replace(c, score=1.0) for c in good.candidates))


class ForgetsEvidence(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        good = super().rank(mention, candidates)
        return replace(good, evidence=(good.evidence or ())[1:])


class Hides(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        return replace(super().rank(mention, candidates), fallbacks={"unparsed": 1})


class ReadsIds(ByName):
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        good = super().rank(mention, candidates)
        return good if mention.id.startswith("test/") else replace(good, candidates=good.candidates[::-1])


class Repeats(ByName):
    def rank_many(self, items: Any) -> Any:
        for item in items:
            yield self.rank(*item)
            yield self.rank(*item)


@pytest.mark.parametrize(
    ("faulty", "check"),
    [
        (Drops, "test_a_ranking_is_a_permutation"),
        (Drops, "test_one_candidate_stays"),
        (Invents, "test_a_ranking_is_a_permutation"),
        (Invents, "test_no_candidates_give_an_empty_ranking"),
        (Sorts, "test_the_input_is_not_changed"),
        (Rescores, "test_a_ranking_is_a_permutation"),
        (ForgetsEvidence, "test_a_ranking_is_a_permutation"),
        (Hides, "test_a_ranking_is_a_permutation"),
        (ReadsIds, "test_the_id_does_not_matter"),
        (Repeats, "test_rank_many_answers_every_item_once"),
    ],
)
def test_a_faulty_ranker_is_caught(faulty: type[ByName], check: str) -> None:
    def run(factory: type[ByName]) -> None:
        class Checked(RankerConformance):
            @classmethod
            def make_ranker(cls, environment: Environment) -> ByName:
                return factory()

        Checked.setup_class()
        try:
            getattr(Checked(), check)()
        finally:
            Checked.teardown_class()

    run(ByName)
    with pytest.raises(pytest.fail.Exception):
        run(faulty)
