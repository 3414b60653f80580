"""Asking many questions: cache first, then the endpoint with bounded concurrency and one layer of retries."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from bioelx_bench.errors import BenchError, MissingError
from bioelx_bench_llm.advice import how_to_start
from bioelx_bench_llm.answer_cache import Answer, AnswerSource
from bioelx_bench_llm.endpoint import Endpoint
from bioelx_bench_llm.failures import CallError, Failed
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.pacing import Pacer
from bioelx_bench_llm.requests import Request

NOT_RECORDED = "no answer to this question is recorded: other options, prompt, data or candidates"
CONTINUE = "the same command continues where it stopped; everything answered so far is kept"


@dataclass(slots=True)
class CallStats:
    """What this process did. It says nothing about results: a repeated run takes its answers from the cache."""

    attempts: int = 0
    answered: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    paid_usd: float = 0.0
    unpriced: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        """Count an answer that the endpoint gave."""
        self.answered += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        self.paid_usd += answer.cost_usd or 0.0
        self.unpriced += answer.cost_usd is None
        self.forms[answer.form] += 1


@dataclass(slots=True)
class Deadline:
    """The time a mention may take, counted from its first call, not from when it was queued."""

    seconds: float
    _end: float | None = None

    def left(self) -> float:
        """Seconds left; the first call starts the deadline."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self.seconds
        return self._end - now


class RequestRunner:
    """Answers requests. Lives in one event loop.

    Args:
        endpoint: Where to ask.
        answers: The cache.
        options: Bounds and limits.
        may_ask: Whether the endpoint may be asked; else an answer that is not there is a failure.
        on_answer: Told every question with an answer that was there.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        answers: AnswerSource,
        options: LlmOptions,
        *,
        may_ask: bool = True,
        on_answer: Callable[[Request, Answer], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.on_answer = on_answer
        self._may_ask = may_ask
        self.stats = CallStats()
        self._answers = answers
        self._options = options
        self._slots = asyncio.Semaphore(options.concurrency)
        self._asked: dict[str, asyncio.Task[Answer | Failed]] = {}
        self._form: dict[tuple[str, ...], int] = {}
        self._pacer = Pacer(options.concurrency)
        self._backoff = wait_random_exponential(multiplier=0.5, max=30)

    async def ask_all(self, requests: Sequence[Request], deadline: Deadline) -> list[Answer | Failed]:
        """Answer requests in their order; a request that failed for good gives `Failed` in its place.

        Raises:
            BenchError: The run must stop: a limit is reached, a key is refused, or a replay lacks an answer.
        """
        keys = [self.endpoint.key(request) for request in requests]
        known = self._answers.get(keys)
        self.stats.cached += sum(key in known for key in keys)
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        if self.on_answer is not None:
            for key, request in zip(keys, requests, strict=True):
                if key in known:
                    self.on_answer(request, known[key])
        if not missing:
            return [known[key] for key in keys]
        if not self._may_ask:
            self.stats.failures["not_recorded"] += len(missing)
            unknown = Failed("not_recorded", NOT_RECORDED)
            return [known.get(key, unknown) for key in keys]
        tasks = [self._task(key, request, deadline) for key, request in missing.items()]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        fresh: dict[str, Answer | Failed] = {}
        for key, result in zip(missing, results, strict=True):
            assert not isinstance(result, BaseException)  # noqa: S101 - raised above; narrows the type
            fresh[key] = result
        return [known[key] if key in known else fresh[key] for key in keys]

    def _task(self, key: str, request: Request, deadline: Deadline) -> asyncio.Task[Answer | Failed]:
        """The task that answers a request; two mentions with the same question share it."""
        task = self._asked.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key, request, deadline))
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return task

    async def _ask(self, key: str, request: Request, deadline: Deadline) -> Answer | Failed:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._options.attempts),
            wait=self._wait,
            retry=retry_if_exception(lambda e: isinstance(e, CallError) and e.action == "retry"),
            reraise=True,
        )
        try:
            answer: Answer = await retrying(self._attempt, request, deadline)
        except CallError as error:
            if error.action == "stop":
                raise self._stopped(error) from None
            if error.kind == "connection" and not self.stats.answered:
                raise self._no_server(error) from None
            return Failed(error.kind, error.detail)
        self._answers.put({key: answer})
        return answer

    async def _attempt(self, request: Request, deadline: Deadline) -> Answer:
        """One attempt, in the best form the endpoint is known to take; a refused form gives way to the next."""
        async with self._slots:
            await self.endpoint.prepare()
            forms = request.forms
            at = self._form.get(forms, 0)
            while True:
                self._check_cost()
                try:
                    answer = await self._call(request, forms[at], deadline)
                except CallError as error:
                    if error.action == "downgrade" and at + 1 < len(forms):
                        at += 1
                        continue
                    raise
                self._form[forms] = max(at, self._form.get(forms, 0))  # remembered once a simpler form worked
                return answer

    async def _call(self, request: Request, form: str, deadline: Deadline) -> Answer:
        if not self.endpoint.in_process and (delay := self._pacer.delay(time.monotonic())):
            await asyncio.sleep(delay)
        left = deadline.left()
        if left <= 0:
            raise CallError("deadline", "give_up", f"{self._options.deadline:g} s for one mention are over")
        self.stats.attempts += 1
        timeout = min(self._options.timeout, left)
        try:
            async with asyncio.timeout(timeout + 1):  # where a client does not keep to its time limit
                begun = time.monotonic()
                answer = await self.endpoint.ask(request, form, timeout)
                self._pacer.observe(time.monotonic() - begun)
        except TimeoutError:
            self.stats.failures["timeout"] += 1
            raise CallError("timeout", "retry") from None
        except CallError as error:
            self.stats.failures[error.kind] += 1
            raise
        self.stats.add(answer)
        return answer

    def _wait(self, state: RetryCallState) -> float:
        """Seconds to the next attempt: exponential with jitter, and no less than the endpoint asks for."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, CallError) else None
        return max(self._backoff(state), asked or 0.0)

    def _check_cost(self) -> None:
        limit = self._options.max_cost
        if limit is None:
            return
        if self.stats.unpriced:
            raise BenchError(
                f"max_cost is set, but no price is known for {self.endpoint.model}",
                where="-K max_cost",
                hint="give -K price=PROMPT/ANSWER (US dollars per million tokens)",
            )
        if self.stats.paid_usd >= limit:
            raise BenchError(
                f"stopped: {self.stats.paid_usd:.4f} US dollars are spent, the limit is {limit:g}",
                where="-K max_cost",
                hint=f"raise max_cost; {CONTINUE}",
            )

    def _no_server(self, error: CallError) -> MissingError:
        """The error that ends a run when nothing was there from the start; a server that goes away is waited for."""
        endpoint = self.endpoint
        return MissingError(
            f"no server answers for {endpoint.model}",
            where=endpoint.base or endpoint.model,
            why=error.detail,
            hint=f"{how_to_start(endpoint.model, endpoint.base, error.kind)}; {CONTINUE}",
        )

    def _stopped(self, error: CallError) -> BenchError:
        """The error that ends a run because no call can succeed."""
        where = self.endpoint.base or self.endpoint.model
        if error.kind in {"unauthorised", "forbidden", "unpaid"}:
            return MissingError(
                f"{self.endpoint.model} refuses the call: {error.kind}",
                where=where,
                why=error.detail,
                hint="set the provider's key in its environment variable, or name another variable with "
                f"-K api_key_env=NAME; {CONTINUE}",
            )
        if error.kind == "redirected":
            return BenchError(
                f"{self.endpoint.model} was not asked: {error.detail}",
                where=where,
                why="a prompt goes to the address that was named, and to no other",
                hint="if that is the right place, name it with -K api_base=...",
            )
        return MissingError(
            f"{self.endpoint.model} is not there",
            where=where,
            why=error.detail,
            hint=f"check the model's name and api_base; bioelx-bench doctor --ranker NAME; {CONTINUE}",
        )
