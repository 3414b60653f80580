"""What a ranker's name says about it. Imports nothing heavy: it runs for every command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

LOGPROB_PROVIDERS: Final = frozenset(
    {
        "openai",
        "azure",
        "hosted_vllm",
        "vllm",
        "llamafile",
        "lm_studio",
        "fireworks_ai",
        "together_ai",
        "local",
    }
)
"""Providers whose chat endpoint gives log-probabilities through LiteLLM. Ollama's does not."""

RERANK_PROVIDERS: Final = frozenset({"cohere", "jina_ai", "infinity", "voyage"})
"""Providers that serve rerankers by a rerank endpoint."""

NO_LOGPROBS: Final = re.compile(r"^(o[1-9]|gpt-5)")
"""OpenAI's reasoning models refuse `logprobs`."""

BARE_NAMES: Final = re.compile(r"(gpt|chatgpt|o[1-9]|claude|gemini|command|mistral|deepseek)-[\w.:-]+|o[1-9]")
"""Names that LiteLLM takes without a provider before them. Others need one, so that a typo stays an error."""


def match_litellm(name: str) -> Mapping[str, Any] | None:
    """The options for a LiteLLM model id (`provider/model` or a well-known bare name), or None."""
    provider, slash, model = name.partition("/")
    if slash and re.fullmatch(r"[a-z][a-z0-9_]*", provider) and model and provider != "local":
        return {"model": name}
    return {"model": name} if BARE_NAMES.fullmatch(name) else None


def match_replay(name: str) -> Mapping[str, Any] | None:
    """The options for `replay:FILE`, or None."""
    prefix, colon, file = name.partition(":")
    return {"model": name, "replay": file} if prefix == "replay" and colon and file else None


def provider_of(model: str) -> str:
    """The provider part of a LiteLLM model id; bare names are taken by their family.

    `local:PATH` is a model in this process, `replay:FILE` recorded answers.
    """
    kind, colon, _ = model.partition(":")
    if colon and kind in {"local", "replay"}:
        return kind
    provider, slash, _ = model.partition("/")
    if slash:
        return provider
    for start, owner in (("claude", "anthropic"), ("gemini", "gemini"), ("command", "cohere_chat")):
        if model.startswith(start):
            return owner
    return "openai"


def default_strategy(model: str) -> str:
    """The strategy for `strategy=auto`, from the model's id alone, so that it is known before any call.

    Pointwise where the endpoint gives log-probabilities, rerank for rerankers behind a rerank endpoint,
    else listwise.
    """
    provider, name = provider_of(model), model.rpartition("/")[2].lower()
    if provider in RERANK_PROVIDERS and ("rerank" in name or provider == "infinity"):
        return "rerank"
    if provider in LOGPROB_PROVIDERS and not (provider == "openai" and NO_LOGPROBS.match(name)):
        return "pointwise"
    return "listwise"


def is_qwen3_reranker(model: str) -> bool:
    """Whether a model wants Qwen3-Reranker's own prompt."""
    return "qwen3-reranker" in model.lower()


def default_prompt(model: str, strategy: str) -> str | None:
    """A model's own template for a strategy, or None for the strategy's."""
    return "qwen3-reranker" if strategy == "pointwise" and is_qwen3_reranker(model) else None


def default_parameters(model: str) -> dict[str, Any]:
    """Parameters that a model needs to answer at once instead of thinking aloud.

    Qwen3 models think by default; on vLLM, llama.cpp and `transformers serve` a flag of the chat template ends
    the (empty) think block before the answer, on Ollama a parameter does. Their hosted forms are left alone.
    """
    name = model.lower()
    if "qwen3" not in name:
        return {}
    provider = provider_of(model)
    if provider in {"hosted_vllm", "openai", "vllm", "lm_studio", "local"}:
        return {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}
    return {"think": False} if provider.startswith("ollama") else {}
