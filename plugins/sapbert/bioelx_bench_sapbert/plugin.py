"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import CommandSpec, RetrieverSpec


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """Dense retrieval with any encoder, under the defaults of SapBERT and of BioELX."""
    return [
        RetrieverSpec(
            name="sapbert",
            summary="Vanilla SapBERT: dot product of CLS vectors of names and mentions",
            factory="bioelx_bench_sapbert.retriever:make_retriever",
            options="bioelx_bench_sapbert.options:SapBertOptions",
            units=("concept", "name"),
        ),
        RetrieverSpec(
            name="sapbert-x",
            summary="Alias-enriched SapBERT (BioELX): cosine of CLS vectors",
            factory="bioelx_bench_sapbert.retriever:make_retriever",
            options="bioelx_bench_sapbert.options:SapBertXOptions",
            units=("concept", "name"),
        ),
    ]


@hookimpl
def commands() -> list[CommandSpec]:
    """Training."""
    return [
        CommandSpec(
            name="train",
            summary="Train a retriever on the names of a knowledge base",
            factory="bioelx_bench_sapbert.training.command:make_app",
        )
    ]
