"""Gold ids of every dataset, brought into one form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from bioelx_bench.records import LabelledMention
from bioelx_bench.schemes import ANY, SCHEMES, find_scheme, normalise_ids

RECOGNISED_FROM: Final = 1000
"""Mentions whose gold says what scheme a file's ids are of."""


class GoldReader:
    """Normalises the gold of a dataset's mentions, counting by kind.

    Each mention's `oddities` gets what `schemes.normalise_ids` counted in it, and `several_gold` where several ids
    are left. A mention without any id is left out and counted as `without_gold`.

    Args:
        mentions: The mentions.
        scheme: The scheme of their gold; empty to have it recognised from the first mentions.
        counts: Gets `without_gold`.
    """

    def __init__(self, mentions: Iterator[LabelledMention], scheme: str, counts: Counter[str]) -> None:
        self._counts = counts
        self._mentions = mentions
        name = scheme
        if not name:
            first = list(islice(self._mentions, RECOGNISED_FROM))
            self._mentions = chain(first, self._mentions)
            name = recognise(mention.gold for mention in first)
        self.scheme = find_scheme(name, where="id_scheme")

    def __iter__(self) -> Iterator[LabelledMention]:
        for mention in self._mentions:
            counts: Counter[str] = Counter()
            gold = normalise_ids(one_value(mention.gold), self.scheme, counts)
            if not gold:
                self._counts["without_gold"] += 1
                continue
            counts.pop("ids_joined", None)  # `several_gold` says it
            odd = [*mention.oddities, *(kind for kind, number in counts.items() if number)]
            odd += ["several_gold"] * (len(gold) > 1)
            if gold != mention.gold or odd:
                mention = replace(mention, gold=gold, oddities=tuple(odd))
            yield mention


def one_value(gold: Sequence[str]) -> str | Sequence[str]:
    """The text of a single id, which may itself be a list written as text; else the ids."""
    return gold[0] if len(gold) == 1 else gold


def recognise(golds: Iterable[Sequence[str]]) -> str:
    """Name of the scheme of which most ids are; `any` where none of them is of a known scheme."""
    votes: Counter[str] = Counter()
    known = [scheme for scheme in SCHEMES.values() if not scheme.opaque]
    for gold in golds:
        for scheme in known:
            votes[scheme.name] += any(
                scheme.matches(i) for i in normalise_ids(one_value(gold), scheme, Counter())
            )
    best = max(known, key=lambda scheme: votes[scheme.name])  # the first of equals, in the order of `SCHEMES`
    return best.name if votes[best.name] else ANY
