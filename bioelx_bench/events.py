"""What run events tell plugins: plain data, made for reading."""

from __future__ import annotations

from typing import Literal

from bioelx_bench.results import ComponentInfo, DatasetInfo, KnowledgeBaseInfo, ProtocolInfo, Record

StageName = Literal["load", "index", "retrieve", "rank", "score"]
"""The stages of a run in their order; `rank` only with a ranker."""


class RunInfo(Record):
    """What runs, with every default resolved.

    Attributes:
        run_id: First 16 hex digits of the hash of the run's identity.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
    """

    run_id: str
    dataset: DatasetInfo
    kb: KnowledgeBaseInfo
    retriever: ComponentInfo
    ranker: ComponentInfo | None
    protocol: ProtocolInfo
    k: int
    rerank_depth: int | None
    seed: int
