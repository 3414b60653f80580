"""Reading an order of candidates out of whatever a model wrote.

An answer is taken from the forms that models were seen to use. What could be read in two ways is not read: a wrong
order that looks right would be worse than none.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bioelx_bench_llm.answer_cache import Answer
from bioelx_bench_llm.reading import final_text

MAX_BRACKETS: Final = 500
"""Opening brackets of an answer that are tried."""
MAX_VALUE_CHARACTERS: Final = 8_000
MAX_DEPTH: Final = 8
ORDER_KEYS: Final = frozenset(
    {
        "ranking",
        "ranked",
        "ranked_candidates",
        "rankings",
        "order",
        "ordering",
        "permutation",
        "answer",
        "result",
    }
)
ID_KEYS: Final = ("id", "index", "number", "candidate", "candidate_id", "idx", "no", "label", "option")
SCORE_KEYS: Final = ("score", "relevance", "relevance_score", "probability", "confidence", "likelihood")
PLACE_KEYS: Final = ("rank", "position", "place")
NUMBER: Final = r"(?:[\[(#]\s*)?(?:(?:candidate|option|number|no\.?|id|#)\s*:?\s*)?[\[(#]?(\d{1,4})[\])]?"
LABEL: Final = re.compile(rf"\W*?(?:\[\s*(\d{{1,4}})\s*\]|{NUMBER}\s*(?:[.):]\s|[.):]?$))", re.I)
OPENING: Final = re.compile(r"[\[{]")
CHAIN: Final = re.compile(r"\[\s*(\d{1,4})\s*\][^\[\]>\n]*(?:>[^\[\]>\n]*\[\s*\d{1,4}\s*\][^\[\]>\n]*)+")
NUMBERS_ONLY: Final = re.compile(
    r"\s*[\[(]?\s*\d{1,4}(?:\s*[\])]?\s*(?:[,;>|\s]|->|then)\s*[\[(]?\s*\d{1,4})+\s*[\])]?\.?\s*"
)
REFUSED: Final = re.compile(
    r"\W*(i'?m sorry|i am sorry|sorry|i can(no|')t|i am unable|i'm unable|as an ai)", re.I
)


@dataclass(slots=True)
class Order:
    """A parsed answer.

    Attributes:
        indices: Candidates (from 0) in the order the model gave, each once.
        fallbacks: What was wrong with the answer, by kind.
        nil: Whether the model put "no candidate fits" first.
    """

    indices: list[int]
    fallbacks: Counter[str] = field(default_factory=Counter)
    nil: bool = False


def parse_order(answer: Answer, count: int, nil: bool) -> Order:
    """Read an order of `count` candidates (numbered from 1; 0 is "none" where `nil`).

    Fallbacks counted: `out_of_range`, `duplicated`, `missing` (by number), `zero_based`, `ambiguous` (several orders
    in one answer, the last was taken), and where nothing could be read `unparsed`, `empty`, `refused`, `truncated`.
    """
    text = final_text(answer.text)
    found: Counter[str] = Counter()
    numbers = numbers_of(text, count, found)
    if not numbers:
        return Order([], Counter([why_unparsed(answer, text)]))
    if not nil and 0 in numbers and sorted(numbers) == list(range(count)):
        numbers = [number + 1 for number in numbers]
        found["zero_based"] += 1
    order = Order([], found, nil=nil and numbers[0] == 0)
    seen: set[int] = set()
    for number in numbers:
        if number == 0 and nil:
            continue
        if not 1 <= number <= count:
            order.fallbacks["out_of_range"] += 1
        elif number in seen:
            order.fallbacks["duplicated"] += 1
        else:
            seen.add(number)
            order.indices.append(number - 1)
    left_out = count - len(order.indices)
    if left_out and not order.nil:
        order.fallbacks["missing"] += left_out
    return order


def numbers_of(text: str, count: int, found: Counter[str]) -> list[int]:
    """The numbers of an answer in the model's order; empty where it has no order that can be read in one way."""
    values, cut = values_in(text)
    named = [n for v in values if isinstance(v, Mapping) and (n := order_of(v, count))]
    if named:
        return settled(named, count, found)
    lists = [n for v in values if isinstance(v, list) and len(v) > 1 and (n := order_of(v, count))]
    if lists:
        return settled(lists, count, found)
    if any(isinstance(v, Mapping) or (isinstance(v, list) and len(v) > 1) for v in values):
        return []
    if cut:
        found["truncated"] += 1
        return cut
    chains = [[int(n) for n in re.findall(r"\[\s*(\d{1,4})\s*\]", m[0])] for m in CHAIN.finditer(text)]
    if chains:
        return settled(chains, count, found)
    return numbers_in_lines(text, count)


def settled(orders: Sequence[list[int]], count: int, found: Counter[str]) -> list[int]:
    """The last complete order of several, else the last one; counted where they differ."""
    complete = [order for order in orders if set(range(1, count + 1)) <= set(order)]
    chosen = (complete or list(orders))[-1]
    if any(order != chosen for order in orders):
        found["ambiguous"] += 1
    return chosen


def values_in(text: str) -> tuple[list[Any], list[int]]:
    """The outermost JSON (or Python) objects and lists in a text, and the numbers of a list that its end cut off."""
    found: list[Any] = []
    at = 0
    for _ in range(MAX_BRACKETS):
        opening = OPENING.search(text, at)
        if opening is None:
            break
        end = closing(text, opening.start())
        if end is None:
            at = opening.start() + 1
            if not re.search(r"[\]}]", text[at:]):
                return found, cut_numbers(text[at:])
            continue
        value = literal(text[opening.start() : end])
        if value is None:
            at = opening.start() + 1
        else:
            found.append(value)
            at = end
    return found, []


def closing(text: str, start: int) -> int | None:
    """The place behind the bracket that closes the one at `start`, or None."""
    stack: list[str] = []
    quote = ""
    at = start
    while at < min(len(text), start + MAX_VALUE_CHARACTERS):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char == '"' or (char == "'" and text[at - 1] in "[{,: \n"):
            quote = char
        elif char in "[{":
            stack.append("]" if char == "[" else "}")
            if len(stack) > 4 * MAX_DEPTH:
                return None
        elif char in "]}":
            if not stack or stack.pop() != char:
                return None
            if not stack:
                return at + 1
        at += 1
    return None


def literal(text: str) -> Any:
    """A JSON or Python literal, with a comma too many allowed; None where it is none."""
    for form in (text, re.sub(r",(\s*[\]}])", r"\1", text)):
        try:
            return json.loads(form)
        except (ValueError, RecursionError):
            continue
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def cut_numbers(text: str) -> list[int]:
    """Numbers of a list without its end; the last one may be the start of a longer one and is left out."""
    inner = re.split(r"\[", text)[-1]
    return [int(n) for n in re.findall(r"(\d{1,4})\s*,", inner)] if re.fullmatch(r"[\d\s,]*", inner) else []


def order_of(value: Any, count: int, depth: int = 0) -> list[int]:
    """The order that a JSON value says, or nothing."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, Mapping):
        return order_of_mapping(value, count, depth)
    if isinstance(value, list | tuple):
        if len(value) == 1 and isinstance(value[0], list | tuple | Mapping):
            return order_of(value[0], count, depth + 1)
        if value and all(isinstance(v, Mapping) for v in value):
            return order_of_records(value)
        numbers = [number_of(v[0] if isinstance(v, list) and len(v) == 1 else v) for v in value]
        return numbers if any(n >= 0 for n in numbers) else []
    if isinstance(value, str):
        return numbers_in_lines(value, count)
    number = number_of(value)
    return [number] if number >= 0 else []


def order_of_mapping(value: Mapping[Any, Any], count: int, depth: int) -> list[int]:
    """The order in an object: under a name that means one, its only list, or scores by candidate number."""
    named = [v for k, v in value.items() if str(k).strip().lower().replace(" ", "_") in ORDER_KEYS]
    if named:
        orders = [order for v in named if (order := order_of(v, count, depth + 1))]
        return orders[0] if orders and all(order == orders[0] for order in orders) else []
    if value and all(number_of(k) >= 0 for k in value):
        return order_by_score([(number_of(k), v) for k, v in value.items()], count)
    inner = [v for v in value.values() if isinstance(v, list | Mapping)]
    return order_of(inner[0], count, depth + 1) if len(inner) == 1 else []


def order_by_score(pairs: Sequence[tuple[int, Any]], count: int) -> list[int]:
    """Candidates by falling score. Whole numbers up to `count` may be places as well as scores and are not read."""
    if not all(isinstance(s, int | float) and not isinstance(s, bool) and s == s for _, s in pairs):
        return []
    if len(pairs) < 2 or all(isinstance(s, int) and 0 <= s <= count for _, s in pairs):
        return []
    return [number for number, _ in sorted(pairs, key=lambda pair: -pair[1])]


def order_of_records(records: Sequence[Mapping[Any, Any]]) -> list[int]:
    """Objects with an id each: by their places or scores where they have them, else as they stand."""
    lowered = [{str(k).lower(): v for k, v in record.items()} for record in records]
    numbers = [next((number_of(r[k]) for k in ID_KEYS if k in r), -1) for r in lowered]
    if all(n < 0 for n in numbers):
        return []
    for keys, sign in ((PLACE_KEYS, 1), (SCORE_KEYS, -1)):
        key = next((k for k in keys if all(isinstance(r.get(k), int | float) for r in lowered)), None)
        if key is None:
            continue
        by_key = [
            n for _, n in sorted(zip(lowered, numbers, strict=True), key=lambda pair: sign * pair[0][key])
        ]
        if by_key != numbers and numbers != sorted(numbers):
            return []  # the list says one order, its scores another
        return by_key
    return numbers


def number_of(value: Any) -> int:
    """A candidate's number, or -1 for what is none: a fraction, a truth value, a name."""
    if isinstance(value, bool) or value is None:
        return -1
    if isinstance(value, int):
        return value if 0 <= value < 10_000 else -1
    if isinstance(value, float):
        return int(value) if value.is_integer() and 0 <= value < 10_000 else -1
    if isinstance(value, str) and (match := LABEL.match(value.strip())):
        return int(match[1] or match[2])
    return -1


def numbers_in_lines(text: str, count: int) -> list[int]:
    """The order in plain text: a list with a number a line, or the last line that holds nothing but numbers."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    counted = [m for line in lines if (m := re.match(r"(\d{1,3})\s*[.):]\s*(?=\S)(.*)$", line))]
    if len(counted) > 1 and [int(m[1]) for m in counted] == list(range(1, len(counted) + 1)):
        inner = [number_of(m[2]) for m in counted]
        return inner if all(n >= 0 for n in inner) else []
    for line in reversed(lines):
        bracketed = re.findall(r"\[\s*(\d{1,4})\s*\]", line)
        if len(bracketed) > 1 and not re.search(r"[A-Za-z]{3}", re.sub(r"\[[^\]]*\]", "", line)):
            return [int(n) for n in bracketed]
        plain = re.sub(r"^[^\d:]{0,40}:", "", line)
        if re.fullmatch(
            r"[\[(]?\s*\d{1,4}(?:\s*[\])]?\s*(?:[,;>|\s]|->|then)\s*[\[(]?\s*\d{1,4})+\s*[\])]?\.?", plain
        ):
            return [int(n) for n in re.findall(r"\d+", plain)]
    if len(lines) > 1 and all(re.fullmatch(r"[-*•]?\s*\[?\d{1,4}\]?[.)]?", line) for line in lines):
        return [int(re.sub(r"\D", "", line)) for line in lines]
    starts = [re.match(r"[-*•]?\s*\[\s*(\d{1,4})\s*\]", line) for line in lines]
    if len(lines) > 1 and all(starts):
        return [int(m[1]) for m in starts if m]
    alone = re.fullmatch(r"\W{0,3}(\d{1,4})\W{0,3}", text.strip())
    return [int(alone[1])] if alone and count >= 1 else []


def why_unparsed(answer: Answer, text: str) -> str:
    """The kind under which an answer without an order is counted."""
    if answer.finish_reason == "length":
        return "truncated"
    if not text:
        return "refused" if answer.finish_reason == "content_filter" else "empty"
    return "refused" if REFUSED.match(text) else "unparsed"
