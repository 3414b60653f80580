"""`bioelx-bench compare`: paired tests between runs on the same mentions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import MissingError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.scoring.comparison import System


def make_app() -> typer.Typer:
    """The `compare` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="compare")(compare_runs)
    return app


def compare_runs(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Two or more runs: folders or ids.")],
    k: Annotated[int, typer.Option(min=1, help="Cutoff of Recall@k.")] = 1,
    in_kb: Annotated[bool, typer.Option("--in-kb", help="Only mentions whose gold is in the KB.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and the permutation test.")] = 0,
) -> None:
    """Compare runs mention by mention: differences with intervals, paired tests with Holm's correction."""
    from bioelx_bench.scoring.comparison import compare

    session: Session = ctx.obj
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more", hint="bioelx-bench compare RUN RUN")
    output = Path(session.config.get("output"))
    data = compare([load(run, output) for run in runs], k, in_kb=in_kb, seed=seed)
    session.emit(data, lambda console: show(console, data))


def load(run: str, output: Path) -> System:
    """A finished run's predictions under a label that tells it apart."""
    import pyarrow.parquet as parquet

    from bioelx_bench.cli.tables import system_name
    from bioelx_bench.runs.engine import PREDICTIONS
    from bioelx_bench.runs.result import find_result
    from bioelx_bench.scoring.comparison import System

    path, result = find_result(run, output)
    predictions = path.parent / PREDICTIONS
    if not predictions.is_file():
        raise MissingError(
            f"the run {result['run_id']} has no predictions", where=predictions, hint="repeat it with --fresh"
        )
    label = f"{system_name(result)} {result['run_id'][:8]}"
    return System(
        label=label, predictions=parquet.read_table(predictions), ranked=result["ranker"] is not None
    )


def show(console: Console, data: dict[str, Any]) -> None:
    """Print the systems by subset, and the pairs."""
    from rich.table import Table

    from bioelx_bench.cli.tables import percent

    scope = "in-KB mentions" if data["in_kb"] else "mentions"
    table = Table(title=f"Recall@{data['k']} in per cent, {data['mentions']:,} {scope}", title_justify="left")
    table.add_column("subset")
    for label in data["systems"]:
        table.add_column(label, justify="right")
    for subset in next(iter(data["systems"].values())):
        table.add_row(subset, *(percent(figures[subset]) for figures in data["systems"].values()))
    console.print(table)
    for pair in data["pairs"]:
        low, high = pair["ci95"]
        lost = f"; behind on {', '.join(pair['subsets_lost'])}" if pair["subsets_lost"] else ""
        console.print(
            f"{pair['second']} against {pair['first']}: {100 * pair['difference']:+.1f} points "
            f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}), {pair['wins']:,} mentions won, "
            f"{pair['losses']:,} lost, p = {pair['p_holm']:.4f} after Holm{lost}",
            markup=False,
        )
