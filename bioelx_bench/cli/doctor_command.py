"""`bioelx-bench doctor`: does everything that a run needs work on this machine?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.machine import machine_checks, model_checks
from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.base import Check


def make_app() -> typer.Typer:
    """The `doctor` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="doctor")(doctor)
    return app


def doctor(
    ctx: typer.Context,
    retriever: Annotated[str | None, typer.Option(help="Check what this retriever needs.")] = None,
    retriever_option: Annotated[
        list[str] | None, typer.Option("--retriever-option", "-R", help="Option of the retriever, key=value.")
    ] = None,
    ranker: Annotated[str | None, typer.Option(help="Check what this ranker needs.")] = None,
    ranker_option: Annotated[
        list[str] | None, typer.Option("--ranker-option", "-K", help="Option of the ranker, key=value.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Check what this preset needs.")] = None,
) -> None:
    """Check this machine, its plugins and models. Exit code 3 if something is missing."""
    from bioelx_bench.options import parse_pairs
    from bioelx_bench.runs.components import resolve_ranker, resolve_retriever

    session: Session = ctx.obj
    plugins, config = session.plugins, session.config
    spec = plugins.get("presets", preset).spec if preset is not None else None
    target: dict[str, Any] = {}
    name = retriever or (spec.retriever if spec is not None else None)
    if name is not None:
        given = parse_pairs(retriever_option or (), "-R")
        target["retriever"] = resolve_retriever(plugins, config, name, given, spec)
    name = ranker or (spec.ranker if spec is not None else None)
    if name is not None:
        given = parse_pairs(ranker_option or (), "-K")
        target["ranker"] = resolve_ranker(plugins, config, name, given, spec)
    checks = [*plugins_found(session), *machine_checks(session.cache.root)]
    if "retriever" in target:
        checks += model_checks(target["retriever"].options, session)
    checks += plugin_checks(session, target)
    data = [dataclasses.asdict(check) for check in checks]
    session.emit(data, lambda console: show(console, checks))
    if any(check.status == "failed" for check in checks):
        raise typer.Exit(3)


def plugins_found(session: Session) -> list[Check]:
    """Python and the plugins, those set aside with the reason."""
    import platform

    from bioelx_bench.base import Check

    checks = [Check("Python", "ok", platform.python_version())]
    checks += [
        Check(f"plugin {p.name}", "ok", f"{p.distribution} {p.version}") for p in session.plugins.loaded
    ]
    for broken in session.plugins.broken:
        hint = f"pip install --force-reinstall {broken.distribution}"
        checks.append(Check(f"plugin {broken.name}", "failed", broken.reason, hint))
    return checks


def plugin_checks(session: Session, target: dict[str, Any]) -> list[Check]:
    """The checks that plugins declare; one that raises is a failed check."""
    from bioelx_bench.base import Check
    from bioelx_bench.options import load_object

    checks: list[Check] = []
    for declared in session.plugins.all("checks"):
        name = declared.qualified_name
        try:
            factory = load_object(declared.spec.factory, f"the check {name!r}")
            checks.extend(factory(session.environment(), target))
        except Exception as error:  # a check is foreign code, and the others must still be shown
            checks.append(Check(name, "failed", f"{type(error).__name__}: {error}"))
    return checks


def show(console: Console, checks: list[Check]) -> None:
    """Print the checks, with the way to fix what is not ok."""
    from rich.table import Table
    from rich.text import Text

    marks = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "failed": ("failed", "red")}
    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark, colour = marks[check.status]
        detail = Text(check.detail + (f"\nhint: {check.hint}" if check.hint else ""))
        table.add_row(Text(mark, style=colour), Text(check.name), detail)
    console.print(table)
