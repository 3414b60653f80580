"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import CommandSpec


@hookimpl
def commands() -> list[CommandSpec]:
    """The commands `report` and `export`."""
    return [
        CommandSpec(
            name="report",
            summary="Show runs on one HTML page, with an explorer of single mentions",
            factory="bioelx_bench_report.commands:make_report_app",
        ),
        CommandSpec(
            name="export",
            summary="Write runs as tables, LaTeX, TREC, ranx or Hugging Face results, and plots for papers",
            factory="bioelx_bench_report.commands:make_export_app",
        ),
    ]
