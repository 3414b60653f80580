"""What the engine hands to scoring, so that scoring knows nothing of requests, plugins or components."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bioelx_bench.metrics import Metric
from bioelx_bench.progress import Progress
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.scoring.protocols import ScoringProtocol

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringInput:
    """Everything that the figures of a run follow from.

    Attributes:
        subsets: Gives the mentions of each subset, within the run's limit, in the order of the logs; may be called
            again.
        candidates: `candidates.jsonl` (see `bioelx_bench.runs.logs`), complete.
        rankings: `rankings.jsonl`, complete; None where nothing ranked.
        kb: The knowledge base.
        protocol: How candidates are counted.
        metrics: The functions of the metrics by name, `recall` among them.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
        interpolation: How the retriever's scores and the evidence are mixed; None takes the ranker's order.
        seed: Seed of the bootstrap.
        trained_on: Whether each text is among the names the retriever's model was trained on, or None.
        progress: Progress display.
    """

    subsets: Mapping[str, Callable[[], Iterator[LabelledMention]]]
    candidates: Path
    rankings: Path | None
    kb: KnowledgeBase
    protocol: ScoringProtocol
    metrics: Mapping[str, Metric]
    k: int
    rerank_depth: int | None
    interpolation: Interpolation | None
    seed: int
    trained_on: Callable[[Sequence[str]], Sequence[bool] | None]
    progress: Progress
