"""Listwise: all candidates in one question, answered with a permutation of their numbers."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bioelx_bench_llm.answers import Answer
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Verdict, ask

LONGEST: Final = 20_000
"""Characters of an answer that are read; a model that rambles on is cut off."""


@dataclass(slots=True)
class Order:
    """A parsed answer.

    Attributes:
        indices: Candidates (from 0) in the order the model gave, each once.
        repairs: What was wrong with the answer, by kind.
        nil: Whether the model put "no candidate fits" first.
    """

    indices: list[int]
    repairs: Counter[str] = field(default_factory=Counter)
    nil: bool = False


async def listwise(question: Question) -> Verdict:
    """Ask for an order, once in the retriever's order or several times shuffled (permutation self-consistency).

    A candidate's evidence falls linearly with its place, from 1 to 1/n, and is the mean over repeats (Tang et
    al. 2023, arXiv 2310.07712, merge by central ranking; the mean place is Borda's). Repairs counted:
    `unparsed`, `empty`, `refused`, `truncated` (no order could be read), `duplicated`, `invented`, `missing`.
    """
    tools, count = question.tools, len(question.candidates)
    verdict = Verdict([None] * count)
    cards = [question.card(i) for i in range(count)]
    orders = presentations(question, count)
    requests = [
        Request(
            messages=tools.prompt.messages({**question.values, "candidates": [cards[i] for i in order]}),
            max_tokens=tools.options.max_tokens or 32 + 6 * count,
            schema=answer_schema(count, tools.options.nil),
            seed=tools.seed + repeat if tools.options.repeats > 1 else None,
        )
        for repeat, order in enumerate(orders)
    ]
    sums, votes, nils = [0.0] * count, [0] * count, 0
    parsed = 0
    for order, answer in zip(orders, await ask(question, requests, verdict), strict=True):
        if answer is None:
            continue
        found = parse_order(answer, count, tools.options.nil)
        verdict.repairs.update(found.repairs)
        nils += found.nil
        parsed += bool(found.indices)
        for place, shown in enumerate(found.indices):
            sums[order[shown]] += (count - place) / count
            votes[order[shown]] += 1
    if parsed:
        verdict.evidence = [s / parsed if v else None for s, v in zip(sums, votes, strict=True)]
    verdict.nil = nils * 2 > len(orders)
    return verdict


def presentations(question: Question, count: int) -> list[list[int]]:
    """The orders in which candidates are shown: the retriever's, or shuffled ones where there are repeats.

    The shuffles depend on the seed, the mention and the repeat alone, so that a resumed run asks the same.
    """
    repeats = question.tools.options.repeats
    orders = []
    for repeat in range(repeats):
        order = list(range(count))
        if repeats > 1:
            random.Random(f"{question.tools.seed}|{question.mention.id}|{repeat}").shuffle(order)  # noqa: S311
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


def parse_order(answer: Answer, count: int, nil: bool) -> Order:
    """Read an order out of whatever a model wrote.

    First a JSON object's list, then a bare JSON list, then numbers as in `[2] > [1]` or `2, 1, 3`. Numbers in
    running prose are not taken for an order: at least half of the text's words must be numbers.
    """
    text = answer.text[:LONGEST]
    numbers = numbers_in_json(text)
    if numbers is None:
        numbers = numbers_in_list(text)
    if not numbers:
        return Order([], Counter([why_unparsed(answer)]))
    order = Order([])
    order.nil = nil and numbers[0] == 0
    seen: set[int] = set()
    for number in numbers:
        if number == 0 and nil:
            continue
        if not 1 <= number <= count:
            order.repairs["invented"] += 1
        elif number in seen:
            order.repairs["duplicated"] += 1
        else:
            seen.add(number)
            order.indices.append(number - 1)
    left_out = count - len(order.indices)
    if left_out and not order.nil:
        order.repairs["missing"] += left_out
    return order


def numbers_in_json(text: str) -> list[int] | None:
    """The list of numbers in the first JSON object or list in the text, or None."""
    decoder = json.JSONDecoder()
    for match in list(re.finditer(r"[\[{]", text))[:20]:
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            value = next((v for v in value.values() if isinstance(v, list)), None)
        if isinstance(value, list) and len(value) > 1 and (numbers := as_numbers(value)):
            return numbers
    return None


def as_numbers(values: Sequence[Any]) -> list[int]:
    """The whole numbers of a list; digits in strings count, anything else gives an invented number."""
    numbers = []
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            numbers.append(value)
        elif isinstance(value, str) and re.fullmatch(r"\s*\[?\d{1,4}\]?[.)]?\s*", value, re.ASCII):
            numbers.append(int(re.sub(r"\D", "", value)))
        else:
            numbers.append(-1)
    return numbers if any(n >= 0 for n in numbers) else []


def numbers_in_list(text: str) -> list[int]:
    """The numbers of a text that is a list of them, else none."""
    words = re.findall(r"\w+", text)
    numbers = [int(word) for word in words if re.fullmatch(r"\d{1,4}", word, re.ASCII)]
    return numbers if numbers and len(numbers) * 2 >= len(words) else []


def why_unparsed(answer: Answer) -> str:
    """The kind under which an answer without an order is counted."""
    if not answer.text.strip():
        return "refused" if answer.finish_reason == "content_filter" else "empty"
    if answer.finish_reason == "length":
        return "truncated"
    if re.match(
        r"\W*(i'?m sorry|i am sorry|sorry|i can(no|')t|i am unable|i'm unable|as an ai)", answer.text, re.I
    ):
        return "refused"
    return "unparsed"
