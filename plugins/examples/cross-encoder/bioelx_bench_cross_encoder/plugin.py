"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import RankerSpec


@hookimpl
def rankers() -> list[RankerSpec]:
    """Declare `cross-encoder`."""
    return [
        RankerSpec(
            name="cross-encoder",
            summary="Any CrossEncoder of sentence-transformers (-K model=)",
            factory="bioelx_bench_cross_encoder.ranker:CrossEncoderRanker",
            options="bioelx_bench_cross_encoder.options:CrossEncoderOptions",
        )
    ]
