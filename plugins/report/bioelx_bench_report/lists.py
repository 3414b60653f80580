"""The candidates of each mention before and after ranking, read from a run's logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLine, CandidateLog, RankingLog
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.scoring.join import Reordering
from bioelx_bench.scoring.lists import LoggedLists
from bioelx_bench.scoring.matching import offsets_of
from bioelx_bench.scoring.rankings import RankingIndex

BLOCK: Final = 1000


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one mention; `order`, `mixed` and `evidence` stand in the order after ranking.

    Attributes:
        concepts: Concept ids, as retrieved.
        names: The name of each that matched.
        scores: The retriever's scores.
        order: Place in `concepts` of each candidate after ranking; empty where the ranker chose none of them.
        mixed: Mixed scores, None where nothing was mixed.
        evidence: The ranker's evidence, None where there is none.
        ranked: Whether a ranker ran.
    """

    concepts: list[str]
    names: list[str]
    scores: list[float]
    order: list[int]
    mixed: list[float | None]
    evidence: list[float | None]
    ranked: bool


def read_candidates(run: RunResult, mention_ids: Sequence[str]) -> Iterator[Candidates]:
    """The candidates of mentions, in the order of the run (of the first part, where the protocol splits).

    Raises:
        DataError: A log is damaged.
    """
    reordering = None
    if run.result.ranker is not None and run.result.rerank_depth is not None:
        index = RankingIndex(RankingLog(run.folder / RANKINGS, writable=False))
        reordering = Reordering(index, run.result.rerank_depth, run.interpolation)
    log = CandidateLog(run.folder / CANDIDATES, writable=False)
    lines = LoggedLists(log, reordering).lines(mention_ids)
    done = 0
    while block := list(islice(lines, BLOCK)):
        ids = mention_ids[done : done + len(block)]
        done += len(block)
        if reordering is None:
            for line in block:
                yield Candidates(
                    line.concepts, line.names, line.scores, list(range(len(line.concepts))), [], [], False
                )
        else:
            yield from ranked(block, ids, reordering)


def ranked(
    lines: Sequence[CandidateLine], mention_ids: Sequence[str], reordering: Reordering
) -> Iterator[Candidates]:
    """A block's candidates with the order after ranking."""
    offsets = offsets_of([len(line.concepts) for line in lines])
    final = reordering.apply(mention_ids, lines, offsets)
    for place, line in enumerate(lines):
        start, stop = int(offsets[place]), int(offsets[place + 1])
        shown = slice(start, start if final.nil[place] else stop)
        yield Candidates(
            line.concepts,
            line.names,
            line.scores,
            (final.source[shown] - start).tolist(),
            [None if np.isnan(x) else x for x in final.scores[shown].tolist()],
            [None if np.isnan(x) else x for x in final.evidence[shown].tolist()],
            True,
        )
