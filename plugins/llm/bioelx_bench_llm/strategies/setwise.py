"""Setwise: which of a few candidates is best, by the likelihood of its letter; a tournament over the list."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import replace

from bioelx_bench_llm.answers import Answer
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Verdict, ask


async def setwise(question: Question) -> Verdict:
    """Let sets of `set_size` candidates compete; winners meet again until one is left.

    After Zhuang et al. 2024 (arXiv 2310.09497), with the letters' likelihoods kept: a candidate that lost in
    a later round stands above one that lost earlier, and within a round the likelier letter stands higher. The
    evidence is (rounds won + probability of the letter in the last round) / rounds. Repairs counted:
    `logprobs_missing` (the letter in the text was taken), `undecided` (no letter: the retriever's best of
    the set goes on).
    """
    count = len(question.candidates)
    verdict = Verdict([None] * count)
    standing: list[tuple[int, float]] = [(0, 0.0)] * count
    alive, rounds, heard = list(range(count)), 0, False
    while len(alive) > 1:
        sets = deal(alive, question.tools.options.set_size)
        answers = await ask(question, [set_request(question, s) for s in sets if len(s) > 1], verdict)
        waiting = iter(answers)
        winners = []
        for members in sets:
            answer = next(waiting) if len(members) > 1 else None
            shares = None if answer is None else letter_shares(answer, members, verdict, question)
            if shares is not None and len(sets) == 1 and question.tools.options.nil:
                verdict.nil = shares.pop() > max(shares)
            heard = heard or shares is not None
            for place, member in enumerate(members):
                standing[member] = (rounds, 0.0 if shares is None else shares[place])
            best = max(range(len(members)), key=lambda i: (0.0 if shares is None else shares[i], -i))
            winners.append(members[best])
        alive, rounds = sorted(winners), rounds + 1
    if heard:
        verdict.evidence = [(won + share) / rounds for won, share in standing]
    return verdict


def deal(alive: Sequence[int], size: int) -> list[list[int]]:
    """Deal candidates out like cards, so that the retriever's best do not meet in the first round."""
    sets = math.ceil(len(alive) / size)
    return [list(alive[start::sets]) for start in range(sets)]


def set_request(question: Question, members: Sequence[int]) -> Request:
    """The question about one set."""
    tools, letters = question.tools, string.ascii_uppercase
    cards = [replace(question.card(m), label=letters[place]) for place, m in enumerate(members)]
    values = {**question.values, "candidates": cards, "nil_label": letters[len(members)]}
    return Request(
        messages=tools.prompt.messages(values),
        max_tokens=tools.options.max_tokens or 1,
        top_logprobs=tools.options.top_logprobs,
    )


def letter_shares(
    answer: Answer, members: Sequence[int], verdict: Verdict, question: Question
) -> list[float] | None:
    """The probability of each member's letter (and, with nil, last that of "none"), or None without any.

    They are shares of what the letters got together.
    """
    letters = string.ascii_uppercase[: len(members) + question.tools.options.nil]
    if answer.alternatives is not None:
        weights = [
            sum(
                math.exp(v)
                for token, v in answer.alternatives
                if token.strip().strip(".:()").upper() == letter
            )
            for letter in letters
        ]
    else:
        said = answer.text.strip().lstrip("(").upper()[:1]
        weights = [float(letter == said) for letter in letters]
        verdict.repairs["logprobs_missing"] += 1
    total = sum(weights)
    if total <= 0:
        verdict.repairs["undecided"] += 1
        return None
    return [weight / total for weight in weights]
