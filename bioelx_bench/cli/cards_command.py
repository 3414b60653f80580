"""`bioelx-bench cards`: build the dataset cards, and check that they have not drifted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.options import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.plugins import RegisteredSpec

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Datasets; by default all with a card.")
]
FolderOption = Annotated[Path, typer.Option("--folder", help="Folder of the cards.")]
RootOption = Annotated[Path | None, typer.Option("--data-root", help="Local mirror of the upstream files.")]
DEFAULT_FOLDER = Path("datasets_cards")


def make_app() -> typer.Typer:
    """The command `cards`."""
    app = typer.Typer(no_args_is_help=True, help="Build the dataset cards, and check that they agree.")
    app.command("build")(build)
    app.command("check")(check)
    return app


def build(
    context: typer.Context,
    names: NamesArgument = None,
    data_root: RootOption = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Compute the figures of data that is available, and write cards and plots."""
    session: Session = context.obj
    kb = open_kb(session)
    outcome = {d.spec.name: build_one(session, d, data_root, folder, kb) for d in with_cards(session, names)}
    session.emit({"cards": outcome}, lambda console: show(console, outcome))


def build_one(
    session: Session, declared: RegisteredSpec, data_root: Path | None, folder: Path, kb: KnowledgeBase
) -> str:
    """Write one card; returns what was done."""
    from bioelx_bench.datasets import cards
    from bioelx_bench.files import write_json, write_text

    home = folder / declared.spec.name
    environment = session.environment()
    root = data_root or configured_root(session)
    parts = cards.available_parts(declared, root, environment)
    before = cards.read_statistics(home)
    present = {(part.revision, part.split) for part in parts}
    lost = [part for part in (cards.recorded_parts(before) if before else []) if part not in present]
    if not parts or lost:
        wanted = ", ".join(f"{revision} {split}" for revision, split in lost)
        return f"kept: its data is not here ({wanted})" if before else "not built: its data is not here"
    found = cards.compute_statistics(declared, parts, data_root=root, environment=environment, kb=kb)
    write_json(home / cards.STATISTICS, found)
    write_text(home / cards.CARD, cards.render_card(declared.spec, found))
    write_text(home / cards.PLOT, cards.render_plot(found))
    return "built"


def check(
    context: typer.Context,
    names: NamesArgument = None,
    data_root: RootOption = None,
    folder: FolderOption = DEFAULT_FOLDER,
) -> None:
    """Fail if a card differs from its figures, or its figures from the data that is available."""
    session: Session = context.obj
    drifted: list[str] = []
    outcome: dict[str, str] = {}
    kb = open_kb(session)
    for declared in with_cards(session, names):
        name = declared.spec.name
        wrong, notes = check_one(session, declared, data_root, folder, kb)
        drifted += [f"{name}: {problem}" for problem in wrong]
        outcome[name] = "; ".join([*(wrong or ["agrees"]), *notes])
    session.emit({"cards": outcome, "drifted": drifted}, lambda console: show(console, outcome))
    if drifted:
        raise DataError(
            f"{len(drifted)} dataset card files have drifted",
            where=folder,
            why="; ".join(drifted),
            hint="bioelx-bench cards build",
        )


def check_one(
    session: Session, declared: RegisteredSpec, data_root: Path | None, folder: Path, kb: KnowledgeBase
) -> tuple[list[str], list[str]]:
    """What is wrong with one card, and what could not be checked."""
    from bioelx_bench.datasets import cards

    home = folder / declared.spec.name
    kept = cards.read_statistics(home)
    root, environment = data_root or configured_root(session), session.environment()
    if kept is None:
        if not cards.available_parts(declared, root, environment):
            return [], ["no card: its data is not here"]
        return [f"there is no {home / cards.STATISTICS}"], []
    wrong, notes = [], []
    if text_of(home / cards.CARD) != cards.render_card(declared.spec, kept):
        wrong.append(f"{cards.CARD} differs from its figures")
    svg = text_of(home / cards.PLOT)
    if not svg:
        wrong.append(f"{cards.PLOT} is missing")
    elif not cards.plot_is_comparable(svg):
        notes.append("plot not checked: drawn by another version of matplotlib")
    elif svg != cards.render_plot(kept):
        wrong.append(f"{cards.PLOT} differs from its figures")
    recorded = cards.recorded_parts(kept)
    parts = [
        part
        for part in cards.available_parts(declared, root, environment)
        if (part.revision, part.split) in recorded
    ]
    if len(parts) < len(recorded):
        notes.append("figures not checked: its data is not here")
    elif cards.compute_statistics(declared, parts, data_root=root, environment=environment, kb=kb) != kept:
        wrong.append(f"{cards.STATISTICS} differs from the data")
    return wrong, notes


def with_cards(session: Session, names: list[str] | None) -> list[RegisteredSpec]:
    """The datasets asked for, or all of every plugin whose declaration has a card."""
    known = {d.spec.name: d for d in session.plugins.all("datasets") if d.spec.card is not None}
    for name in names or []:
        if name not in known:
            raise UsageError(f"{name!r} has no dataset card{did_you_mean(name, list(known))}")
    return [known[name] for name in names or known]


def open_kb(session: Session) -> KnowledgeBase:
    """The open knowledge base, which the cards' coverage is about."""
    from bioelx_bench.kb.catalogue import open_knowledge_base

    return open_knowledge_base("open", session.environment())


def configured_root(session: Session) -> Path | None:
    """The data root of the configuration."""
    configured: Any = session.config.get("data_root")
    return Path(configured).expanduser() if configured else None


def text_of(path: Path) -> str:
    """A file's text; empty if there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def show(console: Console, outcome: dict[str, str]) -> None:
    """Print one line for each card."""
    for name, what in outcome.items():
        console.print(f"{name}: {what}", soft_wrap=True)
