"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import RetrieverSpec


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """Declare `sentence-transformers`."""
    return [
        RetrieverSpec(
            name="sentence-transformers",
            summary="Any model of sentence-transformers (-R model=)",
            factory="bioelx_bench_sentence_transformers.retriever:SentenceTransformersRetriever",
            options="bioelx_bench_sentence_transformers.options:SentenceTransformersOptions",
            units=("concept", "name"),
        )
    ]
