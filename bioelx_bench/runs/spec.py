"""What a run is: data, knowledge base, components and policies, and the id that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from bioelx_bench.events import RunInfo
from bioelx_bench.files import hash_json
from bioelx_bench.results import ComponentInfo, DatasetInfo, KnowledgeBaseInfo, ProtocolInfo
from bioelx_bench.scoring.protocols import ScoringProtocol

ID_LENGTH: Final = 16


@dataclass(frozen=True, kw_only=True)
class ResolvedRun:
    """A run with every default resolved.

    Attributes:
        dataset: Which mentions.
        kb: Which knowledge base.
        retriever: The retriever as a result records it.
        retriever_identity: What of the retriever results depend on.
        ranker: The ranker as a result records it, or None.
        ranker_identity: What of the ranker results depend on.
        protocol: How candidates are counted.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
        seed: Seed.
    """

    dataset: DatasetInfo
    kb: KnowledgeBaseInfo
    retriever: ComponentInfo
    retriever_identity: Mapping[str, Any]
    ranker: ComponentInfo | None
    ranker_identity: Mapping[str, Any] | None
    protocol: ScoringProtocol
    k: int
    rerank_depth: int | None
    seed: int

    def identity(self) -> dict[str, Any]:
        """Everything that candidates and rankings depend on, as JSON.

        Batch size, device and the like are not in it, nor metrics: those are computed from the logs at any time.
        """
        data = self.dataset
        return {
            "dataset": {"name": data.name, "revision": data.revision, "split": data.split},
            "data": dict(data.sha256),
            "limit": data.limit,
            "kb": self.kb.sha256
            if self.kb.crosswalk is None
            else [self.kb.sha256, self.kb.crosswalk, data.id_scheme],
            "retriever": dict(self.retriever_identity),
            "ranker": None if self.ranker_identity is None else dict(self.ranker_identity),
            "protocol": self.protocol.describe(),
            "k": self.k,
            "rerank_depth": self.rerank_depth,
            "seed": self.seed,
        }

    @cached_property
    def id(self) -> str:
        """The run's id: the first hex digits of its identity's sha256."""
        return hash_json(self.identity())[:ID_LENGTH]

    def info(self) -> RunInfo:
        """What run events tell of it."""
        return RunInfo(
            run_id=self.id,
            dataset=self.dataset,
            kb=self.kb,
            retriever=self.retriever,
            ranker=self.ranker,
            protocol=ProtocolInfo(**self.protocol.describe()),
            k=self.k,
            rerank_depth=self.rerank_depth,
            seed=self.seed,
        )
