"""Options of the LLM rankers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from bioelx_bench.options import Options, runtime_field
from bioelx_bench.redaction import looks_like_secret
from bioelx_bench_llm.addresses import address_problem

SECRET_PARAMETERS: Final = re.compile(
    r"key(?!word)|token$|secret|passw|auth|credential|bearer|access|private|cookie|signature|certificate|^cert$"
    r"|session|headers|vertex_|^aws_|_pem$|jwt|oauth|login|^user(name)?$",
    re.I,
)
"""Names of parameters that may hold a secret; LiteLLM takes several dozen of them."""
OWN_PARAMETERS: Final = re.compile(
    r"^(model|messages|stream|api_base|base_url|n|client|timeout|max_retries|num_retries|fallbacks|caching|cache"
    r"|logprobs|top_logprobs|response_format|custom_llm_provider|callbacks|success_callback|failure_callback"
    r"|proxy.*|.*_proxy)$|^mock_|api_base|base_url|endpoint_url",
    re.I,
)
"""Parameters that the strategies and options set themselves, that send calls elsewhere, or that make answers up."""
MAX_PARAMETERS_DEPTH: Final = 10
TOP_LOGPROBS: Final = 20
"""Alternatives asked for at a token: what most endpoints allow at most. One that refuses is asked for 5."""


class LlmOptions(Options):
    """How a ranker asks an LLM."""

    model: str = Field(description="LiteLLM model id, such as openai/gpt-4o-mini", min_length=1)
    api_base: str | None = Field(
        None, description="Base address of the endpoint; by default the provider's own"
    )
    strategy: str = Field(
        "auto",
        description="How candidates are put to the model: pointwise, listwise, setwise, rerank, package.module:NAME "
        "of another package, or auto, which goes by what the endpoint can do",
        min_length=1,
    )
    mix: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of the model's evidence against the retriever's score (docs/ranking.md)",
    )
    evidence_temperature: float = Field(
        3.0, gt=0, description="What the evidence (log-odds) is divided by before it is mixed"
    )
    nil: bool = Field(False, description="Let the model say that no candidate fits")
    repeats: int = Field(
        1, ge=1, le=50, description="Listwise: shuffled repeats, merged by mean place when more than one"
    )
    set_size: int = Field(5, ge=2, le=20, description="Setwise: candidates a question compares")
    context_tokens: int = Field(256, ge=0, description="Budget of the context around the mention, in tokens")
    temperature: float | None = Field(
        0.0, ge=0, description="Sampling temperature; `none` sends none, for models that refuse it"
    )
    max_tokens: int | None = Field(
        None, ge=1, description="Bound of the answer, for models that think first; by default its length"
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="More LiteLLM parameters, as a JSON object or a TOML table"
    )

    prompt: str = runtime_field(
        "auto", description="Built-in prompt, or a template file; its hash is part of the run's id"
    )
    api_key_env: str | None = runtime_field(
        None, description="Name of the environment variable with the key; by default the provider's own"
    )
    price: str | None = runtime_field(
        None, description="US dollars per million prompt and answer tokens, such as 0.15/0.60"
    )
    concurrency: int = runtime_field(16, ge=1, le=1000, description="Requests under way at once")
    timeout: float = runtime_field(
        60.0, gt=0, description="Seconds until a request is given up; a mention has five times as long"
    )
    attempts: int = runtime_field(6, ge=1, le=100, description="How often a request is tried")
    max_cost: float | None = runtime_field(None, ge=0, description="US dollars after which the run stops")
    max_errors: float = runtime_field(
        0.01,
        ge=0,
        description="Failed mentions after which the run stops: a count, or below 1 a share of all",
    )
    replay: Path | None = runtime_field(
        None, description="File of recorded answers to take instead of asking (bioelx-bench answers export)"
    )

    @property
    def top_logprobs(self) -> int:
        """Alternatives to ask for at a token."""
        return TOP_LOGPROBS

    @property
    def deadline(self) -> float:
        """Seconds for a mention with all its retries."""
        return 5 * self.timeout

    @property
    def prices(self) -> tuple[float, float] | None:
        """US dollars per million prompt and answer tokens."""
        if self.price is None:
            return None
        prompt, _, answer = self.price.partition("/")
        return float(prompt), float(answer)

    @field_validator("params", mode="before")
    @classmethod
    def read_params(cls, value: Any) -> Any:
        """Take a JSON object from the command line, and refuse secrets and what strategies set."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise ValueError("must be a JSON object") from error
        if not isinstance(value, dict):
            raise ValueError("must be an object of parameter names and values")
        check_parameters(value)
        return value

    @field_validator("price")
    @classmethod
    def check_price(cls, value: str | None) -> str | None:
        """Take two prices."""
        if value is not None and not re.fullmatch(r"\d+(\.\d+)?/\d+(\.\d+)?", value):
            raise ValueError("must be two prices per million tokens, such as 0.15/0.60")
        return value

    @field_validator("api_base")
    @classmethod
    def check_api_base(cls, value: str | None) -> str | None:
        """Refuse an address with a password in it, since addresses are recorded."""
        if value is None:
            return None
        problem = address_problem(value)
        if problem:
            raise ValueError(problem)
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


def check_parameters(value: Any, depth: int = 0) -> None:
    """Refuse, at any depth, names and values that may be secrets, and names that are not for users to set.

    Raises:
        ValueError: The name that is wrong; a value is never repeated.
    """
    if depth > MAX_PARAMETERS_DEPTH:
        raise ValueError(f"must not be nested more than {MAX_PARAMETERS_DEPTH} deep")
    if isinstance(value, dict):
        for name, inner in value.items():
            shown = str(name) if re.fullmatch(r"[\w.-]{1,40}", str(name)) else "a name"
            if SECRET_PARAMETERS.search(str(name)):
                raise ValueError(f"must not hold {shown!r}: keys come from the environment (api_key_env)")
            if OWN_PARAMETERS.search(str(name)):
                raise ValueError(
                    f"must not hold {shown!r}: it is set by the ranker's own options, or not for a benchmark"
                )
            if looks_like_secret(str(name)) or (isinstance(inner, str) and looks_like_secret(inner)):
                raise ValueError(
                    "must not hold what looks like a key: keys come from the environment (api_key_env)"
                )
            check_parameters(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, str) and looks_like_secret(inner):
                raise ValueError(
                    "must not hold what looks like a key: keys come from the environment (api_key_env)"
                )
            check_parameters(inner, depth + 1)


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
