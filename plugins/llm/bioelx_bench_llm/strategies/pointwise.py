"""Pointwise: one candidate a question; its evidence is P(yes) against P(no) at the answer's first token."""

from __future__ import annotations

import math

from bioelx_bench_llm.answers import Answer
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Verdict, ask


async def pointwise(question: Question) -> Verdict:
    """Ask about each candidate by itself, so that there is no bias by position.

    Repairs counted: `logprobs_missing` (the answer's word was taken instead), `undecided` (neither word).
    """
    tools = question.tools
    verdict = Verdict([])
    for answer in await ask(question, pointwise_requests(question), verdict):
        value, repair = (None, None) if answer is None else probability_of_yes(answer)
        verdict.evidence.append(value)
        if repair:
            verdict.repairs[repair] += 1
    said = [e for e in verdict.evidence if e is not None]
    verdict.nil = tools.options.nil and bool(said) and max(said) < tools.options.nil_threshold
    return verdict


def pointwise_requests(question: Question) -> list[Request]:
    """One request for each candidate, in their order."""
    tools, values = question.tools, question.values
    system = tools.prompt.system(values)
    return [
        Request(
            messages=tools.prompt.messages_after(system, {**values, "candidate": question.card(i)}),
            max_tokens=tools.options.max_tokens or 1,
            top_logprobs=tools.options.top_logprobs,
        )
        for i in range(len(question.candidates))
    ]


def probability_of_yes(answer: Answer) -> tuple[float | None, str | None]:
    """P(yes) / (P(yes) + P(no)), and the repair that was needed, if any.

    Tokens count whatever their case and the space before them. Where only one of the words is among the
    alternatives, the other can be no likelier than the least likely alternative and is given that value.
    """
    if answer.alternatives is None:
        word = answer.text.strip().lower()
        if word.startswith(("yes", "no")):
            return (1.0 if word.startswith("yes") else 0.0), "logprobs_missing"
        return None, "undecided"
    yes = [value for token, value in answer.alternatives if token.strip().lower() == "yes"]
    no = [value for token, value in answer.alternatives if token.strip().lower() == "no"]
    if not yes and not no:
        return None, "undecided"
    floor = min(value for _, value in answer.alternatives)
    high, low = log_sum(yes or [floor]), log_sum(no or [floor])
    return 1.0 / (1.0 + math.exp(min(low - high, 700.0))), None


def log_sum(values: list[float]) -> float:
    """Logarithm of the sum of exponentials, without overflow."""
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
