"""Recall@k as an `evaluate.Metric` that needs no network, for those who use that library; a run never imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import datasets
import evaluate
import numpy as np

from bioelx_bench.scoring.evaluation import DEFAULT_CUTOFFS
from bioelx_bench.scoring.matching import gold_ranks, mention_ranks, offsets_of


class RecallAtK(evaluate.Metric):  # type: ignore[misc]
    """Share of mentions with a gold concept among the first k candidates.

    `compute(predictions, references, ks=..., match=...)` takes the candidate concept ids of each mention, best first,
    and its gold concept ids, and gives `recall@k` for each k (None over no mentions). Every mention counts in the
    denominator, also where its gold is in no knowledge base.
    """

    def _info(self) -> evaluate.MetricInfo:
        ids = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description="Recall@k of ranked concept candidates against one or several gold concepts.",
            citation="",
            inputs_description="predictions: candidate ids, best first; references: gold ids.",
            features=datasets.Features({"predictions": ids, "references": ids}),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        ks: Sequence[int] = DEFAULT_CUTOFFS,
        match: Literal["any", "all"] = "any",
    ) -> dict[str, Any]:
        if not len(predictions):
            return {f"recall@{k}": None for k in ks}
        golds = [list(dict.fromkeys(gold)) for gold in references]
        offsets = offsets_of([len(gold) for gold in golds])
        ranks = mention_ranks(gold_ranks(map(list, predictions), golds), offsets, match)
        return {f"recall@{k}": float(np.mean(ranks <= k)) for k in ks}
