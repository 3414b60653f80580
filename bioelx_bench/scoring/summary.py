"""From the outcomes of mentions to the `scores` of a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.results import MACRO, MICRO, GroupScores, Stage, StageScores, SubsetScores
from bioelx_bench.scoring.evaluation import NamedMetric, evaluate_all
from bioelx_bench.scoring.intervals import bootstrap_sums, interval, ratio
from bioelx_bench.scoring.outcome import StageRanks, SubsetOutcome

Floats = npt.NDArray[np.float64]
Group = str
"""`all`, `in_kb`, or a slice."""

MAX_KEPT: Final = 100_000
"""Mentions of a subset whose values are kept; those of larger ones are computed again, which bounds memory."""


@dataclass(slots=True)
class SubsetSums:
    """Sums over one subset, which add up over subsets.

    Attributes:
        n: Mentions of each group.
        sums: Sum of each figure over each group, by stage, group and figure.
        sizes: Replicates of the size of each group that has intervals, shape (replicates,).
        draws: Replicates of the sums of each group that has intervals.
    """

    n: dict[Group, int]
    without_candidates: int
    failed: int
    won: int
    lost: int
    sums: dict[tuple[Stage, Group], dict[str, float]] = field(default_factory=dict)
    sizes: dict[Group, Floats] = field(default_factory=dict)
    draws: dict[tuple[Stage, Group], dict[str, Floats]] = field(default_factory=dict)


def summarise(
    outcomes: Iterable[SubsetOutcome],
    metrics: Sequence[NamedMetric],
    *,
    depth: int,
    cutoffs: tuple[int, ...],
    seed: int,
) -> dict[str, SubsetScores]:
    """The scores of each subset, then the macro and micro average.

    The macro average is the mean of the subsets' figures, each subset counting the same; the micro average pools
    their mentions. Intervals are 95 % percentile intervals of the document-clustered bootstrap, drawn within each
    subset.

    Args:
        outcomes: One a subset, in order.
        metrics: What is computed.
        depth: Candidates a list may hold.
        cutoffs: The k of figures.
        seed: Seed of the draws.

    Raises:
        BenchError: A metric breaks its contract.
    """
    parts = {o.name: subset_sums(o, metrics, depth, cutoffs, seed) for o in outcomes}
    scores = {name: subset_scores(part) for name, part in parts.items()}
    if parts:
        scores[MACRO] = macro(list(scores.values()), list(parts.values()))
        scores[MICRO] = subset_scores(pooled(list(parts.values())))
    return scores


def subset_sums(
    outcome: SubsetOutcome,
    metrics: Sequence[NamedMetric],
    depth: int,
    cutoffs: tuple[int, ...],
    seed: int,
) -> SubsetSums:
    """Evaluate every metric on a subset and draw its replicates."""
    slices = outcome.slices()
    everything = np.ones(len(outcome), np.bool_)
    groups = {"all": everything, "in_kb": outcome.in_kb} | slices
    result = SubsetSums(
        n={name: int(mask.sum()) for name, mask in groups.items()},
        without_candidates=int(outcome.without_candidates.sum()),
        failed=int(outcome.failed.sum()),
        won=moved(outcome.retrieval, outcome.ranking),
        lost=moved(outcome.ranking, outcome.retrieval),
    )
    names: list[tuple[Stage, Group, str]] = []

    def evaluated() -> Iterator[tuple[Stage, str, Floats]]:
        for stage, ranks in outcome.stages().items():
            for figure, values in evaluate_all(metrics, outcome.hits(ranks, depth, cutoffs)):
                yield stage, figure, values

    kept = list(evaluated()) if len(outcome) <= MAX_KEPT else None
    result.sums = {(stage, group): {} for stage in outcome.stages() for group in groups}
    for stage, figure, values in kept or evaluated():
        names += [(stage, "all", figure), (stage, "in_kb", figure)]
        for group, mask in groups.items():
            result.sums[stage, group][figure] = float(values[mask].sum())

    def columns() -> Iterator[Floats]:
        yield everything.astype(np.float64)
        yield outcome.in_kb.astype(np.float64)
        for _, _, values in kept or evaluated():
            yield values
            yield values * outcome.in_kb

    if len(outcome):
        draws = bootstrap_sums(columns, outcome.documents, seed)
        result.sizes = {"all": draws[:, 0], "in_kb": draws[:, 1]}
        for (stage, group, figure), column in zip(names, draws.T[2:], strict=True):
            result.draws.setdefault((stage, group), {})[figure] = column
    return result


def moved(wrong: StageRanks | None, right: StageRanks | None) -> int:
    """Mentions that are right at one stage and wrong at another; 0 where one did not run."""
    if wrong is None or right is None:
        return 0
    return int(((right.ranks == 1) & (wrong.ranks != 1)).sum())


def pooled(parts: Sequence[SubsetSums]) -> SubsetSums:
    """The sums of several subsets as those of one."""
    result = SubsetSums(
        n={group: sum(p.n[group] for p in parts) for group in parts[0].n},
        without_candidates=sum(p.without_candidates for p in parts),
        failed=sum(p.failed for p in parts),
        won=sum(p.won for p in parts),
        lost=sum(p.lost for p in parts),
    )
    for key, figures in parts[0].sums.items():
        result.sums[key] = {figure: sum(p.sums[key][figure] for p in parts) for figure in figures}
    drawn = [p for p in parts if p.sizes]
    if drawn:
        result.sizes = {g: np.sum([p.sizes[g] for p in drawn], axis=0) for g in drawn[0].sizes}
        for key, replicates in drawn[0].draws.items():
            result.draws[key] = {f: np.sum([p.draws[key][f] for p in drawn], axis=0) for f in replicates}
    return result


def subset_scores(part: SubsetSums) -> SubsetScores:
    """The scores of one subset, or of all mentions pooled."""
    everything = group_scores(part, "all")
    n = part.n["all"]
    return SubsetScores(
        n=n,
        retrieval=everything.retrieval,
        ranking=everything.ranking,
        coverage=part.n["in_kb"] / n if n else None,
        in_kb=group_scores(part, "in_kb"),
        slices={group: group_scores(part, group) for group in part.n if group not in {"all", "in_kb"}},
        without_candidates=part.without_candidates,
        failed=part.failed,
        won=part.won,
        lost=part.lost,
    )


def group_scores(part: SubsetSums, group: Group) -> GroupScores:
    """The scores of a group of mentions of a subset."""
    stages: dict[Stage, StageScores] = {}
    n = part.n[group]
    for (stage, other), sums in part.sums.items():
        if other == group:
            bounds = {
                figure: interval(ratio(replicates, part.sizes[group]))
                for figure, replicates in part.draws.get((stage, group), {}).items()
            }
            stages[stage] = StageScores(
                figures={figure: total / n if n else None for figure, total in sums.items()},
                ci95={figure: found for figure, found in bounds.items() if found is not None},
            )
    return GroupScores(n=n, retrieval=stages["retrieval"], ranking=stages.get("ranking"))


def macro(subsets: Sequence[SubsetScores], parts: Sequence[SubsetSums]) -> SubsetScores:
    """The mean of the subsets' figures; a subset without mentions is left out of it."""

    def group(name: Group, rows: Sequence[GroupScores]) -> GroupScores:
        stages: dict[Stage, StageScores] = {}
        for stage in ("retrieval", "ranking") if rows[0].ranking is not None else ("retrieval",):
            tables = [row.stage(stage) for row in rows]
            bounds: dict[str, tuple[float, float] | None] = {}
            for figure in tables[0].figures:
                drawn = [
                    ratio(p.draws[stage, name][figure], p.sizes[name])
                    for p in parts
                    if p.n[name] and (stage, name) in p.draws
                ]
                bounds[figure] = interval(np.mean(drawn, axis=0)) if drawn else None
            stages[stage] = StageScores(
                figures={figure: mean([t.figures[figure] for t in tables]) for figure in tables[0].figures},
                ci95={figure: found for figure, found in bounds.items() if found is not None},
            )
        return GroupScores(
            n=sum(row.n for row in rows), retrieval=stages["retrieval"], ranking=stages.get("ranking")
        )

    everything = group("all", subsets)
    return SubsetScores(
        n=everything.n,
        retrieval=everything.retrieval,
        ranking=everything.ranking,
        coverage=mean([s.coverage for s in subsets]),
        in_kb=group("in_kb", [s.in_kb for s in subsets]),
        without_candidates=sum(s.without_candidates for s in subsets),
        failed=sum(s.failed for s in subsets),
        won=sum(s.won for s in subsets),
        lost=sum(s.lost for s in subsets),
    )


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there, or None."""
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def figure_names(scores: Mapping[str, SubsetScores]) -> tuple[str, ...]:
    """The figures of a score table, in order."""
    return tuple(next(iter(scores.values())).retrieval.figures) if scores else ()
