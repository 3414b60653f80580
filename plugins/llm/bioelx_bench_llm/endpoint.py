"""One call to an endpoint through LiteLLM. LiteLLM is imported with the first call, never before."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench_llm.answers import Answer
from bioelx_bench_llm.failures import CallError, explain
from bioelx_bench_llm.litellm_setup import (
    import_litellm,
    keep_off_proxies,
    register_unknown,
    use_own_http_client,
)
from bioelx_bench_llm.names import default_parameters, provider_of
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.redaction import Redactor
from bioelx_bench_llm.requests import Request

if TYPE_CHECKING:
    from bioelx_bench_llm.providers import LocalProvider

NO_KEY: Final = "none"
"""Sent where a key is asked for but none is needed, since clients refuse to send nothing."""

LOCAL_DEFAULTS: Final[Mapping[str, str]] = {
    "ollama": "http://localhost:11434",
    "ollama_chat": "http://localhost:11434",
    "lm_studio": "http://localhost:1234/v1",
    "llamafile": "http://127.0.0.1:8080/v1",
}
"""Where providers that run on the user's machine listen by default."""

OPENAI_COMPATIBLE: Final = frozenset({"openai", "hosted_vllm"})
"""Providers for servers of the user's own whose model names LiteLLM mostly does not know."""

BASE_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "ollama": ("OLLAMA_API_BASE",),
    "ollama_chat": ("OLLAMA_API_BASE",),
    "lm_studio": ("LM_STUDIO_API_BASE",),
    "llamafile": ("LLAMAFILE_API_BASE",),
    "hosted_vllm": ("HOSTED_VLLM_API_BASE",),
    "infinity": ("INFINITY_API_BASE",),
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
}


def resolve_base(options: LlmOptions) -> str | None:
    """The endpoint's address: the option, else the provider's variable, else its local default, else None."""
    if options.api_base:
        return options.api_base
    provider = provider_of(options.model)
    given = next((os.environ[v] for v in BASE_VARIABLES.get(provider, ()) if os.environ.get(v)), None)
    return given.rstrip("/") if given else LOCAL_DEFAULTS.get(provider)


def is_loopback(address: str | None) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(address).hostname if address else None
    return host is not None and (host in {"localhost", "::1"} or host.startswith("127."))


def resolve_key(options: LlmOptions) -> str | None:
    """The key to send; None leaves the provider's own variable to LiteLLM.

    To an address the user gave, a key is sent only where `api_key_env` names one: the key of a provider must
    not go to whoever listens elsewhere.

    Raises:
        MissingError: The variable is not set.
    """
    if options.api_key_env:
        key = os.environ.get(options.api_key_env)
        if not key:
            raise MissingError(
                f"the environment variable {options.api_key_env} is not set",
                where="-K api_key_env",
                hint=f"export {options.api_key_env}=... (the key itself is never written anywhere)",
            )
        return key
    return NO_KEY if resolve_base(options) else None


class Endpoint:
    """Asks one model at one address.

    Args:
        options: The ranker's options.
        offline: Refuse addresses beyond this machine.
        provider: A model in this process, registered with LiteLLM, or None.

    Raises:
        UsageError: The address is beyond this machine while offline.
        MissingError: The key's variable is not set.
    """

    def __init__(self, options: LlmOptions, *, offline: bool, provider: LocalProvider | None = None) -> None:
        self.model = options.model if provider is None else f"{provider.name}/{provider.model}"
        self.base = None if provider is not None else resolve_base(options)
        self.parameters: dict[str, Any] = {**default_parameters(options.model), **options.params}
        if options.temperature is not None:
            self.parameters.setdefault("temperature", options.temperature)
        self._options = options
        self._provider = provider
        self._key: str | None = None
        self._litellm: Any = None
        self._priced = True
        if provider is None and not options.replay_only:
            self._key = resolve_key(options)
            if offline and not is_loopback(self.base):
                raise UsageError(
                    f"{options.model} is not on this machine, and --offline allows no connection beyond it",
                    where=self.base or options.model,
                    hint="use a local endpoint (-K api_base=http://localhost:...), --ranker smollm2, or replay "
                    "recorded answers (-K replay_only=true)",
                )
        self.redact = Redactor(extra=(self._key,) if self._key and self._key != NO_KEY else ())

    @property
    def in_process(self) -> bool:
        """Whether the model runs in this process, without a server."""
        return self._provider is not None

    @property
    def address(self) -> str:
        """The address as part of cache keys."""
        if self._provider is not None:
            return f"revision {self._provider.revision}"
        return self.base or provider_of(self.model)

    def key(self, request: Request) -> str:
        """What the answer to a request is stored under."""
        return request.key(self.model, self.address, self.parameters)

    async def ask(self, request: Request, form: str, timeout: float) -> Answer:
        """Ask once.

        Args:
            request: The question.
            form: One of the request's forms.
            timeout: Seconds until the call is given up.

        Raises:
            CallError: No answer came; it says what to do.
        """
        try:
            litellm = await self.prepare()
            if form == "rerank":
                return self._read_rerank(await litellm.arerank(**self._rerank_arguments(request, timeout)))
            response = await litellm.acompletion(**self._chat_arguments(request, form, timeout))
            return self._read_chat(response, form)
        except Exception as error:  # LiteLLM passes on what its clients and parsers raise
            raise explain(error, self.redact) from None  # its own text may hold keys, ours does not

    async def close(self) -> None:
        """Close LiteLLM's connections."""
        if self._litellm is not None and self._provider is None:
            await self._litellm.close_litellm_async_clients()

    async def prepare(self) -> Any:
        """Import LiteLLM, before any time limit starts, and register a model of this process with it."""
        if self._litellm is None:
            self._litellm = litellm = import_litellm()
            if self._provider is not None:
                self._provider.register(litellm)
            elif self.base is not None:
                if is_loopback(self.base):
                    keep_off_proxies(urlsplit(self.base).hostname or "")
                if provider_of(self.model) in OPENAI_COMPATIBLE:
                    use_own_http_client()
                    self._priced = not register_unknown(litellm, self.model, provider_of(self.model))
        return self._litellm

    def _common(self, timeout: float) -> dict[str, Any]:
        return {"model": self.model, "api_base": self.base, "api_key": self._key, "timeout": timeout}

    def _chat_arguments(self, request: Request, form: str, timeout: float) -> dict[str, Any]:
        arguments = self._common(timeout) | self.parameters | {"messages": list(request.messages)}
        arguments["max_retries"] = 0  # the OpenAI client would retry by itself
        if request.max_tokens is not None:
            arguments["max_tokens"] = request.max_tokens
        if request.seed is not None:
            arguments["seed"] = request.seed
        if form == "logprobs":
            arguments |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        elif form == "json_schema":
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form == "json_object_schema":
            arguments["response_format"] = {"type": "json_object", "schema": request.schema}
        elif form == "json_object":
            arguments["response_format"] = {"type": "json_object"}
        return arguments

    def _rerank_arguments(self, request: Request, timeout: float) -> dict[str, Any]:
        extra = {k: v for k, v in self.parameters.items() if k in self._options.params}
        return (
            self._common(timeout)
            | extra
            | {
                "query": request.query,
                "documents": list(request.documents),
                "top_n": len(request.documents),
                "return_documents": False,
                "max_retries": 0,
            }
        )

    def _read_chat(self, response: Any, form: str) -> Answer:
        if not response.choices:
            raise CallError("malformed", "retry", "the answer has no choices")
        choice = response.choices[0]
        usage = getattr(response, "usage", None)
        prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
        return Answer(
            text=self.redact.known(choice.message.content or ""),
            alternatives=first_alternatives(choice),
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=self._cost(response, prompt, completion),
            finish_reason=str(choice.finish_reason or ""),
            form=form,
        )

    def _read_rerank(self, response: Any) -> Answer:
        if response.results is None:
            raise CallError("malformed", "retry", "the answer has no results")
        scores = [(int(r["index"]), float(r["relevance_score"])) for r in response.results]
        tokens = (response.meta or {}).get("tokens") or {}
        prompt = int(tokens.get("input_tokens") or 0)
        return Answer(
            scores=tuple((i, s) for i, s in scores if math.isfinite(s)),
            prompt_tokens=prompt,
            cost_usd=self._cost(response, prompt, 0),
            form="rerank",
        )

    def _cost(self, response: Any, prompt: int, completion: int) -> float | None:
        """US dollars: by the prices the user gave, else LiteLLM's; nothing for this machine; else unknown."""
        options = self._options
        if options.input_price is not None or options.output_price is not None:
            return (prompt * (options.input_price or 0) + completion * (options.output_price or 0)) / 1e6
        if self._provider is not None or is_loopback(self.base):
            return 0.0
        if not self._priced:
            return None
        cost = getattr(response, "_hidden_params", {}).get("response_cost")
        return float(cost) if isinstance(cost, int | float) else None


def count(usage: Any, name: str) -> int:
    """A count of an endpoint's usage; 0 where it gives none."""
    value = getattr(usage, name, None)
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def first_alternatives(choice: Any) -> tuple[tuple[str, float], ...] | None:
    """Log-probabilities at the first token of the answer that is not mere space, or None.

    What servers give as minus infinity, or as no number, is left out: the value could not be stored as JSON.
    """
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if not content:
        return None
    position = next((p for p in content if str(p.token).strip()), content[0])
    pairs = [(str(a.token), float(a.logprob)) for a in position.top_logprobs or ()]
    if not pairs and position.logprob is not None:
        pairs = [(str(position.token), float(position.logprob))]
    return tuple((token, value) for token, value in pairs if math.isfinite(value)) or None
