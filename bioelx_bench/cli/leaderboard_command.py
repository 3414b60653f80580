"""`bioelx-bench leaderboard`: add runs, build the pages, check that everything recomputes, prepare a submission."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.leaderboard.board import BoardReport
    from bioelx_bench.leaderboard.recompute import FindMaterial

Folder = Annotated[Path, typer.Option("--folder", help="The leaderboard's folder.")]
DataRoot = Annotated[Path | None, typer.Option(help="Local mirror of the upstream files.")]
Kb = Annotated[str | None, typer.Option(help="Folder of the knowledge base of entries that were run on it.")]
Output = Annotated[Path | None, typer.Option(help="Folder of runs.")]
DEFAULT_FOLDER = Path("leaderboards")


def make_app() -> typer.Typer:
    """The `leaderboard` commands."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, help="Add runs, build and check the pages.")
    for command in (add, build, check, submit):
        app.command()(command)
    return app


def finder(session: Session, data_root: Path | None, kb: str | None) -> FindMaterial:
    """Finds data and knowledge bases on this machine."""
    from bioelx_bench.leaderboard.board import material_finder

    root = data_root or session.config.get("data_root")
    return material_finder(session.environment(), Path(root) if root else None, kb)


def add(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A run's folder, result.json or id.")],
    folder: Folder = DEFAULT_FOLDER,
    data_root: DataRoot = None,
    kb: Kb = None,
    output: Output = None,
) -> None:
    """Add a finished run, after the checks that `check` makes."""
    from bioelx_bench.leaderboard.board import add_run
    from bioelx_bench.runs.run_result import load_run

    session: Session = ctx.obj
    found = load_run(run, output or Path(session.config.get("output")))
    path, reason = add_run(found, folder, session.environment(), finder(session, data_root, kb))
    if reason is not None:
        session.note(f"not recomputed: {reason}")
    session.emit(
        {"added": str(path), "not_recomputed": reason},
        lambda console: console.print(
            f"added {path}; now: bioelx-bench leaderboard build", soft_wrap=True, markup=False
        ),
    )


def build(
    ctx: typer.Context,
    folder: Folder = DEFAULT_FOLDER,
    site: Annotated[
        Path | None, typer.Option(help="Write one HTML page for all into this folder, too.")
    ] = None,
) -> None:
    """Write the pages from the entries; entries that cannot be read are named and left out."""
    from bioelx_bench.files import write_text
    from bioelx_bench.leaderboard.board import read_board
    from bioelx_bench.leaderboard.pages import build_pages, build_site

    session: Session = ctx.obj
    report = read_board(folder)
    for sentence in report.wrong:
        print(visible(f"left out: {sentence}"), file=sys.stderr)
    pages = {folder / name: text for name, text in build_pages(report.entries).items()}
    if site is not None:
        pages[site / "index.html"] = build_site(report.entries)
    for path, text in pages.items():
        write_text(path, text)
    session.emit(
        {"pages": [str(path) for path in pages], "left_out": report.wrong},
        lambda console: console.print(f"wrote {len(pages)} pages", markup=False),
    )


def check(
    ctx: typer.Context, folder: Folder = DEFAULT_FOLDER, data_root: DataRoot = None, kb: Kb = None
) -> None:
    """Recompute every score and compare the pages; exit code 1 if anything is wrong."""
    from bioelx_bench.errors import BenchError
    from bioelx_bench.leaderboard.board import check_board
    from bioelx_bench.leaderboard.pages import build_pages

    session: Session = ctx.obj
    report = check_board(folder, session.environment(), finder(session, data_root, kb))
    for name, text in build_pages(report.entries).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            report.wrong.append(
                f"{path}: the page is not what the entries give (bioelx-bench leaderboard build)"
            )
    for place, reason in report.not_recomputed.items():
        print(visible(f"not recomputed: {place}: {reason}"), file=sys.stderr)
    for place, slices in report.as_told.items():
        print(visible(f"taken as the model told: {place}: slices {', '.join(slices)}"), file=sys.stderr)
    if report.wrong:
        for sentence in report.wrong[1:]:
            print(f"error: {visible(sentence)}", file=sys.stderr)
        raise BenchError(visible(report.wrong[0]), hint="mend or remove what is named")
    data = {
        "entries": len(report.entries),
        "not_recomputed": report.not_recomputed,
        "as_told": report.as_told,
        "wrong": [],
    }
    session.emit(data, lambda console: show_checked(console, report))


def show_checked(console: Console, report: BoardReport) -> None:
    """Print what was checked."""
    recomputed = len(report.entries) - len(report.not_recomputed)
    console.print(f"{len(report.entries)} entries, {recomputed} recomputed; the pages agree with them")


def submit(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A run's folder or id; it was added before.")],
    folder: Folder = DEFAULT_FOLDER,
    output: Output = None,
    to: Annotated[Path, typer.Option(help="Where branch name and text are written.")] = Path("submission"),
) -> None:
    """Write the branch name and the text of a pull request for a run; nothing is pushed."""
    from bioelx_bench.errors import MissingError
    from bioelx_bench.files import write_text
    from bioelx_bench.leaderboard.entry import entry_folder, read_entry
    from bioelx_bench.leaderboard.submission import branch_name, pull_request
    from bioelx_bench.runs.run_result import load_run

    session: Session = ctx.obj
    found = load_run(run, output or Path(session.config.get("output")))
    path = entry_folder(folder, found.result)
    if not path.is_dir():
        raise MissingError(
            f"the run {found.result.run_id} is not on the leaderboard",
            where=path,
            hint=f"bioelx-bench leaderboard add {found.folder} --folder {folder}",
        )
    entry = read_entry(path)
    branch = branch_name(entry)
    write_text(to / "branch.txt", branch + "\n")
    write_text(to / "pull_request.md", pull_request(entry))
    session.emit(
        {"branch": branch, "text": str(to / "pull_request.md")},
        lambda console: console.print(
            f"git switch -c {branch} && git add {folder} && git commit; text: {to / 'pull_request.md'}",
            soft_wrap=True,
            markup=False,
        ),
    )
