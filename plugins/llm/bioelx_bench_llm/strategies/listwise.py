"""Listwise: all candidates in one question, answered with a permutation of their numbers."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.orders import parse_order
from bioelx_bench_llm.reading import final_text
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Strategy, Verdict, ask, log_odds


async def listwise(question: Question) -> Verdict:
    """Ask for an order, once in the retriever's order or several times shuffled (permutation self-consistency).

    The place p (from 0) of n candidates counts as the log-odds of `1 - (p + 0.5) / n`, from 2.9 to -2.9 with ten: the
    share of candidates that stand behind it. The evidence is its mean over repeats (Tang et al. 2023, arXiv
    2310.07712, merge by central ranking). A candidate that an answer leaves out has no place in it. Fallbacks
    are those of `orders.parse_order`.
    """
    shared, count = question.shared, len(question.candidates)
    verdict = Verdict([None] * count)
    orders = presentations(question, count)
    requests = [
        Request(
            messages=shared.prompt.messages(
                {**question.values, "candidates": [question.views[i] for i in order]}
            ),
            max_tokens=shared.options.max_tokens or 32 + 6 * count,
            schema=answer_schema(count, shared.options.nil),
            seed=shared.seed + repeat if shared.options.repeats > 1 else None,
        )
        for repeat, order in enumerate(orders)
    ]
    places: list[list[float]] = [[] for _ in range(count)]
    nils = 0
    for order, answer in zip(orders, await ask(question, requests, verdict), strict=True):
        if answer is None:
            continue
        found = parse_order(answer, count, shared.options.nil)
        verdict.fallbacks.update(found.fallbacks)
        nils += found.nil
        for place, number in enumerate(found.indices):
            places[order[number]].append(log_odds(1 - (place + 0.5) / count))
    verdict.evidence = [sum(values) / len(values) if values else None for values in places]
    verdict.nil = nils * 2 > len(orders)
    return verdict


def presentations(question: Question, count: int) -> list[list[int]]:
    """The orders in which candidates are shown: the retriever's, or shuffled ones where there are repeats.

    The shuffles depend on the seed, the mention and the repeat alone, so that a resumed run asks the same.
    """
    repeats = question.shared.options.repeats
    orders = []
    for repeat in range(repeats):
        order = list(range(count))
        if repeats > 1:
            random.Random(f"{question.shared.seed}|{question.mention.id}|{repeat}").shuffle(order)  # noqa: S311
        orders.append(order)
    return orders


def answer_schema(count: int, nil: bool) -> dict[str, Any]:
    """JSON schema of the answer. Uniqueness cannot be said in the subset that endpoints hold answers to."""
    numbers = {"type": "integer", "enum": list(range(0 if nil else 1, count + 1))}
    return {
        "type": "object",
        "properties": {"ranking": {"type": "array", "items": numbers}},
        "required": ["ranking"],
        "additionalProperties": False,
    }


def final_answer(answer: Answer) -> Answer:
    """The answer without its reasoning and its log-probabilities."""
    return replace(answer, text=final_text(answer.text), positions=None)


LISTWISE = Strategy(
    name="listwise",
    run=listwise,
    calls=lambda _candidates, options: options.repeats,
    compact=final_answer,
)
