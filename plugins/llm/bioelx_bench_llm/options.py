"""Options of the LLM rankers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bioelx_bench.options import Options, runtime_field

FORBIDDEN_PARAMETERS: Final = re.compile(
    r"key|token$|secret|password|authorization|headers|^(model|messages|stream|api_base|base_url|n)$", re.I
)
"""What `params` may not hold: secrets, and what the strategies themselves set."""


class LlmOptions(Options):
    """How a ranker asks an LLM."""

    model: str = Field(description="LiteLLM model id, such as openai/gpt-4o-mini", min_length=1)
    api_base: str | None = Field(
        None, description="Base address of the endpoint; by default the provider's own"
    )
    revision: str | None = Field(None, description="Revision of the model, where the id does not fix one")
    strategy: Literal["auto", "pointwise", "listwise", "setwise", "rerank"] = Field(
        "auto", description="How the candidates are put to the model; auto goes by what the endpoint can do"
    )
    fusion: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of the retriever's score against the model's (see docs/ranking.md)",
    )
    nil: bool = Field(False, description="Let the model say that no candidate fits")
    nil_threshold: float = Field(
        0.5, ge=0, le=1, description="Pointwise: nil when every candidate's P(yes) is below this"
    )
    repeats: int = Field(
        1, ge=1, le=50, description="Listwise: shuffled repeats, merged by mean rank when more than one"
    )
    set_size: int = Field(5, ge=2, le=20, description="Setwise: candidates a question compares")
    context_tokens: int = Field(256, ge=0, description="Budget of the context around the mention, in tokens")
    definition_tokens: int = Field(40, ge=0, description="Budget of a candidate's definition, in tokens")
    aliases: int = Field(3, ge=0, description="Aliases shown of a candidate, in each of the two languages")
    temperature: float | None = Field(
        0.0, ge=0, description="Sampling temperature; `none` sends none, for models that refuse it"
    )
    max_tokens: int | None = Field(
        None, ge=1, description="Listwise: bound of the answer; by default its length"
    )
    top_logprobs: int = Field(20, ge=2, le=100, description="Alternatives to ask for at the answer's token")
    params: dict[str, Any] = Field(
        default_factory=dict, description="More LiteLLM parameters, as a JSON object or a TOML table"
    )

    prompt: str = runtime_field(
        "auto", description="Built-in prompt, or a template file; its hash is part of the run's id"
    )
    api_key_env: str | None = runtime_field(
        None, description="Name of the environment variable with the key; by default the provider's own"
    )
    input_price: float | None = runtime_field(None, ge=0, description="US dollars per million prompt tokens")
    output_price: float | None = runtime_field(None, ge=0, description="US dollars per million answer tokens")
    concurrency: int = runtime_field(16, ge=1, le=1000, description="Requests under way at once")
    timeout: float = runtime_field(60.0, gt=0, description="Seconds until a request is given up")
    deadline: float = runtime_field(300.0, gt=0, description="Seconds for a mention with all its retries")
    attempts: int = runtime_field(6, ge=1, le=100, description="How often a request is tried")
    max_cost: float | None = runtime_field(None, ge=0, description="US dollars after which the run stops")
    max_errors: int = runtime_field(20, ge=0, description="Failed mentions after which the run stops")
    cache_file: Path | None = runtime_field(
        None, description="File of answers to record into or replay from, beside the shared one"
    )
    replay_only: bool = runtime_field(False, description="Ask nothing; take every answer from the cache")

    @field_validator("params", mode="before")
    @classmethod
    def read_params(cls, value: Any) -> Any:
        """Take a JSON object from the command line, and refuse secrets and what strategies set."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ValueError("must be a JSON object") from error
        if not isinstance(value, dict):
            raise ValueError("must be an object of parameter names and values")
        for name in nested_keys(value):
            if FORBIDDEN_PARAMETERS.search(name):
                raise ValueError(f"must not hold {name!r}: keys come from the environment (api_key_env)")
        return value

    @field_validator("api_base")
    @classmethod
    def check_api_base(cls, value: str | None) -> str | None:
        """Refuse an address with a password in it, since addresses are recorded."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https address, such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("must hold no user, password or query: keys come from the environment")
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def check_api_key_env(cls, value: str | None) -> str | None:
        """Take a variable's name, not the key itself."""
        if value is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
            raise ValueError("must be the name of an environment variable in capitals, not the key itself")
        return value

    @field_validator("temperature", "max_tokens", mode="before")
    @classmethod
    def read_none(cls, value: Any) -> Any:
        """Read `none` from the command line."""
        return None if isinstance(value, str) and value.lower() == "none" else value


def nested_keys(value: Any) -> list[str]:
    """Every key of nested objects and lists."""
    if isinstance(value, dict):
        return [*map(str, value), *(key for inner in value.values() for key in nested_keys(inner))]
    return [key for inner in value for key in nested_keys(inner)] if isinstance(value, list) else []


class Llama3Options(LlmOptions):
    """Llama 3 as Ollama serves it."""

    model: str = Field("ollama_chat/llama3", description="LiteLLM model id")


class Qwen3Options(LlmOptions):
    """Qwen3 as Ollama serves it."""

    model: str = Field("ollama_chat/qwen3", description="LiteLLM model id")


class Qwen3RerankerOptions(LlmOptions):
    """Qwen3-Reranker as vLLM serves it: its causal model behind the chat endpoint."""

    model: str = Field("hosted_vllm/Qwen/Qwen3-Reranker-0.6B", description="LiteLLM model id")
    api_base: str | None = Field("http://localhost:8000/v1", description="Base address of the vLLM server")


class Gpt4oMiniOptions(LlmOptions):
    """GPT-4o mini at OpenAI."""

    model: str = Field("openai/gpt-4o-mini", description="LiteLLM model id")
