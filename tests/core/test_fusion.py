"""Reciprocal rank fusion: the formula, and two real retrievers fused in a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.base import BaseRetriever
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import UsageError
from bioelx_bench.records import Candidate
from bioelx_bench.retrievers.fusion import FusedRetriever, fuse, split_options

LISTS = st.lists(st.lists(st.sampled_from("ABCDEFGH"), unique=True), min_size=2, max_size=2)


def candidates(concepts: list[str]) -> list[Candidate]:
    return [Candidate(concept, 1.0 / (i + 1), f"name of {concept}") for i, concept in enumerate(concepts)]


def test_a_known_fusion() -> None:
    fused = fuse([candidates(["A", "B"]), candidates(["B", "C"])], (1, 1), 60)
    assert [(c.concept_id, round(c.score, 6)) for c in fused] == [
        ("B", round(1 / 62 + 1 / 61, 6)),
        ("A", round(1 / 61, 6)),
        ("C", round(1 / 62, 6)),
    ]


def test_ties_are_in_order_of_concept_id() -> None:
    assert [c.concept_id for c in fuse([candidates(["B"]), candidates(["A"])], (1, 1), 60)] == ["A", "B"]


def test_the_name_is_that_of_the_list_that_counts_more() -> None:
    lists = [[Candidate("A", 1.0, "one")], [Candidate("A", 1.0, "two")]]
    assert fuse(lists, (1, 2), 60)[0].name == "two"
    assert fuse(lists, (2, 1), 60)[0].name == "one"


@given(LISTS, st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0, 100))
def test_properties(lists: list[list[str]], one: float, two: float, k_rrf: float) -> None:
    fused = fuse([candidates(part) for part in lists], (one, two), k_rrf)
    concepts = [c.concept_id for c in fused]
    assert sorted(concepts) == sorted(set(lists[0]) | set(lists[1]))
    assert [c.score for c in fused] == sorted((c.score for c in fused), reverse=True)
    for part in lists:  # a concept that both put ahead of another is ahead of it
        for before, after in pairwise(part):
            other = lists[1] if part is lists[0] else lists[0]
            if before in other and after in other and other.index(before) < other.index(after):
                assert concepts.index(before) < concepts.index(after)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("k1=1.2,fields=both", {"k1": "1.2", "fields": "both"}),
        ("prefix=a, b,k1=2", {"prefix": "a, b", "k1": "2"}),
        ("wrong=1", {"wrong": "1"}),
    ],
)
def test_options_of_a_part(text: str, expected: dict[str, str]) -> None:
    assert split_options(text, ["k1", "fields", "prefix"], "first_options") == expected


@pytest.mark.parametrize("text", ["k1", "k1=1,k1=2", ","])
def test_wrong_options_of_a_part(text: str) -> None:
    with pytest.raises(UsageError):
        split_options(text, ["k1"], "first_options")


def test_a_run_of_two_fused(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = list(run_arguments)
    arguments[arguments.index("--retriever") + 1] = "fused"
    options = ["-R", "first=words", "-R", "second=words", "-R", "second_weight=0.5"]
    code = invoke([*arguments, *options, "--ranker", "none"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    fused = json.loads(captured.out)
    code = invoke([*run_arguments, "--ranker", "none"])
    single = json.loads(capsys.readouterr().out)
    # a retriever fused with itself ranks as it does alone
    assert {k: v["retrieval"] for k, v in fused["scores"].items()} == {
        k: v["retrieval"] for k, v in single["scores"].items()
    }
    assert fused["notes"]["retriever"]["candidates_of_first_only"] == 0
    assert fused["notes"]["retriever"]["candidates_of_both"] > 0


def test_fusing_what_is_not_there(run_arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = list(run_arguments)
    arguments[arguments.index("--retriever") + 1] = "fused"
    assert invoke([*arguments, "-R", "first=wrods", "--ranker", "none"]) == 2
    assert "unknown retriever 'wrods'" in capsys.readouterr().err
    assert invoke([*arguments, "-R", "first=fused", "--ranker", "none"]) == 2
    assert "cannot fuse itself" in capsys.readouterr().err


def test_a_fusion_was_trained_on_what_either_part_was() -> None:
    class Part(BaseRetriever):
        def __init__(self, known: set[str]) -> None:
            self.known = known

        def search(self, mentions: object, k: int, unit: object = "concept") -> list[list[Candidate]]:
            return []

        def trained_on(self, texts: Sequence[str]) -> list[bool] | None:
            return [text in self.known for text in texts] if self.known else None

    fused = object.__new__(FusedRetriever)
    for parts, expected in (
        ([Part({"a"}), Part({"b"})], [True, True, False]),
        ([Part({"a"}), Part(set())], [True, False, False]),
        ([Part(set()), Part(set())], None),
    ):
        fused._retrievers = parts
        assert fused.trained_on(["a", "b", "c"]) == expected
