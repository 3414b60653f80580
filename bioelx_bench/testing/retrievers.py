"""What every retriever must do, as a pytest class to subclass."""

# ruff: noqa: S101, D102 - these are tests: their names say what they check, by assertions

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from bioelx_bench.base import BaseRetriever, Environment, Notes
from bioelx_bench.cache import Cache
from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench.testing.data import HOSTILE_TEXTS, SMALL_NAMES, make_knowledge_base, make_mention

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

Found = list[list[Candidate]]


class RetrieverConformance(ABC):
    """Subclass it as `Test...` and give `make_retriever`; pytest then runs every check.

    The retriever is built and opened once for the class, over a knowledge base of a few multilingual names.

    Attributes:
        units: The units that its declaration promises.
        finds_exact_names: Whether a name, searched as it is, must be among the ten best concepts.
        score_tolerance: How much a score may differ between batches, absolutely. Order and names must not.
    """

    units: ClassVar[tuple[Unit, ...]] = ("concept",)
    finds_exact_names: ClassVar[bool] = True
    score_tolerance: ClassVar[float] = 0.0

    workplace: ClassVar[Path]
    kb: ClassVar[KnowledgeBase]
    environment: ClassVar[Environment]
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
        cls.workplace = Path(tempfile.mkdtemp(prefix="conformance-"))
        cls.kb = make_knowledge_base(cls.workplace / "kb")
        cls.environment = Environment(
            cache=Cache(cls.workplace / "cache"), offline=True, progress=Progress(enabled=False), kb=cls.kb
        )
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
        shutil.rmtree(cls.workplace)

    @classmethod
    def new_index(cls, folder: Path) -> BaseRetriever:
        """A new retriever with an index of its own, opened."""
        folder.mkdir(exist_ok=True)
        retriever = cls.make_retriever(cls.environment)
        retriever.index(cls.kb, folder)
        retriever.open(cls.kb, folder)
        return retriever

    @classmethod
    def assert_same(cls, one: Sequence[Sequence[Candidate]], other: Sequence[Sequence[Candidate]]) -> None:
        """Two answers are the same: concepts, names, order, and scores within the tolerance."""
        assert [[(c.concept_id, c.name) for c in found] for found in one] == [
            [(c.concept_id, c.name) for c in found] for found in other
        ]
        for left, right in zip(one, other, strict=True):
            for a, b in zip(left, right, strict=True):
                assert abs(a.score - b.score) <= cls.score_tolerance

    def require(self, unit: Unit) -> None:
        """Skip a check of a unit that the retriever does not promise."""
        if unit not in self.units:
            pytest.skip(f"skipped: this retriever does not give the unit {unit!r}")

    def test_satisfies_the_protocol(self) -> None:
        assert isinstance(self.retriever, BaseRetriever)

    def test_identity_is_json_and_the_same_for_the_same_options(self) -> None:
        other = self.make_retriever(self.environment)
        try:
            revision = self.retriever.model_revision
            assert revision is None or (isinstance(revision, str) and revision)
            assert revision == other.model_revision
            assert hash_json(dict(self.retriever.index_identity())) == hash_json(dict(other.index_identity()))
            assert hash_json(dict(self.retriever.identity())) == hash_json(dict(other.identity()))
        finally:
            other.close()

    def test_an_empty_batch_gives_an_empty_list(self) -> None:
        assert list(self.retriever.search([], 5)) == []

    @pytest.mark.parametrize("k", [1, 3, 10, 1000])
    def test_gives_at_most_k_candidates_for_each_mention(self, k: int) -> None:
        found = self.retriever.search(self.mentions, k)
        assert len(found) == len(self.mentions)
        assert all(len(candidates) <= k for candidates in found)
        assert any(found)

    def test_candidates_are_concepts_with_their_own_names(self) -> None:
        for candidates in self.retriever.search(self.mentions, 10):
            for candidate in candidates:
                assert isinstance(candidate, Candidate)
                assert candidate.name in [name.text for name in self.kb.concept(candidate.concept_id).names]

    def test_concepts_are_distinct(self) -> None:
        for candidates in self.retriever.search(self.mentions, 1000):
            concepts = [candidate.concept_id for candidate in candidates]
            assert len(concepts) == len(set(concepts))

    @pytest.mark.parametrize("unit", ["concept", "name"])
    def test_scores_fall_and_ties_are_in_order_of_concept_id(self, unit: Unit) -> None:
        self.require(unit)
        for candidates in self.retriever.search(self.mentions, 1000, unit):
            keys = [(-candidate.score, candidate.concept_id) for candidate in candidates]
            assert all(type(c.score) is float and math.isfinite(c.score) for c in candidates)
            assert keys == sorted(keys)

    @pytest.mark.parametrize("unit", ["concept", "name"])
    def test_fewer_candidates_are_the_first_of_more(self, unit: Unit) -> None:
        self.require(unit)
        more = self.retriever.search(self.mentions, 20, unit)
        for k in (1, 2, 7):
            self.assert_same(
                self.retriever.search(self.mentions, k, unit), [candidates[:k] for candidates in more]
            )

    def test_name_rows_collapse_to_the_concepts(self) -> None:
        self.require("name")
        rows = self.retriever.search(self.mentions, 1000, "name")
        collapsed = []
        for candidates in rows:
            best: dict[str, Candidate] = {}
            for candidate in candidates:
                best.setdefault(candidate.concept_id, candidate)
            collapsed.append(list(best.values()))
            pairs = [(candidate.concept_id, candidate.name) for candidate in candidates]
            assert len(pairs) <= self.kb.name_count
        self.assert_same(self.retriever.search(self.mentions, 1000), collapsed)

    def test_batches_do_not_matter(self) -> None:
        together = self.retriever.search(self.mentions, 5)
        self.assert_same(together, [self.retriever.search([m], 5)[0] for m in self.mentions])
        self.assert_same(together, self.retriever.search(self.mentions[::-1], 5)[::-1])
        many = self.retriever.search(self.mentions * 20, 5)
        self.assert_same(together, many[-len(self.mentions) :])

    def test_only_the_text_and_language_are_seen(self) -> None:
        """Ids follow the order of a dataset, so a retriever that reads them may know the answer."""
        masked = [dataclasses.replace(m, id=f"other/{i}") for i, m in enumerate(self.mentions)]
        self.assert_same(self.retriever.search(self.mentions, 5), self.retriever.search(masked, 5))

    def test_finds_exact_names(self) -> None:
        if not self.finds_exact_names:
            pytest.skip("skipped: this retriever does not promise to find exact names")
        found = self.retriever.search(self.mentions, 10)
        for mention, concept, candidates in zip(self.mentions, self.expected, found, strict=True):
            assert concept in [candidate.concept_id for candidate in candidates], mention.text

    @pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
    @pytest.mark.parametrize("language", ["en", "ja", "xx"])
    def test_any_text_gives_a_list(self, text: str, language: str) -> None:
        mention = make_mention(text, language)
        usual = make_mention("asthma")
        found = self.retriever.search([usual, mention, usual], 5)
        assert len(found) == 3
        self.assert_same([found[0]], [found[2]])
        self.assert_same([found[0]], self.retriever.search([usual], 5))

    def test_a_second_build_answers_the_same(self) -> None:
        other = self.new_index(self.workplace / "second")
        try:
            self.assert_same(self.retriever.search(self.mentions, 10), other.search(self.mentions, 10))
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
        other = self.new_index(folder)
        try:
            self.assert_same(self.retriever.search(self.mentions, 10), other.search(self.mentions, 10))
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
        assert content_of(folder) == before

    def test_notes_are_json(self) -> None:
        self.retriever.search(self.mentions, 1)
        check_notes(self.retriever.notes())


def check_notes(notes: Notes) -> None:
    """Counts are whole numbers, so that processes can be added up; facts are JSON values."""
    assert isinstance(notes, Notes)
    assert all(type(count) is int and count >= 0 for count in notes.counts.values())
    json.dumps(dict(notes.facts), allow_nan=False)


def content_of(folder: Path) -> dict[str, str]:
    """Every file of a folder with its hash."""
    return {
        str(path.relative_to(folder)): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
