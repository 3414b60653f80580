"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import DatasetSpec


@hookimpl
def datasets() -> list[DatasetSpec]:
    """Declare `json-notes`."""
    return [
        DatasetSpec(
            name="json-notes",
            summary="Notes in JSON with annotations by offset (five made-up notes are in the package)",
            factory="bioelx_bench_json_notes.dataset:JsonNotes",
            revisions=("1.0",),
            subsets=("de", "es"),
            licence="CC0-1.0",
            homepage="https://github.com/bioelx/bioelx-bench",
            context="document",
            shipped=True,
            benchmark=False,
        )
    ]
