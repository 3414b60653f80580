"""`predictions.parquet`: one row a mention, from which every figure of a run is computed.

It holds ids, ranks, flags, and the predicted concept with its name and scores; no text of the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as parquet

from bioelx_bench.errors import DataError
from bioelx_bench.files import atomic_path
from bioelx_bench.metrics import NO_HIT
from bioelx_bench.runs.logs import CandidateLine
from bioelx_bench.scoring.join import Block
from bioelx_bench.scoring.matching import Ranks
from bioelx_bench.scoring.outcome import OPPOSITES, StageRanks, SubsetOutcome

Flags = npt.NDArray[np.bool_]

ROW_GROUP: Final = 50_000

SCHEMA: Final = pa.schema(
    [
        ("mention_id", pa.string()),
        ("subset", pa.string()),
        ("document_id", pa.string()),
        ("gold", pa.list_(pa.string())),
        ("in_kb", pa.bool_()),
        ("exact", pa.bool_()),
        ("ambiguous", pa.bool_()),
        ("seen", pa.bool_()),
        ("trained", pa.bool_()),
        ("failed", pa.bool_()),
        ("candidates", pa.int32()),
        ("retrieval_rank", pa.int32()),
        ("ranking_rank", pa.int32()),
        ("retrieval_gold_ranks", pa.list_(pa.int32())),
        ("ranking_gold_ranks", pa.list_(pa.int32())),
        ("retrieved", pa.string()),
        ("retrieved_name", pa.string()),
        ("predicted", pa.string()),
        ("predicted_name", pa.string()),
        ("retrieval_score", pa.float64()),
        ("ranking_score", pa.float64()),
        ("evidence", pa.float64()),
    ]
)
"""Columns. Ranks are null for no hit; those of `ranking` also where nothing ranked. `retrieved` is the retriever's
first concept and `predicted` that of the last stage (of the first part, where the protocol splits), null for none;
`retrieval_score` is the retriever's score of the predicted concept, `ranking_score` its mixed score, `evidence` the
ranker's. `trained` is null where the retriever cannot tell."""


class PredictionWriter:
    """Writes the rows of a run's mentions block by block; the file is there once all are written.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._context = atomic_path(path)
        self._pending: list[pa.Table] = []

    def __enter__(self) -> PredictionWriter:
        self._writer = parquet.ParquetWriter(self._context.__enter__(), SCHEMA, compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.end_subset()
            self._writer.close()
        finally:
            self._context.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """Add rows of the subset that is being written."""
        self._pending.append(table)
        if sum(t.num_rows for t in self._pending) >= ROW_GROUP:
            self.end_subset()

    def end_subset(self) -> None:
        """Write what is pending, so that no row group holds two subsets."""
        if self._pending:
            self._writer.write_table(pa.concat_tables(self._pending).combine_chunks())
            self._pending = []


def rank_columns(
    ranks: dict[str, tuple[Ranks, Ranks]], gold_offsets: npt.NDArray[np.int64], n: int
) -> dict[str, pa.Array]:
    """The columns of ranks of both stages, null throughout for a stage that did not run."""
    offsets = pa.array(gold_offsets, pa.int32())
    columns: dict[str, pa.Array] = {}
    for stage in ("retrieval", "ranking"):
        if stage not in ranks:
            columns[f"{stage}_rank"] = pa.nulls(n, pa.int32())
            columns[f"{stage}_gold_ranks"] = pa.nulls(n, SCHEMA.field(f"{stage}_gold_ranks").type)
            continue
        best, flat = ranks[stage]
        columns[f"{stage}_rank"] = pa.array(best, pa.int32(), mask=best == NO_HIT)
        values = pa.array(flat, pa.int32(), mask=flat == NO_HIT)
        columns[f"{stage}_gold_ranks"] = pa.ListArray.from_arrays(offsets, values)
    return columns


def prediction_rows(
    subset: str, block: Block, flags: dict[str, Flags | None], ranks: dict[str, tuple[Ranks, Ranks]]
) -> pa.Table:
    """The rows of a block of mentions.

    Args:
        subset: Its subset.
        block: The mentions with their candidates.
        flags: The columns `exact`, `ambiguous`, `seen`, `trained`.
        ranks: Ranks of mentions and of gold concepts, by stage.
    """
    n = len(block)
    first = block.parts[:-1]
    starts, sizes = block.offsets[:-1][first], np.diff(block.offsets)[first]
    sources = starts.copy()
    there = sizes > 0
    final = block.final
    if final is not None:
        sources[there] = final.source[starts[there]]
        there = there & ~final.nil
    lines = [block.lines[part] for part in first]
    places = sources - starts

    retrieved = [line.concepts[0] if line.concepts else None for line in lines]
    retrieved_names = [line.names[0] if line.names else None for line in lines]
    chosen: list[tuple[CandidateLine, int] | None] = [
        (line, place) if ok else None
        for line, place, ok in zip(lines, places.tolist(), there.tolist(), strict=True)
    ]

    def said(values: npt.NDArray[np.float64] | None) -> pa.Array:
        if values is None:
            return pa.nulls(n, pa.float64())
        shown = np.full(n, np.nan)
        shown[there] = values[starts[there]]
        return pa.array(shown, pa.float64(), mask=np.isnan(shown))

    columns = {
        "mention_id": [m.id for m in block.mentions],
        "subset": pa.repeat(pa.scalar(subset), n),
        "document_id": [m.document.id for m in block.mentions],
        "gold": [gold.ids for gold in block.gold],
        "in_kb": [gold.in_kb for gold in block.gold],
        **{name: pa.nulls(n, pa.bool_()) if value is None else value for name, value in flags.items()},
        "failed": np.zeros(n, np.bool_) if final is None else final.failed,
        "candidates": sizes.astype(np.int32),
        **rank_columns(ranks, block.gold_offsets, n),
        "retrieved": retrieved,
        "retrieved_name": retrieved_names,
        "predicted": retrieved if final is None else [at and at[0].concepts[at[1]] for at in chosen],
        "predicted_name": retrieved_names if final is None else [at and at[0].names[at[1]] for at in chosen],
        "retrieval_score": [at and at[0].scores[at[1]] for at in chosen],
        "ranking_score": said(None if final is None else final.scores),
        "evidence": said(None if final is None else final.evidence),
    }
    return pa.table(columns, schema=SCHEMA)


LARGE: Final = frozenset(
    {
        *("mention_id", "subset", "gold", "retrieved", "retrieved_name", "predicted", "predicted_name"),
        *("retrieval_score", "ranking_score", "evidence"),
    }
)
"""Columns that no figure needs."""

Lists = Callable[[str, Sequence[str]], Sequence[Sequence[str]]]
"""Gives the candidate ids of mentions (by id, in order) after a stage."""


def read_outcomes(
    path: Path, subsets: Sequence[str], *, ranked: bool, lists: Lists
) -> Iterator[SubsetOutcome]:
    """The outcomes of each subset, in order.

    Args:
        path: `predictions.parquet`.
        subsets: Every subset of the run.
        ranked: Whether a ranker ran.
        lists: Gives candidate lists, for metrics that ask for them.

    Raises:
        DataError: The file is not what `PredictionWriter` writes.
    """
    try:
        file = parquet.ParquetFile(path)
        if file.schema_arrow != SCHEMA:
            raise DataError(
                "the predictions have other columns", where=path, hint="repeat the run with --fresh"
            )
        groups: dict[str, list[int]] = {name: [] for name in subsets}
        for number in range(file.num_row_groups):
            name = file.read_row_group(number, columns=["subset"]).column(0)[0].as_py()
            groups.setdefault(name, []).append(number)
        trained = file.read(columns=["trained"]).column(0)
        flags = [f for f in OPPOSITES if f != "trained" or trained.null_count < len(trained)]
        for name, numbers in groups.items():
            yield read_outcome(file, name, numbers, flags, ranked=ranked, lists=lists)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            "the predictions cannot be read", where=path, why=str(error), hint="repeat the run with --fresh"
        ) from error


def read_outcome(
    file: parquet.ParquetFile,
    name: str,
    groups: list[int],
    flags: Sequence[str],
    *,
    ranked: bool,
    lists: Lists,
) -> SubsetOutcome:
    """The outcome of one subset from its row groups."""
    wanted = [name for name in SCHEMA.names if name not in LARGE]
    table = file.read_row_groups(groups, columns=wanted).combine_chunks()

    def column(key: str) -> pa.Array:
        found = table.column(key)
        return found.chunk(0) if found.num_chunks else pa.array([], SCHEMA.field(key).type)

    def boolean(key: str) -> Flags:
        values: Flags = column(key).fill_null(False).to_numpy(zero_copy_only=False)
        return values

    def texts(key: str) -> list[Any]:
        values: list[Any] = file.read_row_groups(groups, columns=[key]).column(0).to_pylist()
        return values

    def stage(key: str) -> StageRanks:
        return StageRanks(
            ranks=filled(column(f"{key}_rank")),
            gold_ranks=filled(column(f"{key}_gold_ranks").flatten()),
            lists=lambda: lists(key, texts("mention_id")),
        )

    documents = column("document_id").dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return SubsetOutcome(
        name=name,
        documents=documents.astype(np.int64),
        in_kb=boolean("in_kb"),
        flags={key: boolean(key) for key in flags},
        without_candidates=column("candidates").to_numpy() == 0,
        failed=boolean("failed"),
        gold_offsets=column("retrieval_gold_ranks").offsets.to_numpy().astype(np.int64),
        gold=lambda: texts("gold"),
        retrieval=stage("retrieval"),
        ranking=stage("ranking") if ranked else None,
    )


def filled(ranks: pa.Array) -> Ranks:
    """Ranks with `NO_HIT` for null."""
    found: Ranks = ranks.fill_null(NO_HIT).to_numpy()
    return found
