"""`bioelx-bench compare`: paired tests between runs on the same mentions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.runs.run_result import RunResult
    from bioelx_bench.scoring.comparison import Comparison

Format = Literal["table", "markdown", "latex", "json"]


def make_app() -> typer.Typer:
    """The `compare` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="compare")(compare_runs)
    return app


def compare_runs(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Two or more runs: folders or ids.")],
    k: Annotated[str, typer.Option(help="Cutoffs of Recall@k, with commas between.")] = "1,5,10",
    metric: Annotated[
        list[str] | None, typer.Option(help="A further figure, such as mrr or ndcg@10; may be repeated.")
    ] = None,
    in_kb: Annotated[bool, typer.Option("--in-kb", help="Only mentions whose gold is in the KB.")] = False,
    show: Annotated[
        int, typer.Option(min=0, help="Show N mentions that only one of two runs gets right.")
    ] = 0,
    to: Annotated[str, typer.Option(help="table, markdown, latex or json.")] = "table",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and the permutation test.")] = 0,
    output: Annotated[Path | None, typer.Option(help="Folder of runs.")] = None,
) -> None:
    """Compare runs mention by mention: differences with intervals, paired tests with Holm's correction."""
    from bioelx_bench.cli.comparison_tables import latex, markdown
    from bioelx_bench.runs.comparing import compare, decided
    from bioelx_bench.runs.run_result import load_run
    from bioelx_bench.scoring.evaluation import load_metrics

    session: Session = ctx.obj
    if to not in {"table", "markdown", "latex", "json"}:
        raise UsageError(f"unknown format {to!r}", where="--to", hint="table, markdown, latex or json")
    folder = output or Path(session.config.get("output"))
    loaded = [load_run(run, folder) for run in runs]
    figures = [f for f in metric or [] if not f.startswith("recall@")]
    extra = [f.partition("@")[2] for f in [*(metric or [])] if "@" in f]
    with session.progress.task("Comparing", unit="runs"):
        data = compare(
            loaded,
            cutoffs=cutoffs_of(",".join([k, *extra])),
            figures=figures,
            metrics=load_metrics(session.plugins, [f.partition("@")[0] for f in figures]),
            in_kb=in_kb,
            seed=seed,
        )
    found = list(decided(loaded[0], loaded[1])) if show else []
    answer = data.model_dump(mode="json")
    if show:
        answer["mentions_decided"] = [m.model_dump(mode="json") for m in found[:show]]
    if to == "json" or session.options.json:
        session.emit(answer, lambda console: console.print_json(data=answer))
    elif to == "table":
        session.emit(answer, lambda console: show_all(console, data, loaded, show))
    else:
        print(markdown(data) if to == "markdown" else latex(data), end="")


def cutoffs_of(text: str) -> list[int]:
    """The cutoffs a user gave.

    Raises:
        UsageError: One is no number above 0.
    """
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = [0]
    if not found or min(found) < 1:
        raise UsageError(f"cutoffs are numbers above 0 with commas between, not {text!r}", where="--k")
    return sorted(set(found))


def show_all(console: Console, data: Comparison, runs: list[RunResult], show: int) -> None:
    """Print the systems, the pairs, and mentions that only one of the first two gets right."""
    from rich.text import Text

    from bioelx_bench.cli.comparison_tables import comparison_tables
    from bioelx_bench.runs.comparing import decided
    from bioelx_bench.visible import visible

    for item in comparison_tables(data):
        console.print(item)
    if not show:
        return
    found = list(decided(runs[0], runs[1]))
    counts = [sum(m.right == i for m in found) for i in (0, 1)]
    told = f"only {data.systems[0]} is right: {counts[0]:,} mentions; only {data.systems[1]}: {counts[1]:,}"
    console.print(Text(visible(told), style="bold"))
    for mention in found[:show]:
        console.print(Text(visible(f"{mention.mention_id}  gold {', '.join(mention.gold)}")))
        for place, (concept, name) in enumerate(mention.predicted):
            mark = "right" if place == mention.right else "wrong"
            text = "nothing" if concept is None else f"{concept} {name}"
            console.print(Text(visible(f"  {mark}  {data.systems[place]}: {text}")))
