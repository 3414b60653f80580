"""`bioelx-bench config`: every setting and where it comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.config import purposes

if TYPE_CHECKING:
    from rich.console import Console

SECRET: Final = re.compile(r"key|token|secret|password", re.IGNORECASE)


def make_app() -> typer.Typer:
    """The `config` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="config")(show_config)
    return app


def show_config(ctx: typer.Context) -> None:
    """Show every setting with its value and origin; values that look like secrets are hidden."""
    session: Session = ctx.obj
    config, wording = session.config, purposes()
    data: dict[str, Any] = {
        "settings": {
            name: {"value": plain(s.value), "origin": s.origin, "purpose": wording[name]}
            for name, s in config.settings.items()
        },
        **{
            kind: {name: {"options": hide_secrets(s.value), "origin": s.origin} for name, s in table.items()}
            for kind, table in config.tables.items()
        },
    }
    session.emit(data, lambda console: show(console, data))


def plain(value: object) -> object:
    """A setting's value as JSON."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def hide_secrets(options: dict[str, Any]) -> dict[str, Any]:
    """The options, those whose name speaks of a secret without their value (names of variables may stay)."""
    return {
        key: "(hidden)" if SECRET.search(key) and not key.endswith("_env") else value
        for key, value in options.items()
    }


def show(console: Console, data: dict[str, Any]) -> None:
    """Print the settings as a table."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("setting", "value", "origin", "purpose"):
        table.add_column(column, overflow="fold")
    for name, setting in data["settings"].items():
        table.add_row(name, str(setting["value"]), setting["origin"], setting["purpose"])
    console.print(table)
    for kind in (k for k in data if k != "settings"):
        for name, entry in data[kind].items():
            pairs = ", ".join(f"{k}={v}" for k, v in entry["options"].items())
            console.print(f"[{kind}.{name}] {pairs}  ({entry['origin']})", markup=False)
