"""Comparing finished runs, and the mentions that only one of two gets right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.results import Record
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.runs.seal import verify
from bioelx_bench.scoring.comparison import Comparison, System, compare_systems
from bioelx_bench.scoring.evaluation import NamedMetric

if TYPE_CHECKING:
    import pyarrow as pa


class DecidedMention(Record):
    """A mention that only one of two systems gets right.

    Attributes:
        mention_id: The mention.
        subset: Its subset.
        gold: Its gold.
        right: Place of the system that is right.
        predicted: What each of the two predicts: id and name, None for nothing.
    """

    mention_id: str
    subset: str
    gold: tuple[str, ...]
    right: int
    predicted: tuple[tuple[str | None, str | None], tuple[str | None, str | None]]


def compare(
    runs: Sequence[RunResult],
    *,
    cutoffs: Sequence[int] = (1, 5, 10),
    figures: Sequence[str] = (),
    metrics: Sequence[NamedMetric] = (),
    in_kb: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare runs on the same mentions: differences with intervals and paired tests, by subset and macro average.

    Args:
        runs: Two or more.
        cutoffs: The k of the Recall@k that are compared; those that every run retrieved.
        figures: Other figures to compare, such as `mrr`; they need `metrics`.
        metrics: Metrics beside Recall@k that give them.
        in_kb: Whether only mentions with a gold concept in the knowledge base count.
        seed: Seed of the draws.

    Raises:
        UsageError: The runs are not of the same mentions, or a figure is unknown.
        DataError: A run's file was changed after it had finished.
    """
    from bioelx_bench.scoring.figures import recall

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more", hint="bioelx-bench compare RUN RUN")
    for run in runs:
        verify(run.folder)
    check_same_mentions(runs)
    depth = min(run.result.k for run in runs)
    known = tuple(sorted({k for k in cutoffs if k <= depth}))
    wanted = (*(f"recall@{k}" for k in known), *figures)
    if not wanted:
        raise UsageError(f"no run retrieved {min(cutoffs)} candidates", hint=f"a cutoff of at most {depth}")
    named = [NamedMetric(name="recall", plugin="bioelx-bench", function=recall)]
    named += [metric for metric in metrics if metric.name != "recall"]
    systems = [
        System(label=label(run, runs), outcomes=list(run.outcomes()), stage=run.result.stage, depth=depth)
        for run in runs
    ]
    return compare_systems(systems, named, wanted, known or (depth,), in_kb=in_kb, seed=seed)


def label(run: RunResult, runs: Sequence[RunResult]) -> str:
    """A run's name, with what tells it apart where another has the same."""
    if sum(other.name == run.name for other in runs) == 1:
        return run.name
    return f"{run.name} {run.result.run_id[:8]}"


def check_same_mentions(runs: Sequence[RunResult]) -> None:
    """Make sure that runs were made on the same mentions.

    Raises:
        UsageError: They were not.
        DataError: Their rows differ although their data has the same hash.
    """
    first, rows = runs[0], runs[0].predictions().column("mention_id")
    for run in runs[1:]:
        a, b = first.result, run.result
        same = a.dataset.sha256 == b.dataset.sha256 and a.dataset.limit == b.dataset.limit
        if not same or a.protocol.nil != b.protocol.nil:
            raise UsageError(
                f"{run.name} ({b.run_id}) was not run on the same mentions as {first.name} ({a.run_id})",
                hint="repeat one of the runs with the same dataset, revision, subsets, limit and protocol",
            )
        if run.predictions().column("mention_id") != rows and a.protocol.nil == "count":
            raise DataError(f"the rows of {run.name} are of other mentions", where=run.folder)


def decided(first: RunResult, second: RunResult) -> Iterator[DecidedMention]:
    """The mentions whose first candidate is right in one of two runs and wrong in the other.

    Args:
        first: A run.
        second: Another run on the same mentions.
    """
    columns = ["mention_id", "subset", "gold", "predicted", "predicted_name"]
    a, b = first.predictions(), second.predictions()
    right = [rights(a, first), rights(b, second)]
    for row in (i for i, (x, y) in enumerate(zip(*right, strict=True)) if x != y):
        one, other = (table.slice(row, 1).select(columns).to_pylist()[0] for table in (a, b))
        yield DecidedMention(
            mention_id=one["mention_id"],
            subset=one["subset"],
            gold=tuple(one["gold"]),
            right=0 if right[0][row] else 1,
            predicted=(
                (one["predicted"], one["predicted_name"]),
                (other["predicted"], other["predicted_name"]),
            ),
        )


def rights(table: pa.Table, run: RunResult) -> list[bool]:
    """Whether each mention's first candidate is right."""
    ranks = table.column(f"{run.result.stage}_rank").to_pylist()
    return [rank == 1 for rank in ranks]
