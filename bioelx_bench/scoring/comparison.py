"""Comparing systems on the same mentions: differences with intervals, paired tests, and who gets what right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import UsageError
from bioelx_bench.results import MACRO, Record, Stage
from bioelx_bench.scoring.evaluation import NamedMetric, evaluate_all
from bioelx_bench.scoring.intervals import bootstrap_sums, holm, interval, paired_p_value, ratio
from bioelx_bench.scoring.outcome import SubsetOutcome

Floats = npt.NDArray[np.float64]


class Difference(Record):
    """One figure of one pair of systems on one subset, or in the macro average.

    Attributes:
        subset: The subset, or `macro`.
        figure: The figure.
        first: Its value for the first system; None over no mentions.
        second: Its value for the second.
        difference: `second` minus `first`.
        ci95: 95 % interval of the difference (document-clustered bootstrap).
        wins: Mentions on which the second system is better.
        ties: Mentions on which they are alike.
        losses: Mentions on which it is worse.
        p: p-value of the paired permutation test.
        p_holm: The same, adjusted by Holm's method over all subsets, figures and pairs of the comparison.
    """

    subset: str
    figure: str
    first: float | None
    second: float | None
    difference: float | None
    ci95: tuple[float, float] | None
    wins: int
    ties: int
    losses: int
    p: float
    p_holm: float


class Pair(Record):
    """The differences between two systems, by their place in `Comparison.systems`."""

    first: int
    second: int
    differences: tuple[Difference, ...]


class Comparison(Record):
    """What `compare` gives.

    Attributes:
        systems: Labels of the systems.
        in_kb: Whether only mentions with gold in the knowledge base were counted.
        mentions: How many were counted.
        figures: What was compared.
        values: Value of each figure of each system, by subset and in the macro average.
        pairs: Every two systems.
    """

    systems: tuple[str, ...]
    in_kb: bool
    mentions: int
    figures: tuple[str, ...]
    values: dict[str, dict[str, tuple[float | None, ...]]]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system's outcomes.

    Attributes:
        label: How it is called.
        outcomes: One a subset; the same mentions in the same order for all systems.
        stage: The stage by which it is judged.
        depth: Candidates a list may hold.
    """

    label: str
    outcomes: Sequence[SubsetOutcome]
    stage: Stage
    depth: int


@dataclass(frozen=True, slots=True)
class SubsetValues:
    """The figures of all systems on one subset.

    Attributes:
        documents: Document numbers from 0 of the mentions that count.
        values: Values by figure, shape (systems, mentions).
    """

    documents: npt.NDArray[np.int64]
    values: dict[str, Floats]


def compare_systems(
    systems: Sequence[System],
    metrics: Sequence[NamedMetric],
    figures: Sequence[str],
    cutoffs: tuple[int, ...],
    *,
    in_kb: bool = False,
    seed: int = 0,
) -> Comparison:
    """Every figure of every pair of systems, by subset and in the macro average.

    Intervals resample documents within each subset; p-values are those of the paired permutation test, for the macro
    average with every subset's mentions weighted alike.

    Args:
        systems: At least two, on the same mentions.
        metrics: Metrics that give the figures.
        figures: What is compared, such as `recall@1`.
        cutoffs: The k at which figures are computed.
        in_kb: Whether only mentions with a gold concept in the knowledge base count.
        seed: Seed of the draws.

    Raises:
        UsageError: No metric gives one of the figures.
    """
    names = [outcome.name for outcome in systems[0].outcomes]
    data = {
        name: subset_values([s.outcomes[i] for s in systems], systems, metrics, figures, cutoffs, in_kb=in_kb)
        for i, name in enumerate(names)
    }
    pairs = list(combinations(range(len(systems)), 2))
    rows = {pair: list(differences(data, figures, *pair, seed)) for pair in pairs}
    adjusted = iter(holm([row.p for found in rows.values() for row in found]))
    return Comparison(
        systems=tuple(s.label for s in systems),
        in_kb=in_kb,
        mentions=sum(len(d.documents) for d in data.values()),
        figures=tuple(figures),
        values=system_values(data, figures, len(systems)),
        pairs=tuple(
            Pair(
                first=a,
                second=b,
                differences=tuple(row.model_copy(update={"p_holm": next(adjusted)}) for row in found),
            )
            for (a, b), found in rows.items()
        ),
    )


def subset_values(
    outcomes: Sequence[SubsetOutcome],
    systems: Sequence[System],
    metrics: Sequence[NamedMetric],
    figures: Sequence[str],
    cutoffs: tuple[int, ...],
    *,
    in_kb: bool,
) -> SubsetValues:
    """Evaluate the figures of all systems on one subset."""
    mask = outcomes[0].in_kb if in_kb else np.ones(len(outcomes[0]), np.bool_)
    found: dict[str, list[Floats]] = {figure: [] for figure in figures}
    for outcome, system in zip(outcomes, systems, strict=True):
        ranks = outcome.stages()[system.stage]
        values = dict(evaluate_all(metrics, outcome.hits(ranks, system.depth, cutoffs)))
        for figure in figures:
            if figure not in values:
                raise UsageError(
                    f"there is no figure {figure!r}", hint=f"one of {', '.join(values)}; or another --metric"
                )
            found[figure].append(values[figure][mask])
    _, documents = np.unique(outcomes[0].documents[mask], return_inverse=True)
    return SubsetValues(
        documents.astype(np.int64), {figure: np.stack(values) for figure, values in found.items()}
    )


def system_values(
    data: Mapping[str, SubsetValues], figures: Sequence[str], systems: int
) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Means of each figure of each system, by subset and in the macro average."""
    table: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for figure in figures:
        means = {name: d.values[figure].mean(axis=1) for name, d in data.items() if len(d.documents)}
        rows: dict[str, tuple[float | None, ...]] = {
            name: tuple(map(float, means[name])) if name in means else (None,) * systems for name in data
        }
        macro = np.mean(list(means.values()), axis=0) if means else None
        rows[MACRO] = (None,) * systems if macro is None else tuple(map(float, macro))
        table[figure] = rows
    return table


def differences(
    data: Mapping[str, SubsetValues], figures: Sequence[str], first: int, second: int, seed: int
) -> Iterator[Difference]:
    """The differences of one pair; `p_holm` is still that of one test."""
    draws: dict[str, Floats] = {}
    for name, part in data.items():
        gaps = [part.values[figure][second] - part.values[figure][first] for figure in figures]
        sums = bootstrap_sums(lambda g=gaps: (np.ones(len(g[0])), *g), part.documents, seed)  # type: ignore[misc]
        if len(part.documents):
            draws[name] = ratio(sums[:, 1:], sums[:, :1])
    for column, figure in enumerate(figures):
        shares = {}
        for name, part in data.items():
            gap = part.values[figure][second] - part.values[figure][first]
            there = len(gap) > 0
            bounds = interval(draws[name][:, column]) if there else None
            if there:
                shares[name] = gap / len(gap)
            yield difference(
                name, figure, part.values[figure][[first, second]], gap, bounds, part.documents, seed
            )
        if shares:
            yield macro_difference(data, figure, shares, draws, column, (first, second), seed)


def difference(
    subset: str,
    figure: str,
    values: Floats,
    gap: Floats,
    bounds: tuple[float, float] | None,
    documents: npt.NDArray[np.int64],
    seed: int,
) -> Difference:
    """The difference on one subset."""
    there = len(gap) > 0
    p = paired_p_value(gap, documents, seed)
    return Difference(
        subset=subset,
        figure=figure,
        first=float(values[0].mean()) if there else None,
        second=float(values[1].mean()) if there else None,
        difference=float(gap.mean()) if there else None,
        ci95=bounds,
        wins=int((gap > 0).sum()),
        ties=int((gap == 0).sum()),
        losses=int((gap < 0).sum()),
        p=p,
        p_holm=p,
    )


def macro_difference(
    data: Mapping[str, SubsetValues],
    figure: str,
    shares: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    column: int,
    pair: tuple[int, int],
    seed: int,
) -> Difference:
    """The difference of the macro averages: each mention weighs what its subset leaves it."""
    first, second = (
        float(np.mean([data[name].values[figure][system].mean() for name in shares])) for system in pair
    )
    documents, start = [], 0
    for name in shares:
        documents.append(data[name].documents + start)
        start += int(data[name].documents.max()) + 1
    gaps = np.concatenate(list(shares.values()))
    bounds = interval(np.mean([draws[name][:, column] for name in shares], axis=0))
    p = paired_p_value(gaps, np.concatenate(documents), seed)
    return Difference(
        subset=MACRO,
        figure=figure,
        first=first,
        second=second,
        difference=second - first,
        ci95=bounds,
        wins=int((gaps > 0).sum()),
        ties=int((gaps == 0).sum()),
        losses=int((gaps < 0).sum()),
        p=p,
        p_holm=p,
    )
