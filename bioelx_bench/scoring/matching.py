"""Array operations on candidate lists that lie one after the other: where gold stands, and how a ranking reorders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bioelx_bench.metrics import NO_HIT

Ints = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.int32]


def offsets_of(lengths: npt.ArrayLike) -> Ints:
    """Where lists of these lengths begin when they lie one after the other, and the end; shape (lists + 1,)."""
    sizes = np.asarray(lengths, np.int64)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def spread(starts: Ints, lengths: Ints) -> Ints:
    """The indices `starts[i], starts[i] + 1, ...` of each piece, one piece after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    indices: Ints = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return indices


def gold_ranks(lists: Iterable[list[str]], golds: Iterable[Sequence[str]]) -> Ranks:
    """Rank at which each gold concept first stands in a candidate list.

    Args:
        lists: Candidate ids, best first.
        golds: The gold looked for in each list.

    Returns:
        Ranks from 1, or `NO_HIT`, one list's gold after the other's; shape (gold,).
    """
    return np.array(
        [
            found.index(concept) + 1 if concept in found else NO_HIT
            for found, gold in zip(lists, golds, strict=True)
            for concept in gold
        ],
        np.int32,
    )


def mention_ranks(ranks: Ranks, offsets: Ints, match: Literal["any", "all"]) -> Ranks:
    """Rank at which each mention counts as found, from the ranks of its gold concepts.

    Args:
        ranks: Rank of each gold concept, one mention after the other.
        offsets: Where each mention's part begins, shape (mentions + 1,).
        match: Whether the first gold concept counts, or the last.
    """
    result = np.full(len(offsets) - 1, NO_HIT, np.int32)
    filled = np.diff(offsets) > 0
    if filled.any():
        reduce = np.minimum if match == "any" else np.maximum
        result[filled] = reduce.reduceat(ranks, offsets[:-1][filled])
    return result


def sort_within(ranks: Ranks, offsets: Ints) -> Ranks:
    """The ranks of each mention's gold concepts in ascending order."""
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return ranks[np.lexsort((ranks, owners))]


def positions(ranked: Ints, ranked_lists: Ints, codes: Ints, code_lists: Ints) -> Ints | None:
    """Where each ranked candidate stands among the candidates that were ranked.

    Args:
        ranked: Codes in the rankers' order, one list after the other.
        ranked_lists: The list of each.
        codes: Codes of the same candidates in the retriever's order.
        code_lists: The list of each.

    Returns:
        Index into `codes` of each element of `ranked`; None where they are not the same candidates.
    """
    by_rank = np.lexsort((ranked, ranked_lists))
    by_place = np.lexsort((codes, code_lists))
    if len(ranked) != len(codes) or not (
        np.array_equal(ranked[by_rank], codes[by_place])
        and np.array_equal(ranked_lists[by_rank], code_lists[by_place])
    ):
        return None
    found = np.empty(len(ranked), np.int64)
    found[by_rank] = by_place
    return found
