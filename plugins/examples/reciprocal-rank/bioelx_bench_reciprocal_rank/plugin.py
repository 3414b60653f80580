"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import MetricSpec


@hookimpl
def metrics() -> list[MetricSpec]:
    """Declare `reciprocal-rank`."""
    return [
        MetricSpec(
            name="reciprocal-rank",
            summary="Mean reciprocal rank of the first gold concept",
            factory="bioelx_bench_reciprocal_rank.metric:reciprocal_rank",
        )
    ]
