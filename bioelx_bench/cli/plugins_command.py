"""`bioelx-bench plugins`: installed plugins, and broken ones with the reason; testing and starting one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The `plugins` commands."""
    from bioelx_bench.cli.plugin_new import new_plugin
    from bioelx_bench.cli.plugin_test import test_plugin

    app = typer.Typer(add_completion=False)
    app.callback(invoke_without_command=True)(show_plugins)
    app.command(name="new")(new_plugin)
    app.command(name="test")(test_plugin)
    return app


def show_plugins(ctx: typer.Context) -> None:
    """Show installed plugins with version and hooks, and broken ones with the reason."""
    if ctx.invoked_subcommand is not None:
        return
    session: Session = ctx.obj
    plugins = session.plugins
    data: dict[str, Any] = {
        "loaded": [dataclasses.asdict(p) for p in plugins.loaded],
        "broken": [dataclasses.asdict(q) for q in plugins.broken],
        "disabled": plugins.disabled,
    }
    session.emit(data, lambda console: show(console, data))


def show(console: Console, data: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("plugin", "version", "distribution", "hooks"):
        table.add_column(column, overflow="fold")
    for plugin in data["loaded"]:
        table.add_row(plugin["name"], plugin["version"], plugin["distribution"], ", ".join(plugin["hooks"]))
    console.print(table)
    for plugin in data["broken"]:
        console.print(
            f"broken: {plugin['name']} ({plugin['distribution']}): {plugin['reason']}", markup=False
        )
    if data["disabled"]:
        console.print(
            f"disabled by BIOELX_BENCH_DISABLE_PLUGINS: {', '.join(data['disabled'])}", markup=False
        )
