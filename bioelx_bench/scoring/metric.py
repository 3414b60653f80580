"""Recall@k as an `evaluate.Metric` that needs no network, and the pure functions beneath it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

import datasets
import evaluate
import numpy as np
import numpy.typing as npt

Match = Literal["any", "all"]
"""Whether one gold concept among the first k suffices, or every one must be there."""

DEFAULT_KS: Final = (1, 5, 10, 20, 50)
NO_HIT: Final = np.iinfo(np.int32).max
"""Hit rank of a mention that no candidate answers."""


def hit_rank(predicted: Sequence[str], gold: Collection[str], match: Match = "any") -> int:
    """The smallest k at which a mention counts as found.

    Args:
        predicted: Candidate concept ids, best first. With name rows a concept may come several times.
        gold: The concept ids that count as right.
        match: `any`: the rank of the first gold concept; `all`: the rank at which the last one has come.

    Returns:
        A rank from 1, or `NO_HIT`.
    """
    wanted = set(gold)
    if not wanted:
        return NO_HIT
    for rank, concept in enumerate(predicted, 1):
        if concept in wanted:
            if match == "any":
                return rank
            wanted.discard(concept)
            if not wanted:
                return rank
    return NO_HIT


def recall_at(ranks: npt.NDArray[np.int32], ks: Sequence[int] = DEFAULT_KS) -> dict[str, float | None]:
    """Recall@k for each k from hit ranks, shape (mentions,); None for no mentions at all."""
    if len(ranks) == 0:
        return {f"recall@{k}": None for k in ks}
    return {f"recall@{k}": float(np.mean(ranks <= k)) for k in ks}


def parts_hit_rank(parts: Sequence[Sequence[str]], gold: Collection[str], match: Match = "any") -> int:
    """Hit rank of a mention that was searched in parts: the rank at which every part has hit."""
    return max((hit_rank(part, gold, match) for part in parts), default=NO_HIT)


class RecallAtK(evaluate.Metric):  # type: ignore[misc]
    """Share of mentions with a gold concept among the first k candidates.

    `compute(predictions, references, ks=..., match=...)` takes the candidate concept ids of each mention, best
    first, and its gold concept ids, and gives `recall@k` for each k. Every mention counts in the denominator,
    also where its gold is in no knowledge base. With `config_name="parts"` a mention's prediction is a list of
    candidate lists, one for each part it was split into, which must all hit (SapBERT's XL-BEL evaluation). With
    `with_ranks=True` the answer holds `hit_ranks`, int32, shape (mentions,), as well.
    """

    def _info(self) -> evaluate.MetricInfo:
        ids = datasets.Sequence(datasets.Value("string"))
        predictions = datasets.Sequence(ids) if self.config_name == "parts" else ids
        return evaluate.MetricInfo(
            description="Recall@k of ranked concept candidates against one or several gold concepts.",
            citation="",
            inputs_description="predictions: candidate ids, best first; references: gold ids.",
            features=datasets.Features({"predictions": predictions, "references": ids}),
        )

    def _compute(
        self,
        predictions: Sequence[Any],
        references: Sequence[Sequence[str]],
        ks: Sequence[int] = DEFAULT_KS,
        match: Match = "any",
        with_ranks: bool = False,
    ) -> dict[str, Any]:
        score = parts_hit_rank if self.config_name == "parts" else hit_rank
        pairs = zip(predictions, references, strict=True)
        ranks = np.fromiter((score(p, g, match) for p, g in pairs), np.int32)
        figures: dict[str, Any] = dict(recall_at(ranks, ks))
        return figures | {"hit_ranks": ranks} if with_ranks else figures
