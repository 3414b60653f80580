"""The ranker: any LLM through LiteLLM, one strategy, one cache, one event loop."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from bioelx_bench.base import BaseRanker, Environment, Notes
from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.progress import Task
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench_llm.answer_cache import open_answers
from bioelx_bench_llm.request_runner import CONTINUE, RequestRunner, Deadline
from bioelx_bench_llm.candidate_views import CandidateViews
from bioelx_bench_llm.endpoint import Endpoint
from bioelx_bench_llm.ranking import assemble
from bioelx_bench_llm.loop import Loop
from bioelx_bench_llm.names import Strategy, default_prompt, default_strategy
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.prompts import Prompt, load_prompt
from bioelx_bench_llm.providers import LocalProvider
from bioelx_bench_llm.strategies.base import Question, StrategyContext, Verdict
from bioelx_bench_llm.strategies.base import Strategy as StrategyFunction
from bioelx_bench_llm.strategies.listwise import listwise
from bioelx_bench_llm.strategies.pointwise import pointwise
from bioelx_bench_llm.strategies.rerank import rerank
from bioelx_bench_llm.strategies.setwise import setwise

STRATEGIES: Final[Mapping[Strategy, StrategyFunction]] = {
    "pointwise": pointwise,
    "listwise": listwise,
    "setwise": setwise,
    "rerank": rerank,
}
Item = tuple[Mention, Sequence[Candidate]]


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
    def failures(self) -> int:
        """Questions about it that were given up though asking again might help."""
        return sum(f.kind not in {"rejected", "too_long", "refused"} for f in self.verdict.failures)


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

    def __init__(
        self, options: LlmOptions, environment: Environment, provider: LocalProvider | None = None
    ) -> None:
        strategy = default_strategy(options.model) if options.strategy == "auto" else options.strategy
        if provider is not None and options.strategy == "auto":
            strategy = "pointwise"
        check_combination(options, strategy, provider)
        reference = default_prompt(options.model, strategy) if options.prompt == "auto" else options.prompt
        self._options = options
        self._environment = environment
        self._provider = provider
        self._strategy: Strategy = strategy
        self._prompt: Prompt = load_prompt(reference, strategy)
        self._endpoint = Endpoint(options, offline=environment.offline, provider=provider)
        self._answers = open_answers(
            environment.cache.root / "answers", options.cache_file, read_only=options.replay_only
        )
        self._loop = Loop()
        self._tools = StrategyContext(
            options=options,
            prompt=self._prompt,
            views=CandidateViews(environment.kb, options.aliases, options.definition_tokens),
            runner=RequestRunner(self._endpoint, self._answers, options),
            seed=environment.seed,
        )

    @cached_property
    def model_revision(self) -> str | None:
        """The revision the user gave, or the hash of a local model's files."""
        return self._options.revision or (self._provider.revision if self._provider is not None else None)

    def identity(self) -> Mapping[str, Any]:
        """What results depend on beside the options: the strategy in effect and the prompt's hash."""
        return {
            "strategy": self._strategy,
            "prompt_sha256": self._prompt.sha256,
            "parameters": self._endpoint.parameters,
            "endpoint": self._endpoint.base if self._provider is None else None,
        }

    def notes(self) -> Notes:
        """What this process did; nothing that results depend on."""
        stats = self._tools.runner.stats
        counts = {
            "calls": stats.attempts,
            "answered": stats.answered,
            "answers_from_cache": stats.cached,
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.completion_tokens,
            "answers_without_price": stats.unpriced,
        }
        facts = {
            "prompt": self._prompt.name,
            "failed_attempts": dict(sorted(stats.failures.items())),
            "answer_forms": dict(sorted(stats.forms.items())),
            "paid_usd": stats.paid_usd,
            **(self._provider.notes() if self._provider is not None else {}),
        }
        return Notes(counts=counts, facts=facts)

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """Rank one mention's candidates."""
        return self._loop.submit(self._rank((mention, candidates))).result().ranking

    def rank_many(self, items: Iterable[Item]) -> Iterator[Ranking]:
        """Rank mentions concurrently, yielding each as soon as it is there.

        A mention with a question that failed for good is kept to the end, tried once more, and only then
        yielded as it is, so that a run that stops before then asks it again when it continues.

        Raises:
            BenchError: `max_cost` or `max_errors` is reached or no call can succeed. All that was finished by
                then has been yielded.
        """
        held: list[Item] = []
        limit = self._options.max_errors
        total = len(items) if isinstance(items, Sized) else None
        with self._environment.progress.task(self._title, total=total, unit="mentions") as bar:
            for outcome in self._outcomes(items, bar, lambda: len(held) <= limit):
                if outcome.failures:
                    held.append(outcome.item)
                    last = outcome
                else:
                    yield outcome.ranking
            if len(held) > limit:
                raise too_many_errors(len(held), last)
            yield from (outcome.ranking for outcome in self._outcomes(held, bar, lambda: True))

    @property
    def _title(self) -> str:
        return f"Asking {self._options.model.removeprefix('local:')}"

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
                while stop is None and go_on() and sum(running.values()) < 2 * self._options.concurrency:
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
                if not outcome.failures:
                    bar.advance(1, note=self._note(time.monotonic() - started))
                yield outcome
        finally:
            for future in running:
                future.cancel()
        if stop is not None:
            raise stop

    async def _rank(self, item: Item) -> Outcome:
        mention, candidates = item
        if not candidates:
            return Outcome(item, Ranking(mention.id, ()), Verdict([]))
        question = Question(mention, candidates, self._tools, Deadline(self._options.deadline))
        verdict = await STRATEGIES[self._strategy](question)
        return Outcome(item, assemble(mention, candidates, verdict, self._options.fusion), verdict)

    def _questions(self, candidates: int) -> int:
        """About how many calls a mention asks for at once."""
        if self._strategy == "pointwise":
            return max(candidates, 1)
        if self._strategy == "setwise":
            return max(math.ceil(candidates / self._options.set_size), 1)
        return self._options.repeats if self._strategy == "listwise" else 1

    def _note(self, seconds: float) -> str:
        """The end of the progress line: calls a second, tokens and, where something was paid, money."""
        stats = self._tools.runner.stats
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
    if strategy == "rerank" and provider is not None:
        raise UsageError(
            "a model in this process has no rerank endpoint",
            where="-K strategy=rerank",
            hint="use pointwise, setwise or listwise",
        )
    if options.repeats > 1 and strategy != "listwise":
        raise UsageError(
            f"repeats has no effect with the strategy {strategy}",
            where=f"-K repeats={options.repeats}",
            hint="add -K strategy=listwise, or leave repeats out",
        )


def too_many_errors(count: int, last: Outcome) -> BenchError:
    """The error that ends a run with too many failed mentions."""
    failure = last.verdict.failures[-1]
    return BenchError(
        f"stopped: {count} mentions failed after every retry, the last one by {failure.kind}",
        where=last.item[0].id,
        why=failure.detail or None,
        hint=f"check the endpoint (bioelx-bench doctor --ranker NAME), or raise -K max_errors; {CONTINUE}",
    )
