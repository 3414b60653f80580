"""What `doctor --ranker NAME` checks: the key is set, the endpoint answers, log-probabilities come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bioelx_bench.base import Check, Environment
from bioelx_bench.errors import BenchError
from bioelx_bench_llm.advice import how_to_start
from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.endpoint import Endpoint
from bioelx_bench_llm.failures import CallError
from bioelx_bench_llm.litellm_setup import import_litellm
from bioelx_bench_llm.loop import Loop
from bioelx_bench_llm.names import default_strategy, provider_of
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Strategy
from bioelx_bench_llm.strategies.registry import find_strategy

SECONDS: Final = 60.0
QUESTION: Final = "Is a heart attack the same as a myocardial infarction? Answer yes or no."


def check_ranker(environment: Environment, target: Mapping[str, Any]) -> list[Check]:
    """Ask the endpoint of the ranker in question one short question; nothing without such a ranker."""
    options = getattr(target.get("ranker"), "options", None)
    if not isinstance(options, LlmOptions) or provider_of(options.model) in {"local", "replay"}:
        return []
    try:
        endpoint = Endpoint(options, offline=environment.offline)
    except BenchError as error:
        return [Check("llm endpoint", "failed", error.what, error.hint)]
    missing = missing_keys(options, endpoint)
    if missing:
        name = " or ".join(missing)
        return [Check("llm key", "failed", f"{name} is not set", f"export {missing[0]}=...")]
    name = options.strategy if options.strategy != "auto" else default_strategy(options.model)
    try:
        strategy = find_strategy(name)
    except BenchError as error:
        return [Check("llm strategy", "failed", error.what, error.hint)]
    loop = Loop()
    try:
        return [loop.submit(ask_once(endpoint, strategy)).result()]
    finally:
        loop.close(endpoint.close)


def missing_keys(options: LlmOptions, endpoint: Endpoint) -> list[str]:
    """The variables that the provider wants and that are not set."""
    if endpoint.base or options.api_key_env:
        return []
    found = import_litellm().validate_environment(model=options.model)
    return [] if found["keys_in_environment"] else [str(key) for key in found["missing_keys"]]


async def ask_once(endpoint: Endpoint, strategy: Strategy) -> Check:
    """Put one question in the strategy's form."""
    place = f"{endpoint.model} at {endpoint.base or 'the provider'}"
    request = (
        Request(query="heart attack", documents=["myocardial infarction", "stroke"])
        if strategy.endpoint == "rerank"
        else Request(messages=[{"role": "user", "content": QUESTION}], max_tokens=1, top_logprobs=5)
    )
    for number, form in enumerate(request.forms, 1):
        try:
            return judge(await endpoint.ask(request, form, SECONDS), strategy, place)
        except CallError as error:
            if error.action != "downgrade" or number == len(request.forms):
                return failed(endpoint, place, error)
    raise AssertionError("a request has a form")


def failed(endpoint: Endpoint, place: str, error: CallError) -> Check:
    """What a call that gave no answer says of the endpoint."""
    hint = how_to_start(endpoint.model, endpoint.base, error.kind)
    return Check("llm endpoint", "failed", f"{place}: {error}", hint)


def judge(answer: Answer, strategy: Strategy, place: str) -> Check:
    """What an answer says of the endpoint."""
    if strategy.needs_logprobs and answer.positions is None:
        return Check(
            "llm endpoint",
            "warning",
            f"{place} answers, but without log-probabilities, which {strategy.name} ranking lives on",
            "use -K strategy=listwise, or a server that gives them (vLLM; llama.cpp's server)",
        )
    return Check("llm endpoint", "ok", f"{place} answers")
