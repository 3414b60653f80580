"""Pointwise: one candidate a question; its evidence is the log-odds of "yes" against "no" where the answer begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bioelx_bench_llm.answer_cache import Answer, Position
from bioelx_bench_llm.reading import MAX_LOG_ODDS, read_words
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Strategy, Verdict, ask

WORDS: Final = ("yes", "no")


async def pointwise(question: Question) -> Verdict:
    """Ask about each candidate by itself, so that there is no bias by position.

    Fallbacks are those of `reading.read_words`.
    """
    verdict = Verdict([])
    for answer in await ask(question, pointwise_requests(question), verdict):
        value, fallback = (None, "") if answer is None else log_odds_of_yes(answer)
        verdict.evidence.append(value)
        if fallback:
            verdict.fallbacks[fallback] += 1
    said = [e for e in verdict.evidence if e is not None]
    verdict.nil = question.shared.options.nil and bool(said) and max(said) < 0
    return verdict


def pointwise_requests(question: Question) -> list[Request]:
    """One request for each candidate, in their order."""
    shared, values = question.shared, question.values
    system = shared.prompt.system(values)
    return [
        Request(
            messages=shared.prompt.messages_after(system, {**values, "candidate": view}),
            max_tokens=shared.options.max_tokens or 1,
            top_logprobs=shared.options.top_logprobs,
        )
        for view in question.views
    ]


def log_odds_of_yes(answer: Answer) -> tuple[float | None, str]:
    """Log-odds of "yes" against "no", and the fallback that was needed or an empty string."""
    reading = read_words(answer, WORDS)
    if reading.log_masses is None:
        return None, reading.fallback
    yes, no = reading.log_masses
    return min(max(yes - no, -MAX_LOG_ODDS), MAX_LOG_ODDS), reading.fallback


def compact(answer: Answer) -> Answer:
    """The answer as one token that is read to the same log-odds."""
    reading = read_words(answer, WORDS)
    if reading.log_masses is None or answer.positions is None:
        return replace(answer, text=answer.text[:40])
    yes, no = reading.log_masses
    first = Position("yes" if yes >= no else "no", max(yes, no), (("yes", yes), ("no", no)))
    return replace(answer, text="", positions=(first,))


POINTWISE = Strategy(
    name="pointwise",
    run=pointwise,
    calls=lambda candidates, _options: candidates,
    needs_logprobs=True,
    compact=compact,
)
