"""SapBERT and alias-enriched SapBERT retrieval and training for bioelx-bench.

`EmbeddingRetriever` is the base class for dense retrievers over any embedding function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioelx_bench_sapbert.embedding_retriever import EmbeddingRetriever

__all__ = ["EmbeddingRetriever"]


def __getattr__(name: str) -> Any:
    if name == "EmbeddingRetriever":
        from bioelx_bench_sapbert.embedding_retriever import EmbeddingRetriever

        return EmbeddingRetriever
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
