"""The mentions of a report in a compact form: columns, with concepts and names written once.

The page unpacks it (`page/app.js`), so that ten thousand mentions of three runs stay a few megabytes.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import orjson

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention
from bioelx_bench_report.lists import Candidates

SHOWN: Final = 10
"""Candidates shown of each list."""

CONTEXT: Final = 240
"""Characters of context on each side of a mention."""

MAX_NAMES: Final = 4
"""Names shown of a gold concept beside the preferred one."""


class Dictionary:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of a text, a new one where it was not seen before."""
        if (found := self._numbers.get(text)) is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found


def pieces(mention: LabelledMention) -> list[str]:
    """The context around a mention, in turns outside and inside it, beginning outside.

    Where the dataset gives no position, or one outside its text, the mention stands alone.
    """
    text = mention.document.text
    spans = sorted((span.start, span.end) for span in mention.spans)
    inside = all(0 <= start < end <= len(text) for start, end in spans)
    overlap = any(a[1] > b[0] for a, b in pairwise(spans))
    if not spans or not inside or overlap:
        return ["", mention.text]
    first, last = max(0, spans[0][0] - CONTEXT), min(len(text), spans[-1][1] + CONTEXT)
    found, at = [], first
    for start, end in spans:
        found += [text[at:start], text[start:end]]
        at = end
    found.append(text[at:last])
    found[0] = ("…" if first else "") + found[0]
    found[-1] += "…" if last < len(text) else ""
    return found


def candidate_row(candidates: Candidates, ids: Dictionary, names: Dictionary) -> list[Any]:
    """The candidates of a mention that are shown, flat: concept, name, score, rank before, rank after, evidence.

    A rank is 0 where the candidate is not in the list; evidence is null where there is none.
    """
    after = {place: rank for rank, place in enumerate(candidates.order, 1)} if candidates.ranked else {}
    before = range(min(SHOWN, len(candidates.concepts)))
    shown = dict.fromkeys([*before, *(candidates.order[:SHOWN] if candidates.ranked else ())])
    flat: list[Any] = []
    for place in shown:
        rank = after.get(place, 0)
        said = candidates.evidence[rank - 1] if rank else None
        flat += [
            ids.number(candidates.concepts[place]),
            names.number(candidates.names[place]),
            round(candidates.scores[place], 4),
            place + 1,
            rank,
            None if said is None else round(said, 3),
        ]
    return flat


def gold_names(concepts: Iterable[str], kb: KnowledgeBase | None) -> dict[str, list[str]]:
    """Names of concepts, preferred ones first; empty where the knowledge base lacks one."""
    found: dict[str, list[str]] = {}
    for concept in concepts:
        row = None if kb is None else kb.concept_row(concept)
        texts = [] if row is None or kb is None else [name.text for name in kb.names_of(row)]
        found[concept] = list(dict.fromkeys(texts))[: MAX_NAMES + 1]
    return found


def mention_columns(
    rows: Sequence[tuple[str, str, Sequence[str], bool]],
    texts: Sequence[LabelledMention] | None,
    types: Sequence[Sequence[str]],
    ids: Dictionary,
) -> dict[str, Any]:
    """The columns that do not depend on a run.

    Args:
        rows: Id, subset, gold and whether the gold is in the knowledge base, of each mention.
        texts: Each mention, or None where the dataset is not at hand.
        types: Semantic types of each mention.
        ids: Takes concept ids.
    """
    subsets, kinds = Dictionary(), Dictionary()
    return {
        "id": [row[0] for row in rows],
        "subset": [subsets.number(row[1]) for row in rows],
        "gold": [[ids.number(concept) for concept in row[2]] for row in rows],
        "inKb": [int(row[3]) for row in rows],
        "types": [[kinds.number(kind) for kind in found] for found in types],
        "subsets": subsets.texts,
        "kinds": kinds.texts,
        "pieces": None if texts is None else [pieces(mention) for mention in texts],
        "mention": None if texts is None else [mention.text for mention in texts],
        "language": None if texts is None else [mention.language for mention in texts],
    }


def pack(data: dict[str, Any]) -> str:
    """Data as gzip in base 64, whose characters mean nothing to HTML."""
    raw = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode()
