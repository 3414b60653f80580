"""What an entry must fulfil, whether or not its data is on this machine; each failure is one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.leaderboard.entry import (
    CANDIDATES_FILE,
    FILES,
    MANIFEST_FILE,
    RANKINGS_FILE,
    RESULT_FILE,
    Entry,
    entry_folder,
)
from bioelx_bench.results import AVERAGES, Result, SubsetScores
from bioelx_bench.runs.portable import publishable

MAX_FAILED_SHARE: Final = 0.01
"""Share of mentions whose ranking may have failed in an entry."""

TOLERANCE: Final = 1e-9

SHARES: Final = ("recall", "mrr", "map", "ndcg")
"""Metrics whose figures are between 0 and 1."""


def check_entry(entry: Entry, board: Path, subsets: tuple[str, ...] | None) -> Iterator[str]:
    """Everything that is wrong with an entry by itself.

    Args:
        entry: The entry.
        board: The leaderboard's folder.
        subsets: The subsets that its dataset declares; None where that is not known.
    """
    result, folder = entry.result, entry.folder
    if folder.resolve() != entry_folder(board, result).resolve():
        wanted = entry_folder(Path(), result).as_posix()
        yield f"{folder}: the entry belongs at {wanted} (fields dataset, run_id of {RESULT_FILE})"
    extra = sorted(p.name for p in folder.iterdir() if p.name not in FILES)
    if extra:
        yield f"{folder}: {extra[0][:80]} is no file of an entry"
    yield from check_identity(entry)
    yield from check_files(entry)
    yield from check_scores(result, folder / RESULT_FILE)
    yield from check_whole(result, folder / RESULT_FILE, subsets)
    yield from check_training(entry)
    yield from check_privacy(entry)


def check_identity(entry: Entry) -> Iterator[str]:
    """The run's id follows from the identity, and the identity is that of the result."""
    result, identity, path = entry.result, entry.manifest.identity, entry.folder / MANIFEST_FILE
    if hash_json(identity)[:16] != result.run_id:
        yield f"{path} (identity): its hash is not the run id {result.run_id}"
    data = result.dataset
    wanted: dict[str, Any] = {
        "dataset": {"name": data.name, "revision": data.revision, "split": data.split},
        "data": data.sha256,
        "limit": data.limit,
        "kb": result.kb.sha256,
        "protocol": result.protocol.model_dump(mode="json"),
        "k": result.k,
        "rerank_depth": result.rerank_depth,
        "seed": result.seed,
    }
    for field, value in wanted.items():
        if identity.get(field) != value:
            yield f"{path} (identity.{field}): it differs from {RESULT_FILE}"
    if "interpolation" in identity and identity["interpolation"] != result.interpolation:
        yield f"{path} (identity.interpolation): it differs from {RESULT_FILE}"
    for name, info in (("retriever", result.retriever), ("ranker", result.ranker)):
        known = identity.get(name)
        if info is None or not isinstance(known, Mapping):
            if info is not None or known is not None:
                yield f"{path} (identity.{name}): it differs from {RESULT_FILE}"
            continue
        same = {
            "name": info.plugin or info.name,
            "version": info.version,
            "model": info.model_revision,
        }
        for field, value in same.items():
            if known.get(field) != value:
                yield f"{path} (identity.{name}.{field}): it differs from {RESULT_FILE}"


def check_files(entry: Entry) -> Iterator[str]:
    """The tables are there and those that the manifest names."""
    micro = entry.result.scores.get("micro")
    mentions = 0 if micro is None else micro.n
    wanted = [CANDIDATES_FILE, *([RANKINGS_FILE] if entry.result.ranker is not None else [])]
    if sorted(entry.manifest.files) != sorted(wanted):
        yield f"{entry.folder / MANIFEST_FILE} (files): it names other tables than {', '.join(wanted)}"
    for name in wanted:
        path = entry.folder / name
        if not path.is_file() or path.is_symlink():
            yield f"{path}: the table is missing"
        elif entry.manifest.files.get(name) != hash_file(path):
            yield f"{path}: its hash is not the one in {MANIFEST_FILE} (files.{name})"
        elif (rows := rows_of(path)) < mentions:
            yield f"{path}: it has {rows:,} rows for {mentions:,} mentions"


def rows_of(path: Path) -> int:
    """Rows of a table; 0 where it is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def check_scores(result: Result, path: Path) -> Iterator[str]:
    """Figures are fractions, and no recall is above coverage."""
    if list(result.scores) != [*result.dataset.subsets, *AVERAGES]:
        yield f"{path} (scores): its rows are not the dataset's subsets and averages"
        return
    for name, row in result.scores.items():
        for stage in ("retrieval", "ranking") if row.ranking else ("retrieval",):
            for figure, value in row.stage(stage).figures.items():
                field = f"scores.{name}.{stage}.figures.{figure}"
                if value is None or figure.partition("@")[0] not in SHARES:
                    continue
                if not 0 <= value <= 1:
                    yield f"{path} ({field}): {value:g} is no share"
                elif not figure.startswith("recall@"):
                    continue
                elif row.coverage is not None and value > row.coverage + TOLERANCE:
                    yield f"{path} ({field}): recall {100 * value:.1f} is above the coverage {100 * row.coverage:.1f}"


def check_whole(result: Result, path: Path, subsets: tuple[str, ...] | None) -> Iterator[str]:
    """All mentions were linked, and few failed."""
    if result.dataset.limit is not None:
        yield f"{path} (dataset.limit): the run covers only the first {result.dataset.limit} mentions of each subset"
    if subsets is not None and result.dataset.subsets != subsets:
        yield f"{path} (dataset.subsets): the run covers {len(result.dataset.subsets)} of {len(subsets)} subsets"
    micro: SubsetScores | None = result.scores.get("micro")
    failed = max(result.usage.errors, micro.failed if micro else 0)
    if micro is not None and failed > MAX_FAILED_SHARE * micro.n:
        yield f"{path} (usage.errors): the ranking of {failed:,} of {micro.n:,} mentions failed, more than 1 %"


def check_training(entry: Entry) -> Iterator[str]:
    """No component was trained on the split that it is tested on."""
    data = entry.result.dataset
    path = entry.folder / MANIFEST_FILE
    for told in sorted({*entry.manifest.training}):
        name, _, split = told.partition(" ")
        dataset, _, revision = name.partition("@")
        same = dataset == data.name and revision in {"", data.revision} and split in {"", "all", data.split}
        if same:
            yield f"{path} (training): a component was trained on {told}, which is what it is tested on"


def check_privacy(entry: Entry) -> Iterator[str]:
    """No folder of a machine, private address or key is published."""
    for name, record in ((RESULT_FILE, entry.result), (MANIFEST_FILE, entry.manifest)):
        content = record.model_dump(mode="json")
        if publishable(content) != content:
            yield f"{entry.folder / name}: it names a folder, private address or key of the machine it ran on"
