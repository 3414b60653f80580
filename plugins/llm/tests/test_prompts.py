"""Prompts: built-in templates, users' own, and hostile data in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_llm.candidate_views import CandidateView, CandidateViews
from bioelx_bench_llm.names import default_prompt, default_strategy, match_litellm
from bioelx_bench_llm.prompts import load_prompt
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.records import Candidate
from bioelx_bench.testing import make_knowledge_base

BLOCKS = ("system", "user")
VALUES: dict[str, Any] = {
    "mention": "stroke",
    "context": "a <mention>stroke</mention>",
    "language": "en",
    "nil": False,
}
CARD = CandidateView("apoplexy", ("stroke", "CVA"), ("T047",), "A sudden event.")


def test_pointwise_puts_the_candidate_in_the_last_paragraph_or_line() -> None:
    for name, mark in (("pointwise", "\n\n"), ("qwen3-reranker", "\n<Document>")):
        prompt = load_prompt(name, BLOCKS)
        one, two = (prompt.messages({**VALUES, "candidate": CandidateView(n)}) for n in ("first", "second"))
        assert one[0] == two[0]
        assert one[1]["content"].rpartition(mark)[0] == two[1]["content"].rpartition(mark)[0] != ""


def test_a_card_shows_everything() -> None:
    text = load_prompt("pointwise", BLOCKS).messages({**VALUES, "candidate": CARD})[1]["content"]
    for part in ("apoplexy", "stroke; CVA", "T047", "A sudden event.", "<mention>stroke</mention>"):
        assert part in text


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_data_is_never_template_source_and_forms_no_paragraphs(text: str) -> None:
    from bioelx_bench_llm.context import clean

    view = CandidateView(clean("{{ 7*7 }}{% raw %}" + text).strip())
    content = load_prompt("pointwise", BLOCKS).messages({**VALUES, "candidate": view})[1]["content"]
    assert "{{ 7*7 }}{% raw %}" in content and "49" not in content.replace(text, "")
    assert content.count("\n\n") == 1


def test_a_users_file_is_hashed_and_sandboxed(tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% block system %}{% endblock %}{% block user %}{{ mention }}{% endblock %}")
    prompt = load_prompt(str(file), BLOCKS)
    assert prompt.messages(VALUES) == [{"role": "user", "content": "stroke"}]
    before = prompt.sha256
    file.write_text(file.read_text() + " ")
    assert load_prompt(str(file), BLOCKS).sha256 != before
    file.write_text(
        "{% block system %}{% endblock %}"
        "{% block user %}{{ mention.__class__.__mro__[1].__subclasses__() }}{% endblock %}"
    )
    with pytest.raises(DataError, match="unsafe"):
        load_prompt(str(file), BLOCKS).messages(VALUES)
    file.write_text("{% block system %}{% endblock %}{% block user %}{{ gold }}{% endblock %}")
    with pytest.raises(DataError, match="gold"):
        load_prompt(str(file), BLOCKS).messages(VALUES)


def test_prompts_that_cannot_work_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "p.jinja"
    file.write_text("{% block user %}{% endblock %}")
    with pytest.raises(UsageError, match="no block system"):
        load_prompt(str(file), BLOCKS)
    file.write_text("{% block user %}")
    with pytest.raises(UsageError, match="not a template"):
        load_prompt(str(file), BLOCKS)
    with pytest.raises(MissingError, match="no prompt"):
        load_prompt(str(tmp_path / "absent"), BLOCKS)
    with pytest.raises(MissingError, match="no prompt"):
        load_prompt(str(tmp_path), BLOCKS)


def test_cards_show_names_in_the_mentions_language_and_english(tmp_path: Path) -> None:
    views = CandidateViews(make_knowledge_base(tmp_path / "kb"))
    view = views.view(Candidate("C0004096", 1.0, "bronchial asthma"), "de")
    assert view.name == "asthma"
    assert view.aliases == ("bronchial asthma", "Asthma bronchiale")
    assert views.view(Candidate("C0004096", 1.0, "asthma"), "ja").aliases == ("喘息", "bronchial asthma")
    assert views.view(Candidate("C9999999", 1.0, "unknown"), "de") == CandidateView("unknown")
    assert CandidateViews(None).view(Candidate("C1", 1.0, "x\ny"), "de") == CandidateView("x y")


@pytest.mark.parametrize(
    ("model", "strategy", "prompt"),
    [
        ("openai/gpt-4o-mini", "pointwise", "pointwise"),
        ("openai/gpt-5-mini", "listwise", "listwise"),
        ("hosted_vllm/Qwen/Qwen3-Reranker-0.6B", "pointwise", "qwen3-reranker"),
        ("ollama_chat/llama3", "listwise", "listwise"),
        ("cohere/rerank-v3.5", "rerank", "rerank"),
        ("jina_ai/jina-reranker-v2-base-multilingual", "rerank", "rerank"),
        ("infinity/bge-reranker", "rerank", "rerank"),
        ("anthropic/claude-sonnet-4", "listwise", "listwise"),
        ("local:/models/Qwen3-Reranker-0.6B", "pointwise", "qwen3-reranker"),
    ],
)
def test_the_strategy_follows_from_the_models_name(model: str, strategy: Any, prompt: str) -> None:
    assert default_strategy(model) == strategy
    assert (default_prompt(model, strategy) or strategy) == prompt


@pytest.mark.parametrize(
    "name", ["openai/x", "hosted_vllm/a/b", "gpt-4o", "o3", "claude-3-5-haiku", "ollama_chat/llama3:8b"]
)
def test_model_ids_are_taken_as_they_are(name: str) -> None:
    assert match_litellm(name) == {"model": name}


@pytest.mark.parametrize("name", ["lama3", "bm25", "none", "/x", "x/", "My/Model", "local/x", "local:/x"])
def test_other_names_are_left_alone(name: str) -> None:
    assert match_litellm(name) is None
