"""What every retriever must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

import dataclasses
import math
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.files import hash_json
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench.testing.component import ComponentConformance, check_notes, content_of, expect
from bioelx_bench.testing.data import HOSTILE_TEXTS, SMALL_NAMES, make_mention

Found = Sequence[Sequence[Candidate]]

BATCHES = "runs search in batches of any size and several processes, and must end with the same figures"
TIES = "figures must not depend on the order in which an index happens to hold its names"


class RetrieverConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_retriever`; pytest then runs every check.

    The retriever is built and opened once for the class, over a knowledge base of a few multilingual names.

    Attributes:
        units: The units that its declaration promises.
        finds_exact_names: Whether a name, searched as it is, must be among the ten best concepts.
        score_tolerance: How much a score may differ between batches, absolutely. Models of deep learning round
            otherwise in batches of other shapes: 1e-5 suits cosines in fp32. Candidates whose scores differ by
            less may then change places. 0, the default, asks for the same scores, which rounding them gives.
    """

    units: ClassVar[tuple[Unit, ...]] = ("concept",)
    finds_exact_names: ClassVar[bool] = True
    score_tolerance: ClassVar[float] = 0.0

    index_folder: ClassVar[Path]
    retriever: ClassVar[BaseRetriever]
    mentions: ClassVar[list[Mention]]
    expected: ClassVar[list[str]]

    @classmethod
    @abstractmethod
    def make_retriever(cls, environment: Environment) -> BaseRetriever:
        """A new retriever; every call gives one with the same options."""

    @classmethod
    def setup_class(cls) -> None:
        """Build the index and open it."""
        super().setup_class()
        cls.mentions = [
            make_mention(text, language, number) for number, (_, language, text) in enumerate(SMALL_NAMES)
        ]
        cls.expected = [concept for concept, _, _ in SMALL_NAMES]
        cls.index_folder = cls.workplace / "index"
        cls.retriever = cls.new_index(cls.index_folder)

    @classmethod
    def teardown_class(cls) -> None:
        """Close the retriever and remove the files."""
        cls.retriever.close()
        super().teardown_class()

    @classmethod
    def new_index(cls, folder: Path) -> BaseRetriever:
        """A new retriever with an index of its own, opened."""
        folder.mkdir(exist_ok=True)
        retriever = cls.make_retriever(cls.environment)
        retriever.index(cls.kb, folder)
        retriever.open(cls.kb, folder)
        return retriever

    @classmethod
    def expect_same(cls, one: Found, other: Found, when: str, why: str) -> None:
        """Two answers are the same: concepts, names, order and scores, as far as `score_tolerance` asks."""
        expect(len(one) == len(other), f"search gives {len(one)} and {len(other)} lists {when}", why)
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            reason = difference(left, right, cls.score_tolerance)
            expect(not reason, f"search answers otherwise {when}: list {place}: {reason}", why)

    def require(self, unit: Unit) -> None:
        """Skip a check of a unit that the retriever does not promise."""
        if unit not in self.units:
            pytest.skip(f"skipped: this retriever does not give the unit {unit!r}")

    def test_satisfies_the_protocol(self) -> None:
        expect(
            isinstance(self.retriever, BaseRetriever),
            f"{type(self.retriever).__name__} must subclass bioelx_bench.base.BaseRetriever",
            "the harness calls its methods, most of which have defaults there",
        )

    def test_identity_is_json_and_the_same_for_the_same_options(self) -> None:
        other = self.make_retriever(self.environment)
        try:
            revision = self.retriever.model_revision
            expect(
                revision is None or (isinstance(revision, str) and revision),
                f"model_revision is {revision!r}, not None or text",
                "it is part of the run's id",
            )
            expect(revision == other.model_revision, "model_revision changes from object to object", IDENTITY)
            for name in ("index_identity", "identity"):
                try:
                    values = [hash_json(dict(getattr(r, name)())) for r in (self.retriever, other)]
                except (TypeError, ValueError) as error:
                    expect(False, f"{name}() gives no JSON values: {error}", IDENTITY)
                expect(values[0] == values[1], f"{name}() changes from object to object", IDENTITY)
        finally:
            other.close()

    def test_an_empty_batch_gives_an_empty_list(self) -> None:
        expect(not list(self.retriever.search([], 5)), "search([], 5) gives something", BATCHES)

    @pytest.mark.parametrize("k", [1, 3, 10, 1000])
    def test_gives_at_most_k_candidates_for_each_mention(self, k: int) -> None:
        found = self.retriever.search(self.mentions, k)
        given, wanted = len(found), len(self.mentions)
        expect(given == wanted, f"search gives {given} lists for {wanted} mentions", "each mention is scored")
        longest = max(map(len, found))
        expect(longest <= k, f"search gives {longest} candidates for k={k}", "Recall@k would be of another k")
        expect(longest, "search finds nothing for any name of the knowledge base", "it would score 0")

    def test_candidates_are_concepts_with_their_own_names(self) -> None:
        for mention, candidates in zip(self.mentions, self.retriever.search(self.mentions, 10), strict=True):
            for found in candidates:
                expect(
                    isinstance(found, Candidate), f"search gives {found!r}, not a Candidate", "it is logged"
                )
                concept = found.concept_id
                expect(concept in self.kb, f"{concept!r} is not in the knowledge base", "it is never right")
                names = [name.text for name in self.kb.concept(concept).names]
                expect(
                    found.name in names,
                    f"for {mention.text!r} the candidate's name {found.name!r} is none of {concept}'s: {names}",
                    "rankers and error analysis show it as the concept's name",
                )

    def test_concepts_are_distinct(self) -> None:
        for mention, candidates in zip(
            self.mentions, self.retriever.search(self.mentions, 1000), strict=True
        ):
            concepts = [candidate.concept_id for candidate in candidates]
            twice = {c for c in concepts if concepts.count(c) > 1}
            expect(
                not twice,
                f"for {mention.text!r} the unit 'concept' gives {sorted(twice)[:3]} several times; keep the "
                "best name of each",
                "repeated concepts take the places of others among the first k",
            )

    @pytest.mark.parametrize("unit", ["concept", "name"])
    def test_scores_fall_and_ties_are_in_order_of_concept_id(self, unit: Unit) -> None:
        self.require(unit)
        for mention, found in zip(
            self.mentions, self.retriever.search(self.mentions, 1000, unit), strict=True
        ):
            for c in found:
                expect(
                    type(c.score) is float and math.isfinite(c.score),
                    f"the score of {c.concept_id} is {c.score!r} ({type(c.score).__name__}), not a finite float",
                    "scores are logged as JSON and mixed with a ranker's",
                )
            for a, b in pairwise(found):
                expect(
                    a.score >= b.score,
                    f"for {mention.text!r} scores rise along the list: {a.score} before {b.score}",
                    "the best candidate must come first",
                )
                expect(
                    a.score > b.score or a.concept_id <= b.concept_id,
                    f"for {mention.text!r} equal scores are not in order of concept id: {a.concept_id} before "
                    f"{b.concept_id}; sort by (-score, concept_id)",
                    TIES,
                )

    @pytest.mark.parametrize("unit", ["concept", "name"])
    def test_fewer_candidates_are_the_first_of_more(self, unit: Unit) -> None:
        self.require(unit)
        more = self.retriever.search(self.mentions, 20, unit)
        for k in (1, 2, 7):
            fewer = self.retriever.search(self.mentions, k, unit)
            self.expect_same(
                fewer,
                [candidates[:k] for candidates in more],
                f"with k={k} than the first {k} of k=20",
                "Recall@1 of a run with k=20 would be another than that of a run with k=1",
            )

    def test_name_rows_collapse_to_the_concepts(self) -> None:
        self.require("name")
        collapsed = []
        for candidates in self.retriever.search(self.mentions, 1000, "name"):
            best: dict[str, Candidate] = {}
            for candidate in candidates:
                best.setdefault(candidate.concept_id, candidate)
            collapsed.append(list(best.values()))
            rows = len(candidates)
            expect(rows <= self.kb.name_count, f"there are {rows} name rows, more than names", "rows repeat")
        self.expect_same(
            self.retriever.search(self.mentions, 1000),
            collapsed,
            "as concepts than as name rows with only the first row of each concept",
            "the two units would rank by different scores",
        )

    def test_batches_do_not_matter(self) -> None:
        together = self.retriever.search(self.mentions, 5)
        single = [self.retriever.search([m], 5)[0] for m in self.mentions]
        self.expect_same(together, single, "for mentions one by one than together", BATCHES + ROUND)
        backwards = self.retriever.search(self.mentions[::-1], 5)[::-1]
        self.expect_same(together, backwards, "when the mentions come in another order", BATCHES + ROUND)
        many = self.retriever.search(self.mentions * 20, 5)
        self.expect_same(together, many[-len(self.mentions) :], "in a larger batch", BATCHES + ROUND)

    def test_only_the_text_and_language_are_seen(self) -> None:
        masked = [dataclasses.replace(m, id=f"other/{i}") for i, m in enumerate(self.mentions)]
        self.expect_same(
            self.retriever.search(self.mentions, 5),
            self.retriever.search(masked, 5),
            "when mentions have other ids",
            "ids follow the order of a dataset, so one that reads them may know the answers",
        )

    def test_finds_exact_names(self) -> None:
        if not self.finds_exact_names:
            pytest.skip("skipped: this retriever does not promise to find exact names")
        found = self.retriever.search(self.mentions, 10)
        for mention, concept, candidates in zip(self.mentions, self.expected, found, strict=True):
            expect(
                concept in [candidate.concept_id for candidate in candidates],
                f"{mention.text!r} is a name of {concept}, which is not among the ten best; set "
                "finds_exact_names = False if that is meant",
                "most retrievers that miss exact names have a fault in their index",
            )

    @pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
    @pytest.mark.parametrize("language", ["en", "ja", "xx"])
    def test_any_text_gives_a_list(self, text: str, language: str) -> None:
        usual = make_mention("asthma")
        why = "datasets hold every text, and one mention must not stop or change a run"
        try:
            found = self.retriever.search([usual, make_mention(text, language), usual], 5)
        except Exception as error:  # foreign code may raise anything
            kind = type(error).__name__
            pytest.fail(
                f"search fails on {text[:40]!r}: {kind}: {error}\n  why it matters: {why}", pytrace=False
            )
        expect(len(found) == 3, f"search gives {len(found)} lists for 3 mentions with {text[:40]!r}", why)
        self.expect_same([found[0]], [found[2]], f"before and after {text[:40]!r}", why)
        self.expect_same([found[0]], self.retriever.search([usual], 5), f"beside {text[:40]!r}", why)

    def test_a_second_build_answers_the_same(self) -> None:
        other = self.new_index(self.workplace / "second")
        try:
            self.expect_same(
                self.retriever.search(self.mentions, 10),
                other.search(self.mentions, 10),
                "from a second index",
                "another machine builds its own index and must get the same figures",
            )
        finally:
            other.close()

    def test_what_an_interrupted_build_left_does_no_harm(self) -> None:
        """Leftovers are every file of a finished index, cut in half: what a kill leaves."""
        folder = self.workplace / "interrupted"
        shutil.copytree(self.index_folder, folder)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                path.chmod(0o644)
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        why = "after a kill index() gets the same folder again; write files anew, or check what is there"
        try:
            other = self.new_index(folder)
        except Exception as error:  # foreign code may raise anything
            kind = type(error).__name__
            pytest.fail(
                f"index or open fails on half-written files: {kind}: {error}\n  why it matters: {why}",
                pytrace=False,
            )
        try:
            self.expect_same(
                self.retriever.search(self.mentions, 10),
                other.search(self.mentions, 10),
                "from a folder with half-written files",
                why,
            )
        finally:
            other.close()

    def test_opening_and_searching_change_nothing_in_the_folder(self) -> None:
        folder = self.workplace / "untouched"
        folder.mkdir()
        builder, reader = self.make_retriever(self.environment), self.make_retriever(self.environment)
        builder.index(self.kb, folder)
        builder.close()
        before = content_of(folder)
        reader.open(self.kb, folder)
        reader.search(self.mentions, 10)
        reader.close()
        after = content_of(folder)
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        expect(
            not changed,
            f"open or search change {changed} in the index folder; only index() may write there",
            "the index is shared by runs, and may be read-only",
        )

    def test_notes_are_json(self) -> None:
        self.retriever.search(self.mentions, 1)
        check_notes(self.retriever.notes())


IDENTITY = "runs and indexes are found again by it"
ROUND = ". Round scores, or set score_tolerance where a model cannot give the same"


def difference(left: Sequence[Candidate], right: Sequence[Candidate], tolerance: float) -> str:
    """The first difference of two candidate lists in words, or an empty string.

    With a tolerance, candidates may change places, and drop out at the end, where scores are that near.
    """
    if len(left) != len(right):
        return f"{len(left)} candidates against {len(right)}"
    for place, (a, b) in enumerate(zip(left, right, strict=True), 1):
        if abs(a.score - b.score) > tolerance:
            return f"place {place} scores {a.score!r} against {b.score!r}"
        if not tolerance and (a.concept_id, a.name) != (b.concept_id, b.name):
            return f"place {place} is {a.concept_id} ({a.name!r}) against {b.concept_id} ({b.name!r})"
    if tolerance and left:
        end = min(left[-1].score, right[-1].score) + 2 * tolerance
        for one, other in ((left, right), (right, left)):
            scores: dict[str, list[float]] = {}
            for c in other:
                scores.setdefault(c.concept_id, []).append(c.score)
            for c in one:
                near = any(abs(c.score - s) <= tolerance for s in scores.get(c.concept_id, ()))
                if not near and c.score > end:
                    return f"{c.concept_id} ({c.name!r}, {c.score!r}) is in one of them alone"
    return ""
