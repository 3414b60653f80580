"""Probabilities of words are read where the answer stands, in any token form, or the answer is undecided."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import pytest
from bioelx_bench_llm.answer_cache import Answer, Position
from bioelx_bench_llm.endpoint import positions_of, text_of
from bioelx_bench_llm.reading import read_words, word_of
from bioelx_bench_llm.strategies import pointwise, setwise
from bioelx_bench_llm.strategies.pointwise import log_odds_of_yes
from hypothesis import given, settings
from hypothesis import strategies as st


def one(token: str, logprob: float, *alternatives: tuple[str, float]) -> tuple[Position, ...]:
    return (Position(token, logprob, alternatives),)


def probability(answer: Answer) -> float | None:
    value, _ = log_odds_of_yes(answer)
    return None if value is None else 1 / (1 + math.exp(-value))


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (one("Yes", -0.1), math.exp(-0.1)),  # the chosen token alone: against its complement
        (one("No", -0.1), 1 - math.exp(-0.1)),
        (one("no", -0.01, ("no", -0.01)), 1 - math.exp(-0.01)),
        (one("yes", -0.1, ("yes", -0.1), ("no", -2.5)), 1 / (1 + math.exp(-2.4))),
        (one(" Yes", -1.0, (" Yes", -1.0), ("yes", -1.0), ("No", -1.0)), 2 / 3),
        (one("ĠYes", -0.1, ("ĠYes", -0.1), ("ĠNo", -2.5)), 1 / (1 + math.exp(-2.4))),
        (one("▁yes", -0.1, ("▁yes", -0.1), ("▁no", -2.5)), 1 / (1 + math.exp(-2.4))),
        (
            one("bytes:\\x20Yes", -0.1, ("bytes:\\x20Yes", -0.1), ("bytes:\\x20No", -2.5)),
            1 / (1 + math.exp(-2.4)),
        ),
        (one("ＹＥＳ", -0.1), math.exp(-0.1)),
        (one('"Yes"', -0.1), math.exp(-0.1)),
        (one("**No**", -0.1), 1 - math.exp(-0.1)),
        ((*one("\n", -0.1), *one('"', -0.1), *one("Yes", -0.2)), math.exp(-0.2)),
        ((*one('"', -0.05, ('"', -0.05), ("**", -3.0)), *one("No", -0.1)), 1 - math.exp(-0.1)),
        (
            (*one("<think>", -0.01), *one("\n\n", 0.0), *one("</think>", 0.0), *one("yes", -0.3)),
            math.exp(-0.3),
        ),
        (one("Maybe", -1.0, ("Maybe", -1.0), ("yes", -1.1), ("no", -1.3)), 1 / (1 + math.exp(-0.2))),
    ],
)
def test_the_probability_stands_where_the_answer_does(
    positions: tuple[Position, ...], expected: float
) -> None:
    found = probability(Answer(positions=positions))
    assert found == pytest.approx(expected, abs=1e-6)
    assert log_odds_of_yes(Answer(positions=positions))[1] == ""


@pytest.mark.parametrize(
    ("positions", "text", "fallback"),
    [
        (one("<think>", -0.01, ("<think>", -0.01), ("Yes", -6.0)), "<think>", "thinks_first"),
        (one("<think>", 0.0), "<think>", "thinks_first"),
        ((*one("<th", 0.0), *one("ink>", 0.0)), "", "undecided"),
        (one("<|channel|>", -0.01), "", "thinks_first"),
        (one('"', -0.05, ('"', -0.05), ("**", -3.0)), '"Yes"', "undecided"),
        (one("perhaps", -0.01), "perhaps", "undecided"),
        (one("The", -0.2, ("The", -0.2), ("yes", -7.0), ("no", -9.0)), "The", "undecided"),
        ((*one("The", -0.2), *one("yes", -0.2)), "The yes", "undecided"),
        (one("はい", -0.1), "はい", "undecided"),
        (None, "I cannot say", "undecided"),
        (None, "<think>yes", "thinks_first"),
        (None, "", "undecided"),
    ],
)
def test_what_is_no_answer_is_undecided(
    positions: tuple[Position, ...] | None, text: str, fallback: str
) -> None:
    assert log_odds_of_yes(Answer(text=text, positions=positions)) == (None, fallback)


@pytest.mark.parametrize(
    ("text", "yes"),
    [("Yes, it does", True), ("no", False), ("<think>yes?</think>No.", False), ("The answer is: yes", True)],
)
def test_without_log_probabilities_the_word_counts_and_that_is_said(text: str, yes: bool) -> None:
    value, fallback = log_odds_of_yes(Answer(text=text))
    assert value == pytest.approx(math.log(9) if yes else -math.log(9)) and fallback == "logprobs_missing"


def test_a_token_shown_by_its_number_is_read_from_the_text() -> None:
    answer = Answer(
        text="No", positions=one("token_id:2822", -0.1, ("token_id:2822", -0.1), ("token_id:9642", -2.5))
    )
    assert probability(answer) == pytest.approx(math.exp(-2.5), abs=0.02)


@given(
    st.floats(-15, 0), st.sampled_from(["yes", "Yes", " yes", "ĠYes", "▁YES", '"yes', "yes."]), st.booleans()
)
@settings(max_examples=200, deadline=None)
def test_evidence_grows_with_the_probability_of_yes(logprob: float, token: str, negative: bool) -> None:
    token = re.sub("yes", "no", token, flags=re.I) if negative else token
    low, high = (log_odds_of_yes(Answer(positions=one(token, v)))[0] for v in (logprob - 0.5, logprob))
    assert low is not None and high is not None
    assert (low >= high) if negative else (low <= high)


@given(
    st.lists(st.tuples(st.text(max_size=6), st.floats(-30, 0)), min_size=1, max_size=6), st.text(max_size=9)
)
@settings(max_examples=300, deadline=None)
def test_any_tokens_give_finite_evidence_or_none(tokens: list[tuple[str, float]], text: str) -> None:
    positions = tuple(Position(t, v, tuple(tokens)) for t, v in tokens)
    for found in (positions, None):
        value, fallback = log_odds_of_yes(Answer(text=text, positions=found))
        assert (value is None and fallback) or (value is not None and abs(value) <= 20)


def message(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"content": None, "tool_calls": None, **values})


def call(arguments: str) -> SimpleNamespace:
    return SimpleNamespace(function=SimpleNamespace(name="answer", arguments=arguments))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (message(content="x"), "x"),
        (message(content=[{"type": "text", "text": "x"}]), "x"),
        (message(content=[{"type": "thinking", "thinking": "y"}, {"type": "text", "text": "x"}]), "x"),
        (message(content=["x"]), "x"),
        (message(tool_calls=[call("y"), call("x")]), "x"),
        (message(content="", reasoning_content="y"), ""),
        (message(), ""),
    ],
)
def test_the_text_is_what_the_model_said(said: SimpleNamespace, text: str) -> None:
    assert text_of(said) == text


@pytest.mark.parametrize(
    ("logprobs", "count"),
    [
        (None, None),
        ({"content": []}, None),
        ({"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": None}]}, 0),
        ({"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": []}]}, 0),
        (
            {
                "content": None,
                "tokens": ["Yes"],
                "token_logprobs": [-0.1],
                "top_logprobs": [{"Yes": -0.1, "No": -3}],
            },
            2,
        ),
        (
            {
                "content": [
                    {"token": "Yes", "logprob": 0.9, "top_logprobs": [{"token": "No", "logprob": 0.1}]}
                ]
            },
            None,
        ),
        ({"content": [{"token": "Yes", "logprob": None}]}, None),
        (
            {
                "content": [
                    {"token": "Yes", "logprob": -0.1, "top_logprobs": [{"token": "No", "logprob": -math.inf}]}
                ]
            },
            0,
        ),
    ],
)
def test_log_probabilities_are_read_in_each_form(logprobs: Any, count: int | None) -> None:
    found = positions_of(SimpleNamespace(logprobs=logprobs))
    assert (None if found is None else len(found[0].alternatives)) == count


@given(
    st.lists(
        st.tuples(st.sampled_from("ABCDE xyzÄ") | st.just("Yes"), st.floats(-9, -1.7)), min_size=2, max_size=6
    )
)
@settings(max_examples=200, deadline=None)
def test_what_is_recorded_of_an_answer_is_read_alike(pairs: list[tuple[str, float]]) -> None:
    alternatives = tuple(dict(pairs).items())
    answer = Answer(text="long prose", positions=(Position(*alternatives[0], alternatives),))
    for module, words in ((pointwise, ("yes", "no")), (setwise, tuple("abcde"))):
        whole, kept = read_words(answer, words), read_words(module.compact(answer), words)
        assert whole.fallback == kept.fallback and (whole.log_masses is None) == (kept.log_masses is None)
        if whole.log_masses and kept.log_masses:
            differences = [a - b for a, b in zip(whole.log_masses, kept.log_masses, strict=True)]
            assert max(differences) - min(differences) < 1e-6


def test_words_lose_what_tokenizers_put_around_them() -> None:
    assert {word_of(t) for t in ("Yes", " yes", "ĠYES", "▁yes", '"yes"', "**Yes**", "<0x20>Yes", "yes,")} == {
        "yes"
    }
