"""From the logs of a run to its scores: one pass over mentions and logs, in blocks, with a few integers a mention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.results import SubsetScores, UsageTotals
from bioelx_bench.runs.logs import CandidateLog, RankingLog
from bioelx_bench.scoring.evaluation import NamedMetric, cutoffs_of
from bioelx_bench.scoring.gold import GoldConcepts
from bioelx_bench.scoring.interpolation import validate_interpolation
from bioelx_bench.scoring.join import Block, Joiner, Reordering
from bioelx_bench.scoring.lists import LoggedLists
from bioelx_bench.scoring.predictions import PredictionWriter, prediction_rows, read_outcomes
from bioelx_bench.scoring.protocols import ScoringProtocol
from bioelx_bench.scoring.rankings import RankingIndex
from bioelx_bench.scoring.summary import summarise
from bioelx_bench.scoring.surface import Keys, Surfaces, find_surfaces, surface_keys

BLOCK: Final = 1000

Flags = npt.NDArray[np.bool_]
Trained = Callable[[Sequence[str]], Sequence[bool] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringInput:
    """Everything that scores depend on.

    Attributes:
        subsets: Name and mentions of each subset, in order; the mentions are iterated twice and must be the same ones
            each time.
        candidates: The finished candidate log.
        rankings: The finished ranking log; None where nothing ranked.
        kb: The knowledge base.
        protocol: How candidates are counted.
        gold_scheme: Scheme of the gold ids; empty for the knowledge base's own.
        metrics: What is computed, `recall` first.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
        interpolation: How scores and evidence are mixed; None takes the ranker's order.
        seed: Seed of the intervals.
        trained_on: Whether the retriever was trained on each text; None, or giving None, for one that cannot tell.
        predictions: Where `predictions.parquet` is written.
        progress: Shows the bars.
    """

    subsets: Sequence[tuple[str, Iterable[LabelledMention]]]
    candidates: CandidateLog
    rankings: RankingLog | None
    kb: KnowledgeBase
    protocol: ScoringProtocol
    metrics: Sequence[NamedMetric]
    k: int
    rerank_depth: int | None
    predictions: Path
    gold_scheme: str = ""
    interpolation: Interpolation | None = None
    seed: int = 0
    trained_on: Trained | None = None
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What scoring gives, as a result records it.

    Attributes:
        scores: Figures by subset, `macro` and `micro`.
        usage: What ranking cost.
        cutoffs: The k of figures.
        metrics: Names of the metrics.
        gold_mapped: Mentions of each subset whose gold stands for something else in the knowledge base.
    """

    scores: dict[str, SubsetScores]
    usage: UsageTotals
    cutoffs: tuple[int, ...]
    metrics: tuple[str, ...]
    gold_mapped: dict[str, int]


def score_run(run: ScoringInput) -> Scored:
    """Score a run whose logs are complete, and write one row a mention to `run.predictions`.

    Raises:
        DataError: The logs are not those of the run's mentions.
        BenchError: A metric breaks its contract.
    """
    rankings = None if run.rankings is None else RankingIndex(run.rankings)
    try:
        reordering = None
        if rankings is not None and run.rerank_depth is not None:
            if run.interpolation is not None:
                validate_interpolation(run.interpolation)
            reordering = Reordering(rankings, run.rerank_depth, run.interpolation)
        mapped = write_predictions(run, reordering)
        names = [name for name, _ in run.subsets]
        lists = LoggedLists(run.candidates, reordering)
        outcomes = read_outcomes(run.predictions, names, ranked=reordering is not None, lists=lists)
        cutoffs = cutoffs_of(run.k, run.rerank_depth)
        scores = summarise(outcomes, run.metrics, depth=run.k, cutoffs=cutoffs, seed=run.seed)
    finally:
        if rankings is not None:
            rankings.close()
    return Scored(
        scores=scores,
        usage=UsageTotals() if rankings is None else rankings.usage,
        cutoffs=cutoffs,
        metrics=tuple(metric.name for metric in run.metrics),
        gold_mapped=mapped,
    )


def write_predictions(run: ScoringInput, reordering: Reordering | None) -> dict[str, int]:
    """Join mentions and logs, one row a mention; gives how many mentions of each subset had their gold mapped."""
    keys = surface_keys(mention.text for _, mentions in run.subsets for mention in mentions)
    surfaces = find_surfaces(run.kb, keys, run.progress)
    joiner = Joiner(
        run.candidates.lines(),
        run.candidates.path,
        GoldConcepts(run.kb, run.protocol, run.gold_scheme),
        run.protocol,
        reordering,
    )
    mapped: dict[str, int] = {}
    with PredictionWriter(run.predictions) as writer, run.progress.task("Scoring", unit="mentions") as task:
        for name, mentions in run.subsets:
            mapped[name] = 0
            for block in blocks(mentions, joiner):
                block_keys, keys = keys[: len(block.kept)][block.kept], keys[len(block.kept) :]
                mapped[name] += block.mapped
                if not len(block):
                    continue
                stages = {"retrieval": block.ranks(run.protocol.match, ranked=False)}
                if reordering is not None:
                    stages["ranking"] = block.ranks(run.protocol.match, ranked=True)
                writer.write(
                    prediction_rows(
                        name, block, flags_of(block, block_keys, surfaces, run.trained_on), stages
                    )
                )
                task.advance(len(block))
            writer.end_subset()
        joiner.check_end()
    return mapped


def blocks(mentions: Iterable[LabelledMention], joiner: Joiner) -> Iterator[Block]:
    """The mentions of a subset joined with the logs, block by block."""
    pending = iter(mentions)
    while batch := list(islice(pending, BLOCK)):
        yield joiner.join(batch)


def flags_of(
    block: Block, keys: Keys, surfaces: Surfaces, trained_on: Trained | None
) -> dict[str, Flags | None]:
    """How the surfaces of mentions relate to what was known of them.

    `exact`: a gold concept has the mention's string as a name; `ambiguous`: several concepts have it; `trained`: the
    retriever was trained on it; `seen`: it is a name in the knowledge base, or the retriever was trained on it.
    """
    concepts = surfaces.concepts(keys)
    owners = np.repeat(np.arange(len(block)), np.diff(block.gold_offsets))
    exact = np.zeros(len(block), np.bool_)
    rows = np.fromiter(chain.from_iterable(gold.rows for gold in block.gold), np.int64)
    exact[owners[surfaces.has(keys[owners], rows)]] = True
    seen: Flags = concepts > 0
    answer = None if trained_on is None else trained_on([mention.text for mention in block.mentions])
    trained = None if answer is None else np.asarray(answer, np.bool_)
    if trained is not None:
        seen = seen | trained
    return {"exact": exact, "ambiguous": concepts > 1, "seen": seen, "trained": trained}
