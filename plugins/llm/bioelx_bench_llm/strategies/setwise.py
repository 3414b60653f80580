"""Setwise: which of a few candidates is best, by the likelihood of its letter; a tournament over the list."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import replace

from bioelx_bench_llm.answer_cache import Answer, Position
from bioelx_bench_llm.reading import read_words
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Strategy, Verdict, ask


async def setwise(question: Question) -> Verdict:
    """Let sets of `set_size` candidates compete; winners meet again until one is left.

    After Zhuang et al. 2024 (arXiv 2310.09497), with the letters' likelihoods kept. Within a set the likelihoods
    differ by log-odds, and a set's winner has a likelihood in the next round too; so all candidates can be put on one
    scale by shifting each set to where its winner stands. The evidence is the logarithm of each candidate's share on
    it. Fallbacks are those of `reading.read_words` (`undecided`: the retriever's best of the set goes on, and its
    members stand equal).
    """
    count = len(question.candidates)
    verdict = Verdict([None] * count)
    behind: list[dict[int, float]] = [
        {} for _ in range(count)
    ]  # for a set's winner: how far each other lies behind
    alive, heard = list(range(count)), count == 1
    while len(alive) > 1:
        sets = deal(alive, question.shared.options.set_size)
        asked = [members for members in sets if len(members) > 1]
        answers = await ask(question, [set_request(question, members) for members in asked], verdict)
        winners = [members[0] for members in sets if len(members) == 1]
        for members, answer in zip(asked, answers, strict=True):
            masses = None if answer is None else letter_masses(answer, members, verdict, question)
            if masses is not None and len(sets) == 1 and question.shared.options.nil:
                verdict.nil = masses.pop() > max(masses)
            heard = heard or masses is not None
            values = masses or [0.0] * len(members)
            best = max(range(len(members)), key=lambda i: (values[i], -i))
            winners.append(members[best])
            others = zip(members, values, strict=True)
            behind[members[best]] |= {m: values[best] - v for m, v in others if m != members[best]}
        alive = sorted(winners)
    if heard and count > 1:
        verdict.evidence = list(shares(alive[0], behind))
    return verdict


def shares(winner: int, behind: Sequence[dict[int, float]]) -> list[float]:
    """Logarithm of each candidate's share, from how far it lies behind the winner of its last set."""
    found = {winner: 0.0}
    waiting = [winner]
    while waiting:
        ahead = waiting.pop()
        for member, distance in behind[ahead].items():
            found[member] = found[ahead] - distance
            waiting.append(member)
    total = math.log(math.fsum(math.exp(value) for value in found.values()))
    return [found[place] - total for place in range(len(behind))]


def deal(alive: Sequence[int], size: int) -> list[list[int]]:
    """Deal candidates out as cards are, so that the retriever's best do not meet in the first round."""
    sets = math.ceil(len(alive) / size)
    return [list(alive[start::sets]) for start in range(sets)]


def set_request(question: Question, members: Sequence[int]) -> Request:
    """The question about one set."""
    shared, letters = question.shared, string.ascii_uppercase
    views = [replace(question.views[m], label=letters[place]) for place, m in enumerate(members)]
    values = {**question.values, "candidates": views, "nil_label": letters[len(members)]}
    return Request(
        messages=shared.prompt.messages(values),
        max_tokens=shared.options.max_tokens or 1,
        top_logprobs=shared.options.top_logprobs,
    )


def letter_masses(
    answer: Answer, members: Sequence[int], verdict: Verdict, question: Question
) -> list[float] | None:
    """Log-probability of each member's letter (and, with nil, last that of "none"), or None without any."""
    letters = string.ascii_lowercase[: len(members) + question.shared.options.nil]
    reading = read_words(answer, letters)
    if reading.fallback:
        verdict.fallbacks[reading.fallback] += 1
    return None if reading.log_masses is None else list(reading.log_masses)


def compact(answer: Answer) -> Answer:
    """The answer's first tokens with the alternatives that are letters, the least likely one, and what is left."""
    if answer.positions is None:
        return replace(answer, text=answer.text[:40])
    kept = []
    for position in answer.positions[:4]:
        letters = [(t, v) for t, v in position.alternatives if len(t.strip()) <= 2]
        others = sorted(
            (pair for pair in position.alternatives if pair not in letters), key=lambda pair: pair[1]
        )
        rest = math.fsum(math.exp(value) for _, value in others[1:])
        bound = others[:1] + ([("...", math.log(rest))] if rest > 0 else [])
        kept.append(Position(position.token, position.logprob, tuple(letters + bound)))
    return replace(answer, text=answer.text[:40], positions=tuple(kept))


SETWISE = Strategy(
    name="setwise",
    run=setwise,
    calls=lambda candidates, options: max(math.ceil(candidates / options.set_size), 1),
    needs_logprobs=True,
    compact=compact,
)
