"""Gold ids of every dataset, brought into one form; and whether a knowledge base can have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from bioelx_bench.base import BaseDataset
from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.errors import UsageError
from bioelx_bench.records import LabelledMention
from bioelx_bench.schemes import ANY, SCHEMES, IdScheme, find_scheme, normalise_ids

RECOGNISED_FROM: Final = 1000
"""Mentions whose gold says what scheme a file's ids are of."""


class GoldReader:
    """Normalises the gold of a dataset's mentions, counting by kind.

    Each mention's `oddities` gets what `schemes.normalise_ids` counted in it, and `several_gold` where several ids
    are left. A mention without any id is left out and counted as `without_gold`.

    Args:
        dataset: Gives the mentions, the scheme (recognised from the first mentions where it is empty) and the counts.
    """

    def __init__(self, dataset: BaseDataset) -> None:
        self._counts = dataset.counts
        self._mentions = dataset.mentions()
        name = dataset.id_scheme
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


def check_gold(
    subsets: Sequence[PreparedSubset], kb_scheme: str, *, match: str, limit: int | None = None
) -> Mapping[str, int]:
    """Refuse a run whose figures could only be 0, before anything is retrieved.

    Args:
        subsets: The run's data.
        kb_scheme: Scheme of the knowledge base's ids.
        match: The protocol's policy: `any` or `all` gold of a mention must be found.
        limit: Mentions of each subset that run, or None.

    Returns:
        For each subset with such, the mentions whose gold is wholly of another scheme than the knowledge base's.

    Raises:
        UsageError: No gold of the run is of the knowledge base's scheme, or the data was read for another policy.
    """
    scheme = find_scheme(kb_scheme, where="--kb")
    foreign: dict[str, int] = {}
    mentions = 0
    for subset in subsets:
        if subset.needs_match not in {None, match}:
            raise UsageError(
                f"{subset.name} was read so that {subset.needs_match} gold of a mention must be found, the protocol "
                f"asks for {match}",
                where="--policy match",
                hint=f"add --policy match={subset.needs_match}, or read the data otherwise (-D composite=any)",
            )
        number, of_scheme = count_of_scheme(subset, scheme, limit)
        mentions += number
        if number > of_scheme:
            foreign[subset.subset] = number - of_scheme
    if mentions and sum(foreign.values()) == mentions:
        first = subsets[0]
        example = next(first.mentions()).gold[0] if len(first) else ""
        raise UsageError(
            f"no gold id of {first.name}@{first.revision} is of the knowledge base's scheme {scheme.name!r}",
            where="--kb",
            why=f"the data's ids are of the scheme {first.id_scheme!r}, such as {example}: all would be misses",
            hint=f"choose a knowledge base with {first.id_scheme} ids, or map them with a crosswalk",
        )
    return foreign


def count_of_scheme(subset: PreparedSubset, scheme: IdScheme, limit: int | None) -> tuple[int, int]:
    """How many mentions run, and how many of them have a gold id of a scheme."""
    number = found = 0
    for batch in subset.gold_table(limit).to_batches():
        golds = batch.column("gold").to_pylist()
        number += len(golds)
        found += sum(any(scheme.matches(identifier) for identifier in gold) for gold in golds)
    return number, found
