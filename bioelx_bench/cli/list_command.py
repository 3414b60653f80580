"""`bioelx-bench list`: what is declared, by kind."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.plugins import KINDS, RegisteredSpec

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The `list` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="list")(list_declared)
    return app


def list_declared(
    ctx: typer.Context,
    kind: Annotated[
        str | None, typer.Argument(help="datasets, knowledge-bases, retrievers, rankers, ...")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every option of each component.")
    ] = False,
) -> None:
    """List what is declared by the core and by plugins."""
    session: Session = ctx.obj
    kinds = list(KINDS)
    if kind is not None:
        wanted = kind.replace("-", "_")
        wanted = {"kbs": "knowledge_bases", "kb": "knowledge_bases"}.get(wanted, wanted)
        if wanted not in KINDS:
            known = [k.replace("_", "-") for k in KINDS]
            raise UsageError(
                f"unknown kind {kind!r}{did_you_mean(kind, known)}", hint=f"one of {', '.join(known)}"
            )
        kinds = [wanted]
    else:
        kinds.remove("commands")
    found = {k: [describe(d, verbose) for d in session.plugins.all(k)] for k in kinds}
    session.emit(found, lambda console: show(console, found))
    for broken in session.plugins.broken:
        session.note(f"plugin {broken.name} ({broken.distribution}) is broken: {broken.reason}")


def describe(declared: RegisteredSpec, verbose: bool) -> dict[str, Any]:
    """A declaration as JSON; with `verbose` its options too, or why they cannot be loaded."""
    entry: dict[str, Any] = {
        "name": declared.spec.name,
        "qualified_name": declared.qualified_name,
        "plugin": declared.plugin.name,
        "version": declared.plugin.version,
        "summary": declared.spec.summary,
    }
    fields = {f.name for f in dataclasses.fields(declared.spec)}
    entry |= {
        f: getattr(declared.spec, f)
        for f in ("revisions", "subsets", "splits", "licence", "models")
        if f in fields
    }
    if verbose and "options" in fields:
        entry["options"] = describe_options(declared)
    return entry


def describe_options(declared: RegisteredSpec) -> list[dict[str, Any]] | str:
    """Name, type, default and purpose of each option."""
    from bioelx_bench.errors import BenchError
    from bioelx_bench.options import load_object

    try:
        model = load_object(declared.spec.options, declared.qualified_name)
    except BenchError as error:
        return error.what
    entries = []
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        kind = getattr(field.annotation, "__name__", None) if "[" not in str(field.annotation) else None
        entries.append(
            {
                "name": name,
                "type": kind or str(field.annotation).replace("typing.", "").replace("NoneType", "None"),
                "default": None if field.is_required() else str(field.get_default(call_default_factory=True)),
                "required": field.is_required(),
                "part_of_run_id": not extra.get("runtime", False),
                "purpose": field.description or "",
            }
        )
    return entries


def show(console: Console, found: dict[str, list[dict[str, Any]]]) -> None:
    """Print one table a kind, and a table of options below each component that has some."""
    from rich.table import Table

    for kind, entries in found.items():
        table = Table(title=kind.replace("_", " "), title_justify="left", box=None, pad_edge=False)
        for column in ("name", "plugin", "what it is"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            table.add_row(entry["name"], f"{entry['plugin']} {entry['version']}", entry["summary"])
        console.print(table if entries else f"[italic]{kind.replace('_', ' ')}[/italic]\n  none")
        for entry in entries:
            if entry.get("options"):
                show_options(console, entry)
        console.print()


def show_options(console: Console, entry: dict[str, Any]) -> None:
    """Print a component's options."""
    from rich.table import Table

    if isinstance(entry["options"], str):
        console.print(f"\n  options of {entry['name']} cannot be shown: {entry['options']}", markup=False)
        return
    table = Table(title=f"\noptions of {entry['name']}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("option", "type", "default", "purpose"):
        table.add_column(column, overflow="fold")
    for option in entry["options"]:
        default = "required" if option["required"] else option["default"]
        table.add_row(option["name"], option["type"], default, option["purpose"])
    console.print(table, markup=False)
