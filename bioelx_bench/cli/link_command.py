"""`bioelx-bench link`: candidates and rankings for mentions in text without gold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bioelx_bench.cli.run_command import with_options
from bioelx_bench.cli.session import Session
from bioelx_bench.errors import DataError, MissingError, UsageError, at
from bioelx_bench.runs.run_config import command_layer

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.records import Mention
    from bioelx_bench.runs.linking import LinkedMention

OPTIONS: Final = (
    *("retriever", "retriever_options", "ranker", "ranker_options", "preset", "kb"),
    *("k", "rerank_depth", "seed", "fresh"),
)
"""The run options that linking takes."""

SHOWN: Final = 5


def make_app() -> typer.Typer:
    """The `link` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="link")(with_options(link, list(OPTIONS)))
    return app


def link(
    ctx: typer.Context,
    options: dict[str, Any],
    text: Annotated[list[str] | None, typer.Argument(help='"fever after [dengue]"; quote it.')] = None,
    file: Annotated[
        Path | None,
        typer.Option(help='One text a line, or .jsonl with "text" and perhaps "language"; - is stdin.'),
    ] = None,
    language: Annotated[str, typer.Option(help="ISO 639-1 code of the texts.")] = "en",
) -> None:
    """Link the mentions in texts, each marked by square brackets; a text without any is a mention itself."""
    from bioelx_bench.api import wall
    from bioelx_bench.runs.linking import link_mentions, mentions_in
    from bioelx_bench.runs.plan import plan_run

    session: Session = ctx.obj
    given = [(one, language) for one in text or ()]
    if file is not None:
        given += read_texts(file, language)
    if not given:
        raise UsageError("there is no text to link", hint='bioelx-bench link "fever after [dengue]"')
    mentions: list[Mention] = [
        m for number, (one, tongue) in enumerate(given) for m in mentions_in(one, number, tongue)
    ]
    plan = plan_run(session, command_layer(options), with_dataset=False)
    with wall(session):
        found = link_mentions(plan, mentions, session.environment(seed=plan.config.seed))
    session.emit([one.to_dict() for one in found], lambda console: show(console, found))


def read_texts(file: Path, language: str) -> list[tuple[str, str]]:
    """The texts of a file with their languages; empty lines are left out.

    Raises:
        MissingError: There is no such file.
        DataError: It is not UTF-8, or a line of a `.jsonl` file is no object with `text`.
    """
    try:
        content = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {file}", where="--file") from error
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8", where=file, why=str(error)) from error
    lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    if file.suffix != ".jsonl":
        return [(line.strip(), language) for _, line in lines]
    found = []
    for number, line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError("the line is not JSON", where=at(file, number), why=str(error)) from error
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise DataError('the line is no object with "text"', where=at(file, number, "text"))
        found.append((record["text"], str(record.get("language", language))))
    return found


def show(console: Console, found: list[LinkedMention]) -> None:
    """Print one table with the first candidates of each mention."""
    from rich.table import Table
    from rich.text import Text

    from bioelx_bench.visible import visible

    table = Table(box=None, pad_edge=False)
    for column in ("mention", "", "concept", "name", "score"):
        table.add_column(column, overflow="fold", justify="right" if column == "score" else "left")
    for one in found:
        shown = one.final[:SHOWN] if one.ranking is None or not one.ranking.nil else ()
        label = Text(visible(one.mention.text))
        if not shown:
            table.add_row(label, "", Text("none", style="dim"), "", "")
        for place, candidate in enumerate(shown, 1):
            cells = (Text(visible(candidate.concept_id)), Text(visible(candidate.name)))
            table.add_row(label if place == 1 else "", str(place), *cells, f"{candidate.score:.3f}")
    console.print(table)
