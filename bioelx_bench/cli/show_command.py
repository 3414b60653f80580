"""`bioelx-bench show`: a finished run's table again, with time, tokens and cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.runs.run_result import RunResult


def make_app() -> typer.Typer:
    """The `show` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="show")(show)
    return app


def show(
    ctx: typer.Context,
    run: Annotated[list[str], typer.Argument(help="A run: folder, id, or words of its description.")],
    output: Annotated[Path | None, typer.Option(help="Folder of runs.")] = None,
) -> None:
    """Show a finished run again: its table, and what it took."""
    from bioelx_bench.runs.listing import select

    session: Session = ctx.obj
    found = select(run, output or Path(session.config.get("output")))
    session.emit(found.result.model_dump(mode="json"), lambda console: show_found(console, found))


def show_found(console: Console, run: RunResult) -> None:
    """Print the table, time and memory, and the command that made the run."""
    import shlex

    from rich.text import Text

    from bioelx_bench.cli.tables import show_place, show_run
    from bioelx_bench.visible import visible

    show_run(console, run)
    timing = run.result.timing
    if timing:
        stages = ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in timing.items())
        console.print(Text(f"time: {stages}; {sum(timing.values()):,.1f} s in all", style="dim"))
    manifest = run.manifest()
    memory = manifest.get("peak_memory_mb")
    if isinstance(memory, int | float):
        console.print(Text(f"peak memory: {memory:,.0f} MB", style="dim"))
    if origin := manifest.get("rescored_from"):
        console.print(Text(visible(f"scored again from the logs of {origin['run_id']}"), style="dim"))
    if command := manifest.get("command"):
        line = "bioelx-bench " + shlex.join(map(str, command))
        console.print(Text(visible(line), style="dim"), soft_wrap=True)
    show_place(console, run.folder)
