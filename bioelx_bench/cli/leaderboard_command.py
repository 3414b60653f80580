"""`bioelx-bench leaderboard`: add runs, build the pages, check that they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bioelx_bench.cli.session import Session

Folder = Annotated[Path, typer.Option("--folder", help="The leaderboard's folder.")]
DEFAULT_FOLDER = Path("leaderboards")


def make_app() -> typer.Typer:
    """The `leaderboard` commands."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, help="Add runs and build the pages.")
    app.command()(add)
    app.command()(build)
    app.command()(check)
    return app


def add(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A run's folder, result.json or id.")],
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Copy a finished run's result into the leaderboard."""
    from bioelx_bench.leaderboard.store import add_result
    from bioelx_bench.runs.run_result import load_run

    session: Session = ctx.obj
    found = load_run(run, Path(session.config.get("output")))
    path = add_result(found.result.model_dump(mode="json"), found.folder, folder)
    session.emit(
        {"added": str(path)},
        lambda console: console.print(f"added {path}; now: bioelx-bench leaderboard build", soft_wrap=True),
    )


def build(ctx: typer.Context, folder: Folder = DEFAULT_FOLDER) -> None:
    """Write the pages from the results."""
    from bioelx_bench.files import write_text
    from bioelx_bench.leaderboard.pages import build_pages

    session: Session = ctx.obj
    pages = build_pages(folder)
    for name, text in pages.items():
        write_text(folder / name, text)
    session.emit(
        {"pages": [str(folder / name) for name in pages]},
        lambda console: console.print(f"wrote {len(pages)} pages in {folder}: {', '.join(pages)}"),
    )


def check(ctx: typer.Context, folder: Folder = DEFAULT_FOLDER) -> None:
    """Fail (exit code 1) if a page differs from what its results give."""
    from bioelx_bench.errors import BenchError
    from bioelx_bench.leaderboard.pages import build_pages

    session: Session = ctx.obj
    drifted = []
    for name, text in build_pages(folder).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            drifted.append(name)
    if drifted:
        raise BenchError(
            f"pages differ from the results: {', '.join(drifted)}",
            where=folder,
            hint=f"bioelx-bench leaderboard build --folder {folder}",
        )
    session.emit({"drifted": []}, lambda console: console.print("the pages agree with the results"))
