"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import RetrieverSpec


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """Declare `edit-distance`."""
    return [
        RetrieverSpec(
            name="edit-distance",
            summary="Names by edit distance (RapidFuzz)",
            factory="bioelx_bench_edit_distance.retriever:EditDistance",
            options="bioelx_bench_edit_distance.options:EditDistanceOptions",
            units=("concept", "name"),
        )
    ]
