"""Whatever a model writes becomes a permutation that it meant, or is counted."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter

import pytest
from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.orders import parse_order
from bioelx_bench_llm.ranking import assemble
from bioelx_bench_llm.strategies.base import Verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.records import Candidate, Usage
from bioelx_bench.testing import make_mention

ORDER = '{"ranking": [3, 1, 2]}'
RIGHT = [2, 0, 1]

READ = [
    ORDER,
    f"```json\n{ORDER}\n```",
    f"\ufeff{ORDER}",
    'Sure! {"ranking": ["3", "[1]", "2."]} Hope it helps',
    "[3, 1, 2]",
    "(3, 1, 2)",
    "[3] > [1] > [2]",
    "[3] alpha three > [1] alpha one > [2] alpha two",
    "3, 1, 2",
    "3 > 1 > 2",
    "Ranking: 3, 1, 2.",
    "1. [3] alpha three\n2. [1] alpha one\n3. [2] alpha two",
    "1. 3\n2. 1\n3. 2",
    "1) Candidate 3: alpha three\n2) Candidate 1: alpha one\n3) Candidate 2: alpha two",
    "- [3]\n- [1]\n- [2]",
    "[3] alpha three\n[1] alpha one\n[2] alpha two",
    "［３］＞［１］＞［２］",
    "３、１、２".replace("、", ", "),
    '{"ranking": [٣, ١, ٢]}',
    '{"ranking": "3, 1, 2"}',
    '{"ranking": "[3] > [1] > [2]"}',
    '{"ranking": [3, 1, 2,]}',
    "{'ranking': [3, 1, 2]}",
    '{"Ranking": [3.0, 1.0, 2.0]}',
    '{"ranking": ["[3] alpha three", "[1] alpha one", "[2] alpha two"]}',
    '{"ranking": ["3. alpha three", "1. alpha one", "2. alpha two"]}',
    '{"ranking": [{"id": 3, "why": "x [1, 2, 3]"}, {"id": 1}, {"id": 2}]}',
    '[{"index": 3}, {"index": 1}, {"index": 2}]',
    '{"ranking": [{"id": 1, "score": 0.5}, {"id": 2, "score": 0.1}, {"id": 3, "score": 0.9}]}',
    '{"ranking": [{"id": 1, "rank": 2}, {"id": 2, "rank": 3}, {"id": 3, "rank": 1}]}',
    '{"1": 0.2, "2": 0.1, "3": 0.9}',
    '{"scores": {"1": 20, "2": 10, "3": 90}}',
    '{"candidates": [1, 2, 3], "ranking": [3, 1, 2]}',
    '{"candidates": [1, 2, 3], "ranking": [3, 1, 2], "others": []}',
    '{"answer": {"ranking": [3, 1, 2]}}',
    '{"reason": "best is [1]", "ranking": [[3], [1], [2]]}',
    f"The list was [1, 2, 3] at first. {ORDER}",
    f"{ORDER} (the list was [1, 2, 3])",
    f"<think>The list is [1, 2, 3]. Perhaps [2, 1, 3]?</think>\n{ORDER}",
    f"The list is [1, 2, 3]. Perhaps [2, 1, 3]? No.\n</think>\n\n{ORDER}",
    f"<thought>[1, 2, 3]?</thought>{ORDER}",
    f'<thinking>\n[1, 2, 3]</thinking>\n<think>{{"ranking": [1, 2, 3]}}</think>{ORDER}',
    f"<unused94>thought\n[1, 2, 3]<unused95>{ORDER}",
    f"[THINK][1, 2, 3][/THINK]{ORDER}",
    f"◁think▷[1, 2, 3]◁/think▷{ORDER}",
    f"<|START_THINKING|>[1, 2, 3]<|END_THINKING|>{ORDER}",
    f"<|begin_of_thought|>[1, 2, 3]<|end_of_thought|>{ORDER}<|im_end|>",
    f"<seed:think>[1, 2, 3]</seed:think>{ORDER}</s>",
    f"Here is my thought process: [1, 2, 3]. Here is my response: {ORDER}",
    "<|channel|>analysis<|message|>List [1, 2, 3] or [2, 1, 3].<|end|><|start|>assistant<|channel|>final"
    f"<|message|>{ORDER}<|return|>",
    f"<|channel|>analysis<|message|>[1, 2, 3]<|end|><|channel|>final <|constrain|>json<|message|>{ORDER}",
]


@pytest.mark.parametrize("text", READ)
def test_one_order_is_read_whatever_its_form(text: str) -> None:
    found = parse_order(Answer(text=text, finish_reason="stop"), 3, nil=False)
    assert (found.indices, dict(found.fallbacks)) == (RIGHT, {})


@pytest.mark.parametrize(
    ("text", "order", "fallbacks"),
    [
        ("The candidates are [1, 2, 3]. My final answer is [3, 1, 2].", RIGHT, {"ambiguous": 1}),
        ('{"ranking": [1, 2, 3]}\nOn reflection: {"ranking": [3, 1, 2]}', RIGHT, {"ambiguous": 1}),
        ('{"ranking": [3, 1, 2]} and the best is {"ranking": [2]}', RIGHT, {"ambiguous": 1}),
        ('{"ranking": [2, 0, 1]}', RIGHT, {"zero_based": 1}),
        ('{"ranking": [3, 3, 1, 2]}', RIGHT, {"duplicated": 1}),
        ('{"ranking": [9, 2, -1, 1, 3]}', [1, 0, 2], {"out_of_range": 2}),
        ('{"ranking": [2]}', [1], {"missing": 2}),
        ('{"ranking": 2}', [1], {"missing": 2}),
        ("2", [1], {"missing": 2}),
        ('{"ranking": [2, 1]}', [1, 0], {"missing": 1}),
        ('{"ranking": [3, 1', [2], {"missing": 2, "truncated": 1}),  # the 1 might have become 10
        ('{"ranking": [1e999, 1.5, true, null, 2, 1]}', [1, 0], {"out_of_range": 4, "missing": 1}),
        ('{"ranking": ["5-alpha reductase", "[2]", "[1]"]}', [1, 0], {"out_of_range": 1, "missing": 1}),
    ],
)
def test_what_is_wrong_with_an_order_is_counted(
    text: str, order: list[int], fallbacks: dict[str, int]
) -> None:
    found = parse_order(Answer(text=text, finish_reason="stop"), 3, nil=False)
    assert (found.indices, dict(found.fallbacks)) == (order, fallbacks)


@pytest.mark.parametrize(
    ("text", "finish", "kind"),
    [
        ("It is one of the 3 candidates.", "stop", "unparsed"),
        ("The best of all 10 candidates, 3 of them genes, is the first.", "stop", "unparsed"),
        ("1. alpha one\n2. alpha two\n3. alpha three", "stop", "unparsed"),  # its own numbers, or ours?
        (
            '{"ranking": {"1": 3, "2": 1, "3": 2}}',
            "stop",
            "unparsed",
        ),  # a candidate's place, or a place's candidate?
        ('{"candidates": [1, 2, 3], "best": [3, 1, 2]}', "stop", "unparsed"),
        ('[{"id": 3, "score": 0.1}, {"id": 1, "score": 0.9}, {"id": 2, "score": 0.5}]', "stop", "unparsed"),
        ('{"ranking": ["alpha three", "alpha one"]}', "stop", "unparsed"),
        ("", "stop", "empty"),
        ("", "content_filter", "refused"),
        ("<think>[1, 2, 3]</think>", "stop", "empty"),
        ("<think>The list is [1, 2, 3]. Perhaps [2, 1, 3]? Let me", "length", "truncated"),
        ("<|channel|>analysis<|message|>List [1, 2, 3] or", "length", "truncated"),
        ("<|channel>thought\n[1, 2, 3]", "length", "truncated"),
        ("I'm sorry, but I can't help.", "stop", "refused"),
        ("[" * 5000, "stop", "unparsed"),
        ('["' * 9000, "stop", "unparsed"),
        ("{" * 9000 + "'" * 9000, "stop", "unparsed"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_not_read(text: str, finish: str, kind: str) -> None:
    found = parse_order(Answer(text=text, finish_reason=finish), 3, nil=False)
    assert (found.indices, dict(found.fallbacks)) == ([], {kind: 1})


def test_nil_counts_only_where_it_is_allowed() -> None:
    assert parse_order(Answer(text='{"ranking": [0, 2, 1, 3]}'), 3, nil=True).nil
    without = parse_order(Answer(text='{"ranking": [0, 2, 1, 3]}'), 3, nil=False)
    assert not without.nil and without.fallbacks == Counter(out_of_range=1)


WRAPPERS = (
    "{}",
    "```json\n{}\n```",
    "Here: {}",
    "<think>[{}, {}] hm</think>{}",
    "x</think>{}",
    "{}<|im_end|>",
)


@given(
    st.permutations(range(1, 8)), st.integers(0, 8), st.sampled_from(WRAPPERS), st.permutations(range(1, 8))
)
@settings(max_examples=300, deadline=None)
def test_any_order_in_any_form_is_read_or_counted(
    order: list[int], form: int, wrapper: str, other: list[int]
) -> None:
    texts = (
        json.dumps({"ranking": order}),
        json.dumps(order),
        str(order),
        ", ".join(map(str, order)),
        " > ".join(f"[{n}]" for n in order),
        "\n".join(f"{i}. [{n}] name {i}" for i, n in enumerate(order, 1)),
        json.dumps({"ranking": [{"id": n, "why": f"see {other}"} for n in order]}),
        json.dumps({str(n): 1 - i / 10 for i, n in enumerate(order)}),
        json.dumps({"input": other, "ranking": order}),
    )
    *before, _ = wrapper.count("{}") * [str(other)]
    found = parse_order(Answer(text=wrapper.format(*before, texts[form]), finish_reason="stop"), 7, nil=False)
    assert found.indices == [n - 1 for n in order] or found.fallbacks
    if wrapper in WRAPPERS[:2] or form in {0, 1, 6}:
        assert found.indices == [n - 1 for n in order]


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


@given(st.lists(st.tuples(st.floats(-20, 20) | st.none(), st.floats(-50, 50)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_ranking_is_a_permutation_with_raw_scores_in_order_of_evidence(
    pairs: list[tuple[float | None, float]],
) -> None:
    scores = sorted((score for _, score in pairs), reverse=True)
    candidates = [Candidate(f"C{i:02}", score, f"n{i}") for i, score in enumerate(scores)]
    verdict = Verdict([evidence for evidence, _ in pairs], usage=Usage(calls=1))
    ranking = assemble(make_mention("x"), candidates, verdict)
    assert sorted(ranking.candidates, key=lambda c: c.concept_id) == candidates
    if all(evidence is None for evidence, _ in pairs):
        assert ranking.evidence is None and list(ranking.candidates) == candidates
        return
    assert ranking.evidence is not None
    assert dict(zip((c.concept_id for c in ranking.candidates), ranking.evidence, strict=True)) == {
        c.concept_id: e for c, e in zip(candidates, verdict.evidence, strict=True)
    }
    keys = [(-math.inf if e is None else e) for e in ranking.evidence]
    assert keys == sorted(keys, reverse=True)
    for (a, ea), (b, eb) in itertools.pairwise(zip(ranking.candidates, keys, strict=True)):
        assert ea > eb or a.concept_id < b.concept_id, "ties keep the retriever's order"


def test_silent_candidates_stand_behind_and_the_status_says_so() -> None:
    candidates = [Candidate(f"C{i}", 9.0 - i, f"n{i}") for i in range(4)]
    verdict = Verdict([0.2, 0.9, None, 0.9])
    verdict.fallbacks["undecided"] = 1
    ranking = assemble(make_mention("x"), candidates, verdict)
    assert [c.concept_id for c in ranking.candidates] == ["C1", "C3", "C0", "C2"]
    assert ranking.status == "partial" and ranking.evidence == (0.9, 0.9, 0.2, None)
