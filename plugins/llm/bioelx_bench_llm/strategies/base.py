"""What a strategy is, what it is given and what it gives back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bioelx_bench.records import Candidate, Mention, Usage
from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.candidate_views import CandidateView, CandidateViews
from bioelx_bench_llm.context import clean, marked_context
from bioelx_bench_llm.failures import Failed
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.prompts import Prompt
from bioelx_bench_llm.request_runner import Deadline, RequestRunner
from bioelx_bench_llm.requests import Request


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """What the questions of a run share."""

    options: LlmOptions
    prompt: Prompt
    views: CandidateViews
    runner: RequestRunner
    seed: int


@dataclass(frozen=True)
class Question:
    """A mention, its candidates and what is common to all prompts about them."""

    mention: Mention
    candidates: Sequence[Candidate]
    shared: StrategyContext
    deadline: Deadline

    @cached_property
    def values(self) -> dict[str, Any]:
        """Template values that do not depend on the candidates."""
        options = self.shared.options
        return {
            "mention": clean(self.mention.text).strip(),
            "context": marked_context(self.mention, options.context_tokens),
            "language": self.mention.language,
            "nil": options.nil,
        }

    @cached_property
    def views(self) -> list[CandidateView]:
        """What prompts show of each candidate, told apart where they look alike."""
        return self.shared.views.views(self.candidates, self.mention.language)


@dataclass(slots=True)
class Verdict:
    """What a strategy found.

    Attributes:
        evidence: For each candidate in the order it came a value on a scale that is the same for the whole run and
            on which differences are like log-odds, or None where the model said nothing of it.
        fallbacks: Count of each kind of repair.
        usage: Sum over the answers that were used, cached or not.
        failures: Questions that were given up.
        nil: Whether the model chose none of the candidates.
    """

    evidence: list[float | None]
    fallbacks: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    failures: list[Failed] = field(default_factory=list)
    nil: bool = False


def unchanged(answer: Answer) -> Answer:
    """Keep all of an answer."""
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A way to put candidates to a model. A package of yours offers one as `-K strategy=package.module:NAME`.

    Attributes:
        name: What `-K strategy=` calls it, and where it is built in the name of its template.
        run: Asks about one mention (with `ask`) and reads the answers.
        blocks: Blocks that its template must have.
        template: The template's file; by default the built-in one of its name.
        calls: About how many calls it makes at once for a number of candidates.
        needs_logprobs: Whether it lives on log-probabilities of tokens.
        endpoint: What it asks: `chat`, or the endpoint's `rerank` API.
        compact: Reduces an answer to what `run` reads of it, for recorded answers.
    """

    name: str
    run: Callable[[Question], Awaitable[Verdict]]
    blocks: tuple[str, ...] = ("system", "user")
    template: str = ""
    calls: Callable[[int, LlmOptions], int] = lambda _candidates, _options: 1
    needs_logprobs: bool = False
    endpoint: str = "chat"
    compact: Callable[[Answer], Answer] = unchanged


async def ask(question: Question, requests: Sequence[Request], verdict: Verdict) -> list[Answer | None]:
    """Ask, and account for answers and failures; None stands for a question that was given up."""
    results = await question.shared.runner.ask_all(requests, question.deadline)
    answers = [r for r in results if isinstance(r, Answer)]
    failures = [r for r in results if isinstance(r, Failed)]
    verdict.usage = add_usage(verdict.usage, answers)
    verdict.failures += failures
    verdict.fallbacks.update(failure.kind for failure in failures)
    return [r if isinstance(r, Answer) else None for r in results]


def add_usage(usage: Usage, answers: Iterable[Answer]) -> Usage:
    """`usage` with these answers added."""
    found = list(answers)
    return Usage(
        calls=usage.calls + len(found),
        prompt_tokens=usage.prompt_tokens + sum(a.prompt_tokens for a in found),
        completion_tokens=usage.completion_tokens + sum(a.completion_tokens for a in found),
        cost_usd=usage.cost_usd + sum(a.cost_usd or 0.0 for a in found),
    )


def log_odds(probability: float) -> float:
    """Logarithm of the odds of a probability; 0 and 1 are taken for what 64 bits can tell from them."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside) - math.log1p(-inside)
