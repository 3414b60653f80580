"""What a run is: data, knowledge base, components and policies, and the id that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bioelx_bench.files import hash_json
from bioelx_bench.runs.components import ResolvedComponent
from bioelx_bench.scoring.protocols import ScoringProtocol

ID_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class ResolvedRun:
    """A run with every default resolved.

    Attributes:
        dataset: Name of the benchmark.
        revision: Its revision.
        split: Its split.
        data: sha256 of each subset's mentions, in the order of the table.
        limit: Only the first so many mentions of each subset, or None.
        kb: `name`, `sha256`, `concepts`, `names` of the knowledge base.
        retriever: The retriever.
        retriever_model: Its model revision.
        retriever_identity: What else of the retriever results depend on.
        ranker: The ranker, or None.
        ranker_model: Its model revision.
        ranker_identity: What else of the ranker results depend on, such as a template's hash.
        protocol: How candidates are counted.
        metrics: Names of metrics.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
        seed: Seed.
    """

    dataset: str
    revision: str
    split: str
    data: Mapping[str, str]
    limit: int | None
    kb: Mapping[str, Any]
    retriever: ResolvedComponent
    retriever_model: str | None
    retriever_identity: Mapping[str, Any]
    ranker: ResolvedComponent | None
    ranker_model: str | None
    ranker_identity: Mapping[str, Any]
    protocol: ScoringProtocol
    metrics: tuple[str, ...]
    k: int
    rerank_depth: int | None
    seed: int

    def identity(self) -> dict[str, Any]:
        """Everything the result depends on, as JSON; batch size, device and the like are not in it."""
        return {
            "dataset": {"name": self.dataset, "revision": self.revision, "split": self.split},
            "data": dict(self.data),
            "limit": self.limit,
            "kb": self.kb["sha256"],
            "retriever": self.retriever.identity()
            | {"model": self.retriever_model, "identity": dict(self.retriever_identity)},
            "ranker": None
            if self.ranker is None
            else self.ranker.identity()
            | {"model": self.ranker_model, "identity": dict(self.ranker_identity)},
            "protocol": self.protocol.describe(),
            "metrics": list(self.metrics),
            "k": self.k,
            "rerank_depth": self.rerank_depth,
            "seed": self.seed,
        }

    @cached_property
    def id(self) -> str:
        """The run's id: the first hex digits of its identity's sha256."""
        return hash_json(self.identity())[:ID_LENGTH]

    def describe(self) -> dict[str, Any]:
        """The head of `manifest.json` and `result.json`."""
        retriever = self.retriever.describe() | {"model_revision": self.retriever_model}
        ranker = None
        if self.ranker is not None:
            ranker = self.ranker.describe() | {"model_revision": self.ranker_model}
        return {
            "run_id": self.id,
            "dataset": {
                "name": self.dataset,
                "revision": self.revision,
                "split": self.split,
                "subsets": list(self.data),
                "sha256": dict(self.data),
                "limit": self.limit,
            },
            "kb": dict(self.kb),
            "retriever": retriever,
            "ranker": ranker,
            "protocol": self.protocol.describe(),
            "k": self.k,
            "rerank_depth": self.rerank_depth,
            "seed": self.seed,
        }
