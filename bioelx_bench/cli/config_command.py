"""`bioelx-bench config`: every setting and where it comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.config import PROJECT_FILE, defaults, purposes
from bioelx_bench.errors import UsageError
from bioelx_bench.files import write_text
from bioelx_bench.redaction import hide_secrets
from bioelx_bench.runs.run_config import FIELDS, cli_of

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The `config` commands."""
    app = typer.Typer(add_completion=False)
    app.callback(invoke_without_command=True)(show_config)
    app.command(name="init")(write_config)
    return app


def write_config(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path(PROJECT_FILE),
) -> None:
    """Write a configuration file with every setting in a comment, to be uncommented where wanted."""
    session: Session = ctx.obj
    if os.path.lexists(output):
        raise UsageError(
            f"{output} is already there", where="--output", hint="choose another with --output FILE"
        )
    write_text(output, commented_file())
    session.emit({"written": str(output)}, lambda console: console.print(f"wrote {output}", markup=False))


def commented_file() -> str:
    """Every setting that a file may hold, commented out at its default, then an example of each table."""
    lines = ["# Settings of bioelx-bench; remove the '#' before what you want to change.", ""]
    found = defaults()
    for name, purpose in purposes().items():
        value = plain(found[name].value)
        allowed = cli_of(name).allowed if name in FIELDS else ()
        lines.append(f"# {purpose}" + (f": {', '.join(allowed)}" if allowed else ""))
        shown = '"..."' if value is None else json.dumps(value, ensure_ascii=False)
        lines.append(f"#{name} = {shown}")
        lines.append("")
    lines += [
        "# Options of components, as -R, -K and -D give them; model= makes a new name for a model.",
        "#[retrievers.bm25]",
        '#fields = "both"',
        "",
        "#[rankers.mine]",
        '#model = "hosted_vllm/Qwen/Qwen3-Reranker-0.6B"',
        '#api_base = "http://localhost:8000/v1"',
        "",
    ]
    return "\n".join(lines)


def show_config(ctx: typer.Context) -> None:
    """Show every setting with its value and origin; values that look like secrets are hidden."""
    if ctx.invoked_subcommand is not None:
        return
    session: Session = ctx.obj
    config, wording = session.config, purposes()
    data: dict[str, Any] = {
        "settings": {
            name: {"value": hide_secrets(plain(s.value), name), "origin": s.origin, "purpose": wording[name]}
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
