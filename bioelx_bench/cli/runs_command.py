"""`bioelx-bench runs` and `show`: the runs that are there, by what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.runs.run_result import RunResult

Words = Annotated[list[str] | None, typer.Argument(help="Words of the description, or the start of an id.")]
Dataset = Annotated[str | None, typer.Option(help="NAME or NAME@REVISION.")]
Retriever = Annotated[str | None, typer.Option(help="Name of the retriever.")]
Ranker = Annotated[str | None, typer.Option(help="Name of the ranker, or 'none'.")]
Kb = Annotated[str | None, typer.Option(help="Name of the knowledge base, or the start of its hash.")]


def make_app() -> typer.Typer:
    """The `runs` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="runs")(list_runs)
    return app


def list_runs(
    ctx: typer.Context,
    words: Words = None,
    dataset: Dataset = None,
    retriever: Retriever = None,
    ranker: Ranker = None,
    kb: Kb = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the runs that match.")] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Those that did not finish or are of another version.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder of runs.")] = None,
) -> None:
    """List the finished runs, newest first; filter them; remove those that match with --prune."""
    from bioelx_bench.runs.listing import Filter
    from bioelx_bench.runs.listing import unfinished as unfinished_runs
    from bioelx_bench.runs.run_result import runs

    session: Session = ctx.obj
    output = output or Path(session.config.get("output"))
    wanted = Filter(dataset=dataset, retriever=retriever, ranker=ranker, kb=kb, words=words or ())
    if unfinished:
        folders = unfinished_runs(output)
        data: list[dict[str, Any]] = [{"folder": str(folder)} for folder in folders]
        session.emit(data, lambda console: show_folders(console, folders))
    else:
        found = [run for run in runs(output) if wanted.matches(run)]
        folders = [run.folder for run in found]
        session.emit([row_of(run) for run in found], lambda console: show_runs(console, found, output))
    if prune and folders:
        remove(session, folders, yes=yes)


def row_of(run: RunResult) -> dict[str, Any]:
    """A run as the list's JSON has it."""
    from bioelx_bench.runs.listing import describe, finished_at, headline

    return {
        "run_id": run.result.run_id,
        "folder": str(run.folder),
        "description": describe(run),
        "macro_recall_at_1": headline(run),
        "finished": finished_at(run).isoformat(timespec="seconds"),
    }


def show_runs(console: Console, found: list[RunResult], output: Path) -> None:
    """Print the runs as a table."""
    from rich.text import Text

    from bioelx_bench.cli.tables import percent, plain_table
    from bioelx_bench.runs.listing import describe, finished_at, headline
    from bioelx_bench.visible import visible

    if not found:
        console.print(Text(visible(f"no finished run in {output} matches")))
        return
    table = plain_table()
    for header in ("run", "finished"):
        table.add_column(header, no_wrap=True)
    table.add_column("what ran", overflow="fold")
    table.add_column("R@1", justify="right")
    for run in found:
        day = finished_at(run).strftime("%Y-%m-%d")
        table.add_row(run.result.run_id[:8], day, Text(visible(describe(run))), percent(headline(run)))
    console.print(table)


def show_folders(console: Console, folders: list[Path]) -> None:
    """Print folders, one a line."""
    from rich.text import Text

    from bioelx_bench.visible import visible

    for folder in folders:
        console.print(Text(visible(str(folder))), soft_wrap=True)


def remove(session: Session, folders: list[Path], *, yes: bool) -> None:
    """Remove runs after asking."""
    from bioelx_bench.runs.listing import prune

    what = f"{len(folders)} run" + ("s" if len(folders) > 1 else "")
    if not yes and not typer.confirm(f"Remove {what} with everything in their folders?", err=True):
        session.note("nothing was removed")
        return
    size = prune(folders)
    session.note(f"removed {what}, {size / 1e6:,.1f} MB")
