"""Whatever a model writes becomes a permutation, and every repair is counted."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.ranking import assemble
from bioelx_bench_llm.strategies.base import Verdict
from bioelx_bench_llm.strategies.listwise import parse_order
from bioelx_bench_llm.strategies.pointwise import probability_of_yes
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.records import Candidate, Usage
from bioelx_bench.testing import make_mention


@pytest.mark.parametrize(
    ("text", "order", "fallbacks"),
    [
        ('{"ranking": [3, 1, 2]}', [2, 0, 1], {}),
        ('```json\n{"ranking": [3, 1, 2]}\n```', [2, 0, 1], {}),
        ('Sure! {"ranking": ["3", "[1]", "2."]} Hope it helps', [2, 0, 1], {}),
        ("[3, 1, 2]", [2, 0, 1], {}),
        ("[3] > [1] > [2]", [2, 0, 1], {}),
        ("3, 1, 2", [2, 0, 1], {}),
        ('{"ranking": [3, 3, 1, 2]}', [2, 0, 1], {"duplicated": 1}),
        ('{"ranking": [9, 2, -1, 1, 3]}', [1, 0, 2], {"out_of_range": 2}),
        ('{"ranking": [2]}', [1], {"missing": 2}),  # one number is what the model had to say
        ('{"ranking": [2, 1]}', [1, 0], {"missing": 1}),
        ("It is one of the 3 candidates.", [], {"unparsed": 1}),
        ("", [], {"empty": 1}),
        ("I'm sorry, but I can't help.", [], {"refused": 1}),
        ('{"ranking": [3, 1', [2, 0], {"missing": 1}),
        ("[" * 5000, [], {"unparsed": 1}),
        ('{"ranking": [1e999, 1.5, true, null, 2, 1]}', [1, 0], {"out_of_range": 4, "missing": 1}),
    ],
)
def test_answers_are_read_and_repaired(text: str, order: list[int], fallbacks: dict[str, int]) -> None:
    found = parse_order(Answer(text=text), 3, nil=False)
    assert (found.indices, dict(found.fallbacks)) == (order, fallbacks)


def test_nil_counts_only_where_it_is_allowed() -> None:
    assert parse_order(Answer(text='{"ranking": [0, 2, 1, 3]}'), 3, nil=True).nil
    without = parse_order(Answer(text='{"ranking": [0, 2, 1, 3]}'), 3, nil=False)
    assert not without.nil and without.fallbacks == Counter(out_of_range=1)


@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda x: st.lists(x, max_size=8) | st.dictionaries(st.text(max_size=4), x, max_size=4),
            max_leaves=20,
        ).map(json.dumps),
    ),
    st.integers(1, 12),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_any_text_gives_distinct_known_candidates(text: str, count: int, nil: bool) -> None:
    found = parse_order(Answer(text=text), count, nil)
    assert len(set(found.indices)) == len(found.indices)
    assert all(0 <= i < count for i in found.indices)
    assert len(found.indices) == count or found.fallbacks or found.nil


@given(
    st.lists(st.tuples(st.floats(0, 1) | st.none(), st.floats(-50, 50)), min_size=1, max_size=12),
    st.floats(0, 1),
)
@settings(max_examples=200, deadline=None)
def test_fusion_always_gives_a_permutation_in_order_of_score(
    pairs: list[tuple[float | None, float]], fusion: float
) -> None:
    scores = sorted((score for _, score in pairs), reverse=True)
    candidates = [Candidate(f"C{i}", score, f"n{i}") for i, score in enumerate(scores)]
    verdict = Verdict([evidence for evidence, _ in pairs], usage=Usage(calls=1))
    ranking = assemble(make_mention("x"), candidates, verdict, fusion)
    assert Counter(c.concept_id for c in ranking.candidates) == Counter(c.concept_id for c in candidates)
    found = [c.score for c in ranking.candidates]
    assert found == sorted(found, reverse=True)
    if fusion == 1:
        assert [c.concept_id for c in ranking.candidates] == [c.concept_id for c in candidates]


def test_without_fusion_the_model_decides_and_the_retriever_breaks_ties() -> None:
    candidates = [Candidate(f"C{i}", 9.0 - i, f"n{i}") for i in range(4)]
    verdict = Verdict([0.2, 0.9, None, 0.9])
    verdict.fallbacks["undecided"] = 1
    ranking = assemble(make_mention("x"), candidates, verdict, 0.0)
    assert [c.concept_id for c in ranking.candidates] == ["C1", "C3", "C0", "C2"]
    assert ranking.status == "partial"


@pytest.mark.parametrize(
    ("alternatives", "text", "low", "high", "repair"),
    [
        ((("yes", -0.1), ("no", -2.5)), "yes", 0.91, 0.92, None),
        (((" Yes", -1.0), ("yes", -1.0), ("No", -1.0)), "", 0.66, 0.67, None),
        ((("yes", -0.01), ("maybe", -9.0)), "", 0.99, 1.0, None),
        ((("perhaps", -0.01),), "", None, None, "undecided"),
        (None, "Yes, it does", 1.0, 1.0, "logprobs_missing"),
        (None, "no", 0.0, 0.0, "logprobs_missing"),
        (None, "I cannot say", None, None, "undecided"),
        ((("no", -1000.0), ("yes", -1.0)), "", 1.0, 1.0, None),
        ((("yes", -1000.0), ("no", -1.0)), "", 0.0, 1e-9, None),
    ],
)
def test_probability_of_yes(
    alternatives: tuple[tuple[str, float], ...] | None,
    text: str,
    low: float | None,
    high: float | None,
    repair: str | None,
) -> None:
    value, found = probability_of_yes(Answer(text=text, alternatives=alternatives))
    assert found == repair
    if low is None or high is None:
        assert value is None
    else:
        assert value is not None and low <= value <= high
