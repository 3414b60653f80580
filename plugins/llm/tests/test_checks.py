"""`doctor` says whether an endpoint answers, and how to fix it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bioelx_bench_llm.checks import check_ranker
from bioelx_bench_llm.options import LlmOptions
from protocol_server import Behaviour, Running

from bioelx_bench.base import Check, Environment
from bioelx_bench.cache import Cache


def check(tmp_path: Path, offline: bool = False, **options: Any) -> Check:
    target = {"ranker": SimpleNamespace(options=LlmOptions(**options))}
    (found,) = check_ranker(Environment(cache=Cache(tmp_path), offline=offline), target)
    return found


def test_an_endpoint_that_answers_is_fine(tmp_path: Path) -> None:
    with Running() as server:
        assert check(tmp_path, model="openai/test", api_base=server.base).status == "ok"
        assert check(tmp_path, model="hosted_vllm/x", strategy="rerank", api_base=server.base).status == "ok"


def test_missing_logprobs_are_a_warning(tmp_path: Path) -> None:
    with Running(Behaviour(no_logprobs=True)) as server:
        found = check(tmp_path, model="openai/test", api_base=server.base)
    assert found.status == "warning" and "strategy=listwise" in (found.hint or "")


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("ollama_chat/llama3", "ollama pull llama3"),
        ("hosted_vllm/Qwen/Q", "vllm serve Qwen/Q --port 9"),
        ("openai/x", "llama-server"),
    ],
)
def test_a_server_that_is_not_there_is_named_with_the_command_that_starts_it(
    tmp_path: Path, model: str, command: str
) -> None:
    found = check(tmp_path, model=model, api_base="http://127.0.0.1:9")
    assert found.status == "failed" and command in (found.hint or "")


def test_a_missing_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(tmp_path, model="openai/gpt-4o-mini").hint == "export OPENAI_API_KEY=..."
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert "ANTHROPIC_API_KEY" in check(tmp_path, model="anthropic/claude-sonnet-4").detail
    assert "MY_KEY" in check(tmp_path, model="openai/x", api_key_env="MY_KEY").detail


def test_offline_refuses_what_is_elsewhere(tmp_path: Path) -> None:
    assert check(tmp_path, offline=True, model="openai/gpt-4o-mini").status == "failed"


def test_without_a_ranker_nothing_is_checked(tmp_path: Path) -> None:
    assert check_ranker(Environment(cache=Cache(tmp_path)), {}) == []
