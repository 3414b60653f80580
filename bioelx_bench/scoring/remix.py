"""Scoring a finished run again with another mix of scores and evidence, from its own rows and logs alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as parquet

from bioelx_bench.records import Document, Interpolation, LabelledMention
from bioelx_bench.runs.logs import CandidateLog, RankingLog
from bioelx_bench.scoring.gold import Gold
from bioelx_bench.scoring.interpolation import validate_interpolation
from bioelx_bench.scoring.join import Joiner, Reordering
from bioelx_bench.scoring.lists import LoggedLists
from bioelx_bench.scoring.outcome import OPPOSITES
from bioelx_bench.scoring.predictions import PredictionWriter, prediction_rows
from bioelx_bench.scoring.protocols import ScoringProtocol
from bioelx_bench.scoring.rankings import RankingIndex

BLOCK: Final = 1000
COLUMNS: Final = ("mention_id", "subset", "document_id", "gold", "in_kb", *OPPOSITES)


def remix_predictions(
    source: Path,
    target: Path,
    candidates: CandidateLog,
    rankings: RankingLog,
    *,
    protocol: ScoringProtocol,
    rerank_depth: int,
    interpolation: Interpolation | None,
) -> None:
    """Write the rows of a run as they are with another mix.

    Args:
        source: `predictions.parquet` of the run: gold, coverage and flags are taken from it.
        target: Where the new rows go.
        candidates: The run's candidate log.
        rankings: Its ranking log.
        protocol: Its protocol.
        rerank_depth: Candidates that were ranked.
        interpolation: The new mix; None takes the ranker's own order.

    Raises:
        UsageError: Weight or temperature are out of range.
        DataError: Rows and logs are not of one run.
    """
    if interpolation is not None:
        validate_interpolation(interpolation)
    index = RankingIndex(rankings)
    ids = [row for batch in batches(source, ["mention_id"]) for row in batch]
    known = (row["in_kb"] for batch in batches(source, ["in_kb"]) for row in batch)
    joiner = Joiner(
        LoggedLists(candidates, None).lines([row["mention_id"] for row in ids]),
        candidates.path,
        lambda mention: Gold(mention.gold, (), next(known)),
        protocol,
        Reordering(index, rerank_depth, interpolation),
    )
    try:
        with PredictionWriter(target) as writer:
            rows = (row for batch in batches(source, list(COLUMNS)) for row in batch)
            for subset, members in groupby(rows, key=lambda row: row["subset"]):
                while block := list(islice(members, BLOCK)):
                    joined = joiner.join([mention_of(row) for row in block])
                    flags = {
                        name: None
                        if block[0][name] is None
                        else np.array([row[name] for row in block], np.bool_)
                        for name in OPPOSITES
                    }
                    ranks = {
                        "retrieval": joined.ranks(protocol.match, ranked=False),
                        "ranking": joined.ranks(protocol.match, ranked=True),
                    }
                    writer.write(prediction_rows(subset, joined, flags, ranks))
                writer.end_subset()
    finally:
        index.close()


def batches(path: Path, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, some thousand at a time."""
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=10_000, columns=columns):
            yield batch.to_pylist()


def mention_of(row: dict[str, Any]) -> LabelledMention:
    """The mention of a row, without the texts that a row does not hold."""
    document = Document(row["document_id"], "", "")
    return LabelledMention(row["mention_id"], document, (), "", "", tuple(row["gold"]))
