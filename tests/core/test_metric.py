from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.scoring.metric import NO_HIT, RecallAtK, hit_rank, parts_hit_rank, recall_at

concepts = st.sampled_from([f"C{i:07d}" for i in range(8)])


def test_recall_of_known_lists_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = RecallAtK(keep_in_memory=True)
    answer = metric.compute(
        predictions=[["C1", "C2"], ["C3", "C4"], [], ["C9"]],
        references=[["C2"], ["C3", "C7"], ["C1"], ["C8"]],
        ks=[1, 2],
    )
    assert answer == {"recall@1": 0.25, "recall@2": 0.5}


def test_all_gold_concepts_must_come_with_match_all() -> None:
    assert hit_rank(["A", "B", "C"], ["A", "C"], "any") == 1
    assert hit_rank(["A", "B", "C"], ["A", "C"], "all") == 3
    assert hit_rank(["A", "B"], ["A", "C"], "all") == NO_HIT


def test_every_part_must_hit() -> None:
    assert parts_hit_rank([["A"], ["B", "A"]], ["A"]) == 2
    assert parts_hit_rank([["A"], []], ["A"]) == NO_HIT
    assert parts_hit_rank([], ["A"]) == NO_HIT


def test_no_gold_is_a_miss_and_no_mentions_give_none() -> None:
    assert hit_rank(["A"], []) == NO_HIT
    assert recall_at(np.empty(0, np.int32), [1]) == {"recall@1": None}


@given(
    st.lists(
        st.tuples(st.lists(concepts, unique=True), st.sets(concepts, min_size=1)), min_size=1, max_size=20
    )
)
def test_recall_agrees_with_the_definition_and_grows_with_k(pairs: list[tuple[list[str], set[str]]]) -> None:
    ranks = np.array([hit_rank(p, g) for p, g in pairs], np.int32)
    figures = recall_at(ranks, [1, 2, 5, 10])
    for k in (1, 2, 5, 10):
        wanted = sum(bool(set(p[:k]) & g) for p, g in pairs) / len(pairs)
        assert figures[f"recall@{k}"] == pytest.approx(wanted)
    values = [figures[f"recall@{k}"] for k in (1, 2, 5, 10)]
    assert values == sorted(values)


@given(st.lists(concepts, unique=True), st.sets(concepts, min_size=1))
def test_match_all_is_never_better_than_match_any(predicted: list[str], gold: set[str]) -> None:
    assert hit_rank(predicted, gold, "all") >= hit_rank(predicted, gold, "any")
