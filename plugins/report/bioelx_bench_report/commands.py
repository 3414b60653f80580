"""`bioelx-bench report` and `bioelx-bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import UsageError

if TYPE_CHECKING:
    from bioelx_bench_report.loading import Runs

RunsArgument = Annotated[list[str], typer.Argument(help="Runs on the same mentions: folders or ids.")]
FolderOption = Annotated[Path | None, typer.Option("--runs", help="Folder of runs, where ids are looked up.")]
DataRootOption = Annotated[Path | None, typer.Option("--data-root", help="Local mirror of the datasets.")]
DataOption = Annotated[
    list[str] | None, typer.Option("-D", "--data-option", help="key=value for a dataset of your own files.")
]
KbOption = Annotated[
    str | None, typer.Option("--kb", help="The runs' knowledge base, where its name does not lead to it.")
]


def make_report_app() -> typer.Typer:
    """The command `report`."""
    app = typer.Typer(add_completion=False)
    app.command(name="report")(report)
    return app


def make_export_app() -> typer.Typer:
    """The command `export`."""
    app = typer.Typer(add_completion=False)
    app.command(name="export")(export)
    return app


def load(
    session: Session,
    runs: list[str],
    folder: Path | None,
    data: tuple[Path | None, list[str] | None],
    kb: str | None,
) -> Runs:
    """Load runs with their data, and say what is not at hand."""
    from bioelx_bench.options import parse_pairs
    from bioelx_bench_report.loading import DataSource, load_runs

    root, options = data
    source = DataSource(data_root=root, options=parse_pairs(options or (), "-D"), kb=kb)
    found = load_runs(runs, folder or Path(session.config.get("output")), source, session.environment())
    for text in found.missing:
        session.note(text)
    return found


def report(
    context: typer.Context,
    runs: RunsArgument,
    output: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    folder: FolderOption = None,
    data_root: DataRootOption = None,
    data_option: DataOption = None,
    kb: KbOption = None,
) -> None:
    """Show runs on one HTML page that needs no network: scores, charts, and every mention with its candidates."""
    from bioelx_bench_report.page import write_page
    from bioelx_bench_report.report import make_report

    session: Session = context.obj
    if output.suffix not in {".html", ".htm"}:
        raise UsageError("a report is an HTML file", where=f"--output {output}", hint="name it .html")
    found = load(session, runs, folder, (data_root, data_option), kb)
    size = write_page(make_report(found, session.progress), output)
    answer = {"output": str(output), "bytes": size, "runs": [run.result.run_id for run in found.runs]}
    session.emit(answer, lambda console: console.print(f"{output}  {size / 1e6:.1f} MB", markup=False))


def export(
    context: typer.Context,
    runs: RunsArgument,
    to: Annotated[str, typer.Option("--to", help="csv, parquet, latex, markdown, trec, ranx or hf.")] = "",
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; a folder for trec and ranx. Without it text is printed."),
    ] = None,
    rows: Annotated[
        str, typer.Option("--rows", help="For csv and parquet: one row for each of mentions, or scores.")
    ] = "mentions",
    figure: Annotated[
        list[str] | None,
        typer.Option("--figure", help="For latex and markdown: recall@1, mrr, ...; may be repeated."),
    ] = None,
    plots: Annotated[Path | None, typer.Option("--plots", help="Folder for charts as SVG and PNG.")] = None,
    folder: FolderOption = None,
    data_root: DataRootOption = None,
    data_option: DataOption = None,
    kb: KbOption = None,
) -> None:
    """Write runs on the same mentions in the forms that papers and other programs need."""
    session: Session = context.obj
    check_export(to, output, rows, plots)
    found = load(session, runs, folder, (data_root, data_option), kb)
    written = [] if not to else write_export(session, found, to, output, (rows, figure or ["recall@1"]))
    if plots is not None:
        from bioelx_bench_report.plots import write_plots
        from bioelx_bench_report.report import make_report

        written += write_plots(make_report(found, session.progress).charts, plots)
    if written:
        paths = [str(path) for path in written]
        session.emit({"files": paths}, lambda console: console.print("\n".join(paths), markup=False))


def check_export(to: str, output: Path | None, rows: str, plots: Path | None) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: They do not.
    """
    if to not in {"", *FORMATS}:
        raise UsageError(f"unknown format {to!r}", where="--to", hint=", ".join(FORMATS))
    if not to and plots is None:
        raise UsageError("nothing to export", hint=f"--to {'|'.join(FORMATS)}, or --plots FOLDER")
    if rows not in {"mentions", "scores"}:
        raise UsageError(f"unknown rows {rows!r}", where="--rows", hint="mentions or scores")
    if output is None and to in {"csv", "parquet", "trec", "ranx"}:
        raise UsageError(f"--to {to} needs a place to write", hint=f"--output {FORMATS[to]}")


FORMATS = {
    "csv": "rows.csv",
    "parquet": "rows.parquet",
    "latex": "table.tex",
    "markdown": "table.md",
    "trec": "trec",
    "ranx": "ranx",
    "hf": "metadata.yaml",
}
"""Each format, with what its output could be called."""


def write_export(
    session: Session, runs: Runs, to: str, output: Path | None, what: tuple[str, list[str]]
) -> list[Path]:
    """Write one format; text without an output is printed."""
    from bioelx_bench.files import explain_os_errors, write_text
    from bioelx_bench_report import exports, paper_tables

    rows, figures = what
    if to in {"latex", "markdown", "hf"}:
        if to == "hf":
            text = exports.hugging_face_metadata(runs)
        else:
            tables = [paper_tables.paper_table(runs, figure, session.plugins) for figure in figures]
            text = paper_tables.render(tables, to)
        if output is None:
            print(text, end="")
            return []
        write_text(output, text)
        return [output]
    assert output is not None  # noqa: S101 - checked before
    with explain_os_errors(output):
        if to in {"trec", "ranx"}:
            return (exports.write_trec if to == "trec" else exports.write_ranx)(runs, output)
        frame = exports.mention_frame(runs) if rows == "mentions" else exports.score_frame(runs)
        (exports.write_csv if to == "csv" else exports.write_parquet)(frame, output)
    return [output]
