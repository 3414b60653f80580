"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import CheckSpec, RetrieverSpec


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """BM25 over names."""
    return [
        RetrieverSpec(
            name="bm25",
            summary="BM25 over the names, each analysed by its language (Lucene through Pyserini)",
            factory="bioelx_bench_bm25.retriever:Bm25Retriever",
            options="bioelx_bench_bm25.options:Bm25Options",
            units=("concept", "name"),
        )
    ]


@hookimpl
def checks() -> list[CheckSpec]:
    """Whether Java and the search library are there."""
    return [
        CheckSpec(
            name="bm25",
            summary="Java 21, Pyserini's search library, analyzers",
            factory="bioelx_bench_bm25.checks:check",
        )
    ]
