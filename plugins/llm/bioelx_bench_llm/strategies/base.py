"""What every strategy is given and gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bioelx_bench.records import Candidate, Mention, Usage
from bioelx_bench_llm.answers import Answer
from bioelx_bench_llm.calls import Caller, Clock
from bioelx_bench_llm.cards import Card, Cards
from bioelx_bench_llm.context import clean, marked_context
from bioelx_bench_llm.failures import Failed
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.prompts import Prompt
from bioelx_bench_llm.requests import Request


@dataclass(frozen=True, slots=True)
class Tools:
    """What strategies share in a run."""

    options: LlmOptions
    prompt: Prompt
    cards: Cards
    caller: Caller
    seed: int


@dataclass(frozen=True)
class Question:
    """A mention, its candidates and what is common to all prompts about them."""

    mention: Mention
    candidates: Sequence[Candidate]
    tools: Tools
    clock: Clock

    @cached_property
    def values(self) -> dict[str, Any]:
        """Template values that do not depend on the candidates."""
        options = self.tools.options
        return {
            "mention": clean(self.mention.text).strip(),
            "context": marked_context(self.mention, options.context_tokens),
            "language": self.mention.language,
            "nil": options.nil,
        }

    def card(self, index: int) -> Card:
        """What the prompt shows of a candidate."""
        return self.tools.cards.card(self.candidates[index], self.mention.language)


@dataclass(slots=True)
class Verdict:
    """What a strategy found.

    Attributes:
        evidence: For each candidate in the order it came a value in [0, 1], or None where the model said
            nothing of it.
        repairs: Count of each kind of repair.
        usage: Sum over the answers that were used, cached or not.
        failures: Questions that were given up.
        nil: Whether the model chose none of the candidates.
    """

    evidence: list[float | None]
    repairs: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    failures: list[Failed] = field(default_factory=list)
    nil: bool = False


Strategy = Callable[[Question], Awaitable[Verdict]]


async def ask(question: Question, requests: Sequence[Request], verdict: Verdict) -> list[Answer | None]:
    """Ask, and account for answers and failures; None stands for a question that was given up."""
    results = await question.tools.caller.ask_all(requests, question.clock)
    answers = [r for r in results if isinstance(r, Answer)]
    failures = [r for r in results if isinstance(r, Failed)]
    verdict.usage = add_usage(verdict.usage, answers)
    verdict.failures += failures
    verdict.repairs.update(failure.kind for failure in failures)
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
