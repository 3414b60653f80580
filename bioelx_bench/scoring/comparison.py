"""Comparing systems on the same mentions: differences with intervals, and paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioelx_bench.errors import UsageError
from bioelx_bench.scoring.intervals import bootstrap_means, holm, interval, paired_p_value


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One run's predictions.

    Attributes:
        label: How it is called in the comparison.
        predictions: Columns as `runs.scores.predictions_table` describes them.
        ranked: Whether the hit rank of the ranking counts, not the retriever's.
    """

    label: str
    predictions: pa.Table
    ranked: bool

    def hits(self, k: int) -> npt.NDArray[np.float64]:
        """1 where the gold is among the first k, else 0; shape (mentions,)."""
        column = self.predictions.column("ranking_rank" if self.ranked else "retrieval_rank")
        ranks = column.fill_null(np.iinfo(np.int32).max).to_numpy()
        hits: npt.NDArray[np.float64] = (ranks <= k).astype(np.float64)
        return hits


def compare(systems: Sequence[System], k: int, *, in_kb: bool, seed: int) -> dict[str, Any]:
    """Recall@k of each system and, for each pair, the difference with its interval and adjusted p-value.

    Differences are macro averages over subsets (every subset counts the same); intervals resample documents, and
    p-values are those of the paired permutation test over all mentions, adjusted by Holm's method over all pairs.

    Args:
        systems: At least two, on the same mentions.
        k: The cutoff.
        in_kb: Whether only mentions with a gold concept in the knowledge base count.
        seed: Seed of the draws.

    Raises:
        UsageError: The systems were not run on the same mentions.
    """
    first = systems[0].predictions
    for other in systems[1:]:
        if other.predictions.column("mention_id") != first.column("mention_id"):
            raise UsageError(
                f"{other.label} was not run on the same mentions as {systems[0].label}",
                hint="repeat one of the runs with the same dataset, revision, subsets and limit",
            )
    mask = first.column("in_kb").to_numpy() if in_kb else np.ones(first.num_rows, dtype=bool)
    subsets = np.asarray(first.column("subset").to_pylist())[mask]
    documents = numbered(first.column("document_id").to_pylist(), mask)
    hits = {s.label: s.hits(k)[mask] for s in systems}
    pairs = list(combinations(hits, 2))
    p_values = [paired_p_value(hits[a], hits[b], documents, seed) for a, b in pairs]
    return {
        "k": k,
        "in_kb": in_kb,
        "mentions": int(mask.sum()),
        "systems": {label: recall_by_subset(values, subsets) for label, values in hits.items()},
        "pairs": [
            {
                "first": a,
                "second": b,
                **difference(hits[b] - hits[a], subsets, documents, seed),
                "p": p,
                "p_holm": q,
            }
            for (a, b), p, q in zip(pairs, p_values, holm(p_values), strict=True)
        ],
    }


def numbered(ids: Sequence[str], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Document numbers from 0 of the mentions that count."""
    numbers: dict[str, int] = {}
    chosen = (i for i, keep in zip(ids, mask, strict=True) if keep)
    return np.fromiter((numbers.setdefault(i, len(numbers)) for i in chosen), np.int64)


def recall_by_subset(hits: npt.NDArray[np.float64], subsets: npt.NDArray[np.str_]) -> dict[str, float]:
    """Recall of each subset and their mean, `macro`."""
    figures = {name: float(hits[subsets == name].mean()) for name in dict.fromkeys(subsets.tolist())}
    return figures | {"macro": float(np.mean(list(figures.values())))}


def difference(
    values: npt.NDArray[np.float64],
    subsets: npt.NDArray[np.str_],
    documents: npt.NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """Macro mean of the differences, its 95 % interval, and wins and losses by mention and by subset."""
    names = list(dict.fromkeys(subsets.tolist()))
    draws = []
    for name in names:
        chosen = subsets == name
        _, local = np.unique(documents[chosen], return_inverse=True)
        draws.append(bootstrap_means(values[chosen][:, None], local, seed))
    means = {name: float(values[subsets == name].mean()) for name in names}
    return {
        "difference": float(np.mean(list(means.values()))),
        "ci95": interval(np.mean(draws, axis=0))[0],
        "wins": int((values > 0).sum()),
        "losses": int((values < 0).sum()),
        "subsets_lost": [name for name, value in means.items() if value < 0],
    }
