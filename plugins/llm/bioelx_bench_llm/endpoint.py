"""One call to an endpoint through LiteLLM. LiteLLM is imported with the first call, never before."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.redaction import Redactor
from bioelx_bench_llm.addresses import address_problem, host_of, is_loopback
from bioelx_bench_llm.answer_cache import Answer, Position
from bioelx_bench_llm.failures import CallError, explain
from bioelx_bench_llm.guarded_http import PROBLEMS, litellm_client, openai_session
from bioelx_bench_llm.litellm_setup import (
    import_litellm,
    keep_off_proxies,
    own_http_client,
    register_unknown,
    use_own_http_client,
)
from bioelx_bench_llm.names import default_parameters, provider_of
from bioelx_bench_llm.options import LlmOptions
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

OPENAI_CLIENT: Final = frozenset({"openai", "azure"})
"""Providers that LiteLLM asks through OpenAI's client, unless it is told to use its own."""

MAX_POSITIONS: Final = 64
"""Tokens of an answer whose log-probabilities are kept: more than lead up to an answer of one word."""
FEW_LOGPROBS: Final = 5
ROUNDING: Final = 1e-3
"""How far above 0 rounding may put a log-probability."""

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
    """The endpoint's address: the option, else the provider's variable, else its local default, else None.

    Raises:
        UsageError: The variable's address cannot be used; it is not repeated, since it may hold a password.
    """
    if options.api_base:
        return options.api_base
    provider = provider_of(options.model)
    variable = next((v for v in BASE_VARIABLES.get(provider, ()) if os.environ.get(v)), None)
    if variable is None:
        return LOCAL_DEFAULTS.get(provider)
    problem = address_problem(os.environ[variable])
    if problem:
        raise UsageError(f"the address in the variable {variable} {problem}", where=variable)
    return os.environ[variable].rstrip("/")


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
        self._client: Any = None
        self._priced = True
        if provider is None and options.replay is None:
            self._key = resolve_key(options)
            if offline and not is_loopback(self.base):
                raise UsageError(
                    f"{options.model} is not on this machine, and --offline allows no connection beyond it",
                    where=self.base or options.model,
                    hint="use a local endpoint (-K api_base=http://localhost:...), --ranker smollm2, or recorded "
                    "answers (--ranker replay:FILE)",
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
        """What the answer to a request is stored under; recorded answers go by the question alone."""
        if self._options.replay is not None:
            return request.question_hash
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
        problems: list[CallError] = []
        held = PROBLEMS.set(problems)
        try:
            litellm = await self.prepare()
            if form == "rerank":
                return self._read_rerank(await litellm.arerank(**self._rerank_arguments(request, timeout)))
            response = await litellm.acompletion(**self._chat_arguments(request, form, timeout))
            return self._read_chat(response, form)
        except Exception as error:  # LiteLLM passes on what its clients and parsers raise
            if problems:
                raise problems[0] from None
            raise explain(error, self.redact) from None  # its own text may hold keys, ours does not
        finally:
            PROBLEMS.reset(held)

    async def close(self) -> None:
        """Close connections."""
        if self._litellm is not None and self._provider is None:
            if self._client is not None:
                await self._client.close()
            if self._litellm.aclient_session is not None:
                await self._litellm.aclient_session.aclose()
                self._litellm.aclient_session = None
            await self._litellm.close_litellm_async_clients()

    async def prepare(self) -> Any:
        """Import LiteLLM, before any time limit starts, and register a model of this process with it."""
        if self._litellm is None:
            self._litellm = litellm = import_litellm()
            if self._provider is not None:
                self._provider.register(litellm)
                return self._litellm
            if self.base is not None:
                if is_loopback(self.base):
                    keep_off_proxies(host_of(self.base) or "")
                if provider_of(self.model) in OPENAI_COMPATIBLE:
                    use_own_http_client()
                    self._priced = not register_unknown(litellm, self.model, provider_of(self.model))
            if provider_of(self.model) in OPENAI_CLIENT and not own_http_client():
                litellm.aclient_session = openai_session()
            else:
                self._client = litellm_client()
        return self._litellm

    def _common(self, timeout: float) -> dict[str, Any]:
        client = {} if self._client is None else {"client": self._client}
        return {
            "model": self.model,
            "api_base": self.base,
            "api_key": self._key,
            "timeout": timeout,
            **client,
        }

    def _chat_arguments(self, request: Request, form: str, timeout: float) -> dict[str, Any]:
        arguments = self._common(timeout) | self.parameters | {"messages": list(request.messages)}
        arguments["max_retries"] = 0  # the OpenAI client would retry by itself
        if request.max_tokens is not None:
            arguments["max_tokens"] = request.max_tokens
        if request.seed is not None:
            arguments["seed"] = request.seed
        if form == "logprobs":
            arguments |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        elif form == "few_logprobs":
            arguments |= {"logprobs": True, "top_logprobs": FEW_LOGPROBS}
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
            text=self.redact.known(text_of(choice.message)),
            positions=positions_of(choice),
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
        prices = self._options.prices
        if prices is not None:
            return (prompt * prices[0] + completion * prices[1]) / 1e6
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


def text_of(message: Any) -> str:
    """What a message says: its content, the text parts of it, or the arguments of the last tool it calls.

    Reasoning that the endpoint gives apart is not read.
    """
    content = getattr(message, "content", None)
    if isinstance(content, list):
        parts = [
            part if isinstance(part, Mapping) else vars(part) for part in content if not isinstance(part, str)
        ]
        texts = [str(p.get("text") or "") for p in parts if p.get("type") in {"text", "output_text", None}]
        content = "".join([*(part for part in content if isinstance(part, str)), *texts])
    if content:
        return str(content)
    calls = getattr(message, "tool_calls", None) or []
    return str(getattr(getattr(calls[-1], "function", None), "arguments", None) or "") if calls else ""


def positions_of(choice: Any) -> tuple[Position, ...] | None:
    """Log-probabilities at the first tokens of an answer, in chat or completion form, or None.

    What servers give as minus infinity, or as no number, is left out. A value above 0 is no log-probability; then
    none of them is one.
    """
    found = getattr(choice, "logprobs", None)
    content = field_of(found, "content")
    if content:
        rows = [
            (field_of(p, "token"), field_of(p, "logprob"), pairs_of(field_of(p, "top_logprobs")))
            for p in content[:MAX_POSITIONS]
        ]
    else:
        tokens, values = field_of(found, "tokens") or [], field_of(found, "token_logprobs") or []
        tops = list(field_of(found, "top_logprobs") or []) + [None] * len(tokens)
        rows = [(t, v, pairs_of(top)) for t, v, top in zip(tokens, values, tops, strict=False)][
            :MAX_POSITIONS
        ]
    positions = [
        Position(str(token), float(value), pairs)
        for token, value, pairs in rows
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    values = [v for p in positions for v in (p.logprob, *(value for _, value in p.alternatives))]
    if not positions or len(positions) < len(rows) or max(values) > ROUNDING:
        return None
    return tuple(positions)


def pairs_of(top: Any) -> tuple[tuple[str, float], ...]:
    """Alternatives at a token, from a list of objects or a table of values by token."""
    if isinstance(top, Mapping):
        pairs = list(top.items())
    else:
        pairs = [(field_of(a, "token"), field_of(a, "logprob")) for a in top or ()]
    return tuple((str(t), float(v)) for t, v in pairs if isinstance(v, int | float) and math.isfinite(v))


def field_of(value: Any, name: str) -> Any:
    """A field of an object or a mapping; None where it has none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
