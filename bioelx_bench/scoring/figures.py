"""The built-in metrics: each is one function from hits to values of every mention.

Gold concepts are relevant or not, so all definitions are those for binary relevance. A mention without gold scores 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bioelx_bench.metrics import Hits

Values = dict[str, npt.NDArray[np.float64]]


def recall(hits: Hits) -> Values:
    """Recall@k as entity linking uses it: 1 where the mention counts as found among the first k candidates."""
    return {f"recall@{k}": (hits.ranks <= k).astype(np.float64) for k in hits.cutoffs}


def mrr(hits: Hits) -> Values:
    """Reciprocal of the rank at which the mention counts as found; 0 where it is not (Voorhees 1999)."""
    found = hits.ranks <= hits.depth
    values = np.zeros(len(hits))
    values[found] = 1 / hits.ranks[found]
    return {"mrr": values}


def average_precision(hits: Hits) -> Values:
    """MAP@k: precision at each gold concept among the first k, divided by the number of gold concepts."""
    counts = np.diff(hits.gold_offsets)
    owners = np.repeat(np.arange(len(hits)), counts)
    # gold ranks ascend within a mention, so the n-th of them has n gold concepts up to its rank
    number = np.arange(len(hits.gold_ranks)) - hits.gold_offsets[:-1][owners] + 1
    precision = number / hits.gold_ranks
    values = {}
    for k in hits.cutoffs:
        inside = hits.gold_ranks <= k
        sums = np.bincount(owners[inside], weights=precision[inside], minlength=len(hits))
        values[f"map@{k}"] = sums / np.maximum(counts, 1)
    return values


def ndcg(hits: Hits) -> Values:
    """nDCG@k with gain 1 and discount 1 / log2(rank + 1) (Järvelin and Kekäläinen 2002)."""
    counts = np.diff(hits.gold_offsets)
    owners = np.repeat(np.arange(len(hits)), counts)
    gains = 1 / np.log2(hits.gold_ranks.astype(np.float64) + 1)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, hits.depth + 2)))])
    values = {}
    for k in hits.cutoffs:
        inside = hits.gold_ranks <= k
        sums = np.bincount(owners[inside], weights=gains[inside], minlength=len(hits))
        best = ideal[np.minimum(counts, k)]
        values[f"ndcg@{k}"] = np.minimum(np.divide(sums, best, out=np.zeros(len(hits)), where=best > 0), 1.0)
    return values
