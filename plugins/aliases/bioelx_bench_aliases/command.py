"""`bioelx-bench aliases`: fetch names in many languages from sources beside a knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The command `aliases`."""
    app = typer.Typer(no_args_is_help=True, help="Fetch names in many languages for a knowledge base.")
    app.command("fetch")(fetch)
    app.command("sources")(sources)
    return app


def fetch(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A source of aliases; `aliases sources` lists them.")],
    output: Annotated[Path, typer.Option(help="The Parquet table to write.")],
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", help="key=value for the source.")
    ] = None,
    cleaning: Annotated[list[str] | None, typer.Option("--clean", "-C", help="key=value of a rule.")] = None,
) -> None:
    """Read a source into a clean alias table; the same command continues one that was stopped."""
    from bioelx_bench.options import load_object, parse_pairs, validate_options
    from bioelx_bench_aliases.cleaning import CleaningOptions
    from bioelx_bench_aliases.fetch import fetch_aliases

    session: Session = context.obj
    found = session.plugins.get("alias_sources", source)
    model = load_object(found.spec.options, f"the alias source {source!r}")
    options = validate_options(model, parse_pairs(option or (), "-O"), source, "-O")
    rules: dict[str, Any] = dict(parse_pairs(cleaning or (), "--clean"))
    if "languages" in rules:
        rules["languages"] = tuple(x.strip() for x in rules["languages"].split(",") if x.strip())
    environment = session.environment()
    factory = load_object(found.spec.factory, f"the alias source {source!r}")
    record = fetch_aliases(
        factory(options, environment),
        found.spec.name,
        options.model_dump(mode="json"),
        validate_options(CleaningOptions, rules, "aliases fetch", "--clean"),
        output,
        environment,
    )
    session.emit(record, lambda console: show_record(console, record, output))


def show_record(console: Console, record: dict[str, Any], output: Path) -> None:
    """Print what was read, dropped and kept."""
    for key, value in record["counts"].items():
        console.print(f"  {key}: {value:,}", markup=False)
    languages = ", ".join(f"{code} {count:,}" for code, count in record["languages"].items())
    console.print(f"languages: {languages}", markup=False)
    console.print(f"{output}  sha256 {record['sha256']}", markup=False, soft_wrap=True)


def sources(context: typer.Context) -> None:
    """List the sources of aliases with their options."""
    from bioelx_bench.options import load_object

    session: Session = context.obj
    rows = []
    for declared in session.plugins.all("alias_sources"):
        model = load_object(declared.spec.options, f"the alias source {declared.spec.name!r}")
        options = {
            name: {
                "required": field.is_required(),
                "default": None if field.is_required() else field.default,
                "description": field.description,
            }
            for name, field in model.model_fields.items()
        }
        rows.append({"name": declared.spec.name, "summary": declared.spec.summary, "options": options})

    def human(console: Console) -> None:
        for row in rows:
            console.print(f"{row['name']}  {row['summary']}", markup=False, style="bold")
            for name, option in row["options"].items():
                default = "required" if option["required"] else f"default {option['default']!r}"
                console.print(f"    {name}: {option['description']} ({default})", markup=False)

    session.emit(rows, human)
