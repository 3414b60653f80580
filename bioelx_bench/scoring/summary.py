"""From hit ranks to the `scores` of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioelx_bench.scoring.intervals import bootstrap_means, interval
from bioelx_bench.scoring.metric import recall_at
from bioelx_bench.scoring.names import MACRO, MICRO

Ranks = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetOutcome:
    """What happened to the mentions of one subset; every array has shape (mentions,).

    Attributes:
        retrieval: Hit rank in the retriever's list.
        ranking: Hit rank in the ranked list, or None where nothing ranked.
        in_kb: Whether the gold is in the knowledge base (any or all of it, by the protocol).
        documents: Document number of each mention, from 0.
        slices: Named halves of the mentions, such as `exact` and `inexact`.
        extra: Further metrics of plugins over all mentions, by stage (`retrieval`, `ranking`).
    """

    retrieval: Ranks
    ranking: Ranks | None
    in_kb: Flags
    documents: npt.NDArray[np.int64]
    slices: Mapping[str, Flags]
    extra: Mapping[str, Mapping[str, float]]


def stage_scores(outcome: SubsetOutcome, mask: Flags | None, ks: Sequence[int]) -> dict[str, Any]:
    """`n` and Recall@k of both stages over the mentions where `mask` is true."""
    chosen = slice(None) if mask is None else mask
    ranking = None if outcome.ranking is None else recall_at(outcome.ranking[chosen], ks)
    retrieval = outcome.retrieval[chosen]
    return {"n": len(retrieval), "retrieval": recall_at(retrieval, ks), "ranking": ranking}


def replicates(outcome: SubsetOutcome, stage: str, ks: Sequence[int], seed: int) -> npt.NDArray[np.float64]:
    """Bootstrap replicates of Recall@k of a stage, shape (replicates, ks)."""
    ranks = outcome.retrieval if stage == "retrieval" else outcome.ranking
    assert ranks is not None  # noqa: S101 - callers ask only for stages that ran
    hits = (ranks[:, None] <= np.asarray(ks)[None, :]).astype(np.float64)
    return bootstrap_means(hits, outcome.documents, seed)


def summarise(outcomes: Mapping[str, SubsetOutcome], ks: Sequence[int], seed: int) -> dict[str, Any]:
    """The `scores` object of `result.json`: each subset, then the macro and micro average.

    The macro average is the mean of the subsets' figures, each subset counting the same; the micro average
    pools their mentions. Intervals are 95 % percentile intervals of the document-clustered bootstrap.
    """
    scores: dict[str, Any] = {}
    draws: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    for name, outcome in outcomes.items():
        stages = ["retrieval"] if outcome.ranking is None else ["retrieval", "ranking"]
        draws[name] = (
            {stage: replicates(outcome, stage, ks, seed) for stage in stages}
            if len(outcome.retrieval)
            else {}
        )
        scores[name] = score_subset(outcome, draws[name], ks)
    if outcomes:
        subsets = list(scores.values())
        pooled = pool(list(outcomes.values()))
        scores[MACRO] = macro(subsets, list(draws.values()), ks)
        stages = ["retrieval"] if pooled.ranking is None else ["retrieval", "ranking"]
        pooled_draws = (
            {stage: replicates(pooled, stage, ks, seed) for stage in stages} if len(pooled.retrieval) else {}
        )
        scores[MICRO] = score_subset(pooled, pooled_draws, ks)
    return scores


def score_subset(
    outcome: SubsetOutcome, draws: Mapping[str, npt.NDArray[np.float64]], ks: Sequence[int]
) -> dict[str, Any]:
    """The scores of one subset, or of all mentions pooled."""
    everything = stage_scores(outcome, None, ks)
    for stage, values in outcome.extra.items():
        if everything.get(stage) is not None:
            everything[stage].update(values)
    return {
        "n": everything["n"],
        "coverage": float(np.mean(outcome.in_kb)) if everything["n"] else None,
        "retrieval": everything["retrieval"],
        "ranking": everything["ranking"],
        "in_kb": stage_scores(outcome, outcome.in_kb, ks),
        "slices": {name: stage_scores(outcome, mask, ks) for name, mask in outcome.slices.items()},
        "ci95": {stage: named(interval(values), ks) for stage, values in draws.items()},
    }


def named(intervals: Sequence[list[float]], ks: Sequence[int]) -> dict[str, list[float]]:
    """Intervals by the name of their figure."""
    return {f"recall@{k}": bounds for k, bounds in zip(ks, intervals, strict=True)}


def macro(
    subsets: Sequence[Mapping[str, Any]],
    draws: Sequence[Mapping[str, npt.NDArray[np.float64]]],
    ks: Sequence[int],
) -> dict[str, Any]:
    """The mean of the subsets' figures; figures that a subset lacks (no mention in it) are left out of it."""
    stages = list(draws[0])
    return {
        "n": sum(s["n"] for s in subsets),
        "coverage": mean([s["coverage"] for s in subsets]),
        "retrieval": mean_tables([s["retrieval"] for s in subsets]),
        "ranking": mean_tables([s["ranking"] for s in subsets]),
        "in_kb": {
            "n": sum(s["in_kb"]["n"] for s in subsets),
            "retrieval": mean_tables([s["in_kb"]["retrieval"] for s in subsets]),
            "ranking": mean_tables([s["in_kb"]["ranking"] for s in subsets]),
        },
        "ci95": {
            stage: named(interval(np.mean([d[stage] for d in draws if stage in d], axis=0)), ks)
            for stage in stages
        },
    }


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there, or None."""
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def mean_tables(tables: Sequence[Mapping[str, float | None] | None]) -> dict[str, float | None] | None:
    """Mean of each figure over tables with the same keys, or None where no stage ran."""
    known = [t for t in tables if t is not None]
    return {key: mean([t.get(key) for t in known]) for key in known[0]} if known else None


def pool(outcomes: Sequence[SubsetOutcome]) -> SubsetOutcome:
    """All mentions as one subset; documents of different subsets stay apart."""
    offsets = np.cumsum([0, *(int(o.documents.max()) + 1 if len(o.documents) else 0 for o in outcomes)])
    ranked = [o.ranking for o in outcomes if o.ranking is not None]
    sizes = [len(o.retrieval) for o in outcomes]
    weights = np.asarray(sizes, dtype=np.float64) / max(1, sum(sizes))
    extra = {
        stage: {
            key: float(sum(w * o.extra[stage][key] for w, o in zip(weights, outcomes, strict=True)))
            for key in outcomes[0].extra[stage]
        }
        for stage in outcomes[0].extra
    }
    return SubsetOutcome(
        retrieval=np.concatenate([o.retrieval for o in outcomes]),
        ranking=np.concatenate(ranked) if len(ranked) == len(outcomes) else None,
        in_kb=np.concatenate([o.in_kb for o in outcomes]),
        documents=np.concatenate([o.documents + at for o, at in zip(outcomes, offsets, strict=False)]),
        slices={name: np.concatenate([o.slices[name] for o in outcomes]) for name in outcomes[0].slices},
        extra=extra,
    )
