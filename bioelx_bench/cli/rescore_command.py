"""`bioelx-bench rescore`: score a finished run again, with another mix or other metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The `rescore` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="rescore")(rescore_run)
    return app


def rescore_run(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A finished run: folder or id.")],
    mix: Annotated[
        float | None, typer.Option(help="Weight of the ranker's evidence, 0 to 1; a run of its own.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="What evidence is divided by; above 0.")] = None,
    own_order: Annotated[
        bool, typer.Option("--own-order", help="The ranker's own order, nothing mixed; a run of its own.")
    ] = False,
    metric: Annotated[
        list[str] | None, typer.Option(help="A further metric; without --mix the run itself gets it.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of runs.")] = None,
) -> None:
    """Score a finished run again from its logs; nothing is retrieved and no model is asked."""
    from bioelx_bench.cli.tables import show_place, show_run
    from bioelx_bench.errors import UsageError
    from bioelx_bench.records import Interpolation
    from bioelx_bench.runs.rescoring import rescore
    from bioelx_bench.runs.run_result import load_run
    from bioelx_bench.scoring.evaluation import DEFAULT_METRICS, load_metrics

    session: Session = ctx.obj
    loaded = load_run(run, output or Path(session.config.get("output")))
    names = (*DEFAULT_METRICS, *loaded.result.metrics, *(metric or ()))
    metrics = load_metrics(session.plugins, names)
    if own_order and (mix is not None or temperature is not None):
        raise UsageError("--own-order mixes nothing", hint="leave --mix and --temperature out")
    if mix is None and temperature is None and not own_order:
        if not metric:
            raise UsageError("nothing to do", hint="add --mix WEIGHT, --own-order or --metric NAME")
        scored = loaded.rescore(metrics)
    else:
        before = loaded.interpolation or Interpolation(weight=1.0)
        wanted = Interpolation(
            weight=before.weight if mix is None else mix,
            temperature=before.temperature if temperature is None else temperature,
        )
        scored = rescore(loaded, None if own_order else wanted, list(metrics), loaded.folder.parent)

    def show(console: Console) -> None:
        show_run(console, scored)
        show_place(console, scored.folder / "result.json")

    session.emit(scored.result.model_dump(mode="json"), show)
