"""`bioelx-bench plugins test`: the conformance kit on what a plugin declares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.testing.declared import KitReport


def test_plugin(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The plugin, as `bioelx-bench plugins` names it.")],
    component: Annotated[
        str | None, typer.Argument(help="One of the names it declares; all by default.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", help="Option of the component, as key=value.")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder with the files of a dataset.")] = None,
    tolerance: Annotated[
        float,
        typer.Option(help="How much a retriever's score may differ between batches; 1e-5 suits fp32 models."),
    ] = 0.0,
) -> None:
    """Run the conformance kit on a plugin's components. Exit code 1 if a check fails."""
    import tempfile

    from bioelx_bench.errors import MissingError
    from bioelx_bench.options import parse_pairs

    session: Session = ctx.obj
    try:
        from bioelx_bench.testing.declared import KitRequest, conformance_classes, run_kit
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise MissingError("the conformance kit needs pytest", hint="pip install pytest") from error
    request = KitRequest(
        plugin=name,
        component=component,
        options=parse_pairs(option or [], "-O"),
        files=session.options.plugin_files,
        data_root=data_root,
        tolerance=tolerance,
    )
    classes = conformance_classes(request)
    with tempfile.TemporaryDirectory(prefix="plugin-test-") as folder:
        report = run_kit(classes, Path(folder))
    session.emit(data_of(report), lambda console: show(console, report))
    if report.failed or not report.checks:
        raise typer.Exit(1)


def data_of(report: KitReport) -> list[dict[str, Any]]:
    """The checks as JSON values."""
    keys = ("component", "check", "outcome", "reason")
    return [dict(zip(keys, check, strict=True)) for check in report.checks]


def show(console: Console, report: KitReport) -> None:
    """Print one line a component, and what failed with its reason."""
    for component, _ in report.classes.values():
        mine = [check for check in report.checks if check[0] == component]
        outcomes = [outcome for _, _, outcome, _ in mine]
        counts = ", ".join(
            f"{outcomes.count(o)} {o}" for o in ("passed", "failed", "skipped") if outcomes.count(o)
        )
        console.print(f"{component}: {counts or 'no check ran'}", markup=False)
    for component, check, _, reason in report.failed:
        console.print(f"\nfailed: {component}: {check}\n  {reason}", markup=False, soft_wrap=True)
