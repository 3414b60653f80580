"""The ranker: any LLM through LiteLLM, one strategy, one cache, one event loop."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import BaseRanker, Environment, Notes
from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.progress import Task
from bioelx_bench.records import Candidate, Interpolation, Mention, Ranking
from bioelx_bench_llm.answer_cache import Answer, shared_answers
from bioelx_bench_llm.candidate_views import CandidateViews
from bioelx_bench_llm.endpoint import Endpoint
from bioelx_bench_llm.loop import Loop
from bioelx_bench_llm.names import default_prompt, default_strategy
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.prompts import Prompt, load_prompt
from bioelx_bench_llm.providers import LocalProvider
from bioelx_bench_llm.ranking import assemble
from bioelx_bench_llm.recorded_answers import RecordedAnswers, write_recorded
from bioelx_bench_llm.recorded_options import recorded_facts, recorded_options
from bioelx_bench_llm.request_runner import CONTINUE, Deadline, RequestRunner
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Strategy, StrategyContext, Verdict
from bioelx_bench_llm.strategies.registry import find_strategy, foreign_code

Item = tuple[Mention, Sequence[Candidate]]
MIN_FAILED: Final = 10
"""Failed mentions before a share of all can stop a run, since a server may stumble once."""


def make_ranker(options: LlmOptions, environment: Environment) -> LlmRanker:
    """The factory of the declarations."""
    return LlmRanker(options, environment)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mention."""

    item: Item
    ranking: Ranking
    verdict: Verdict

    @property
    def lasting(self) -> bool:
        """Whether it failed in a way that asking again would not change."""
        return all(failure.lasting for failure in self.verdict.failures)


class LlmRanker(BaseRanker):
    """Ranks candidates with an LLM; see `bioelx_bench.base.BaseRanker`.

    Args:
        options: What to ask, and how.
        environment: Cache, knowledge base, seed and the offline switch.
        provider: A model in this process, or None for LiteLLM's own providers.

    Raises:
        UsageError: Options that do not go together, or an address beyond this machine while offline.
        MissingError: A prompt, a key or a file of recorded answers is not there.
    """

    options: LlmOptions

    def __init__(
        self, options: LlmOptions, environment: Environment, provider: LocalProvider | None = None
    ) -> None:
        recorded = RecordedAnswers(options.replay.expanduser()) if options.replay is not None else None
        if recorded is not None:
            options = recorded_options(options, recorded)
        name = default_strategy(options.model) if options.strategy == "auto" else options.strategy
        strategy = find_strategy(name)
        check_combination(options, strategy, provider)
        template = strategy.template or strategy.name
        if options.prompt != "auto":
            template = options.prompt
        elif own := default_prompt(options.model, name):
            template = own
        self.options = options
        self.interpolation = Interpolation(options.mix, options.evidence_temperature)
        self.max_errors = options.max_errors
        self.model_revision = None if provider is None else provider.revision
        if recorded is not None:
            self.model_revision = recorded.revision
        self._environment = environment
        self._provider = provider
        self._recorded = recorded
        self._strategy = strategy
        self._strategy_name = name
        self._prompt: Prompt = load_prompt(template, strategy.blocks)
        self._endpoint = Endpoint(options, offline=environment.offline, provider=provider)
        self._answers = recorded or shared_answers(environment.cache.root / "answers")
        self._loop = Loop()
        self._context = self._make_context(may_ask=recorded is None)

    def _make_context(
        self, *, may_ask: bool, on_answer: Callable[[Request, Answer], None] | None = None
    ) -> StrategyContext:
        return StrategyContext(
            options=self.options,
            prompt=self._prompt,
            views=CandidateViews(self._environment.kb),
            runner=RequestRunner(
                self._endpoint, self._answers, self.options, may_ask=may_ask, on_answer=on_answer
            ),
            seed=self._environment.seed,
        )

    def identity(self) -> Mapping[str, Any]:
        """What results depend on beside the options: the strategy in effect, the prompt's hash, the place asked."""
        foreign = foreign_code(self._strategy_name)
        return {
            "strategy": self._strategy_name,
            "prompt_sha256": self._prompt.sha256,
            "parameters": self._endpoint.parameters,
            "endpoint": None
            if self._provider is not None or self._recorded is not None
            else self._endpoint.base,
            **({"strategy_sha256": foreign} if foreign else {}),
            **({"replayed": True} if self._recorded is not None else {}),
        }

    def notes(self) -> Notes:
        """What this process did; nothing that results depend on."""
        stats = self._context.runner.stats
        counts = {
            "calls": stats.attempts,
            "answered": stats.answered,
            "answers_from_cache": stats.cached,
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.completion_tokens,
            "answers_without_price": stats.unpriced,
        }
        own = {} if self._provider is None else self._provider.notes()
        counts |= {key: value for key, value in own.items() if isinstance(value, int)}
        facts = {
            "prompt": self._prompt.name,
            "failed_attempts": dict(sorted(stats.failures.items())),
            "answer_forms": dict(sorted(stats.forms.items())),
            "paid_usd": stats.paid_usd,
            **{key: value for key, value in own.items() if not isinstance(value, int)},
        }
        return Notes(counts=counts, facts=facts)

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """Rank one mention's candidates."""
        return self._loop.submit(self._rank((mention, candidates))).result().ranking

    def rank_many(self, items: Iterable[Item]) -> Iterator[Ranking]:
        """Rank mentions concurrently, yielding each as soon as it is there.

        A mention with a question that failed for good is kept to the end, tried once more if that may help, and
        only then yielded as it is, so that a run that stops before then asks it again when it continues.

        Raises:
            BenchError: `max_cost` or `max_errors` is reached or no call can succeed. All that was finished by
                then has been yielded.
        """
        total = len(items) if isinstance(items, Sized) else None
        held: list[Outcome] = []
        seen = 0
        with self._environment.progress.task(self._title, total=total, unit="mentions") as bar:
            for outcome in self._outcomes(items, bar, lambda: not self._too_many(len(held), total)):
                seen += 1
                if outcome.verdict.failures:
                    held.append(outcome)
                else:
                    yield outcome.ranking
            if self._too_many(len(held), total):
                raise too_many_errors(len(held), held[-1])
            again = [outcome.item for outcome in held if not outcome.lasting]
            failed = [outcome for outcome in held if outcome.lasting]
            for outcome in self._outcomes(again, bar, lambda: True):
                if outcome.verdict.failures:
                    failed.append(outcome)
                else:
                    yield outcome.ranking
            limit = self.max_errors if self.max_errors >= 1 else self.max_errors * seen
            if failed and len(failed) > limit:
                raise too_many_errors(len(failed), failed[-1])
            yield from (outcome.ranking for outcome in failed)

    def _too_many(self, failed: int, total: int | None) -> bool:
        """Whether so many mentions failed that the run stops before all were tried."""
        limit = self.max_errors
        if 0 < limit < 1:
            limit = max(limit * (total or 0), MIN_FAILED)
        return failed > limit

    @property
    def _title(self) -> str:
        return f"Asking {self.options.model.removeprefix('local:')}"

    def _outcomes(self, items: Iterable[Item], bar: Task, go_on: Callable[[], bool]) -> Iterator[Outcome]:
        """Keep enough mentions under way to fill every slot, and yield what becomes of each.

        After an error that ends the run, or once `go_on` says no, what is under way is finished and yielded.
        """
        done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        running: dict[Future[Outcome], int] = {}
        waiting = iter(items)
        stop: BenchError | None = None
        started = time.monotonic()
        try:
            while True:
                while stop is None and go_on() and sum(running.values()) < 2 * self.options.concurrency:
                    item = next(waiting, None)
                    if item is None:
                        break
                    future = self._loop.submit(self._rank(item))
                    running[future] = self._questions(len(item[1]))
                    future.add_done_callback(done.put)
                if not running:
                    break
                future = done.get()
                del running[future]
                error = future.exception()
                if isinstance(error, BenchError):
                    stop = stop or error
                    continue
                outcome = future.result()
                if not outcome.verdict.failures:
                    bar.advance(1, note=self._note(time.monotonic() - started))
                yield outcome
        finally:
            for future in running:
                future.cancel()
        if stop is not None:
            raise stop

    async def _rank(self, item: Item, context: StrategyContext | None = None) -> Outcome:
        mention, candidates = item
        if not candidates:
            return Outcome(item, Ranking(mention.id, ()), Verdict([]))
        question = Question(mention, candidates, context or self._context, Deadline(self.options.deadline))
        verdict = await self._strategy.run(question)
        return Outcome(item, assemble(mention, candidates, verdict), verdict)

    def _questions(self, candidates: int) -> int:
        """About how many calls a mention asks for at once."""
        return max(self._strategy.calls(candidates, self.options), 1)

    def export(self, items: Iterable[Item], path: Path) -> tuple[int, int]:
        """Write the answers to all questions about `items` that are in the cache into a file for replay.

        Returns:
            How many answers were written, and how many mentions lack one.
        """
        answers: dict[str, Answer] = {}

        def keep(request: Request, answer: Answer) -> None:
            answers[request.question_hash] = answer

        context = self._make_context(may_ask=False, on_answer=keep)
        lacking = 0
        for item in items:
            outcome = self._loop.submit(self._rank(item, context)).result()
            lacking += bool(outcome.verdict.failures)
        facts = recorded_facts(self.options, self._strategy_name, self._prompt, self.model_revision)
        write_recorded(path, answers, self._strategy.compact, facts)
        return len(answers), lacking

    def _note(self, seconds: float) -> str:
        """The end of the progress line: calls a second, tokens and, where something was paid, money."""
        stats = self._context.runner.stats
        tokens = stats.prompt_tokens + stats.completion_tokens
        shown = f"{stats.answered / max(seconds, 1e-9):.1f} calls/s, {tokens / 1000:.1f}k tokens"
        return f"{shown}, ${stats.paid_usd:.4f}" if stats.paid_usd else shown

    def close(self) -> None:
        """Close connections, the model and the cache."""
        self._loop.close(self._endpoint.close)
        self._answers.close()
        if self._provider is not None:
            self._provider.close()


def check_combination(options: LlmOptions, strategy: Strategy, provider: LocalProvider | None) -> None:
    """Refuse options that do not go together, before anything is asked.

    Raises:
        UsageError: See the messages.
    """
    if strategy.endpoint == "rerank" and provider is not None:
        raise UsageError(
            "a model in this process has no rerank endpoint",
            where="-K strategy=rerank",
            hint="use pointwise, setwise or listwise",
        )
    if options.repeats > 1 and strategy.name in {"pointwise", "setwise", "rerank"}:
        raise UsageError(
            f"repeats has no effect with the strategy {strategy.name}",
            where=f"-K repeats={options.repeats}",
            hint="add -K strategy=listwise, or leave repeats out",
        )


def too_many_errors(count: int, last: Outcome) -> BenchError:
    """The error that ends a run with too many failed mentions."""
    failure = last.verdict.failures[-1]
    return BenchError(
        f"stopped: {count} mentions failed, the last one by {failure.kind}",
        where=last.item[0].id,
        why=failure.detail or None,
        hint=f"check the endpoint (bioelx-bench doctor --ranker NAME), or raise -K max_errors; {CONTINUE}"
        if failure.kind != "not_recorded"
        else "use the options of the recorded run, or ask a model; -K max_errors allows for some that are missing",
    )
