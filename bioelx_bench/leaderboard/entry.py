"""An entry of a leaderboard: a result, an extract of its manifest, and its candidate and ranking ids, compressed.

It lies in `results/<dataset>@<revision>/<run id>/` and holds ids and scores only, no text of dataset or KB.
Every file is hostile until it is checked: sizes first, then the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as parquet
from pydantic import ValidationError

from bioelx_bench.errors import DataError, at
from bioelx_bench.files import atomic_path, hash_file, write_json
from bioelx_bench.results import Record, Result, Sha256
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog
from bioelx_bench.runs.portable import publishable
from bioelx_bench.runs.result import parse_result
from bioelx_bench.runs.run_result import RunResult

RESULTS: Final = "results"
RESULT_FILE: Final = "result.json"
MANIFEST_FILE: Final = "manifest.json"
CANDIDATES_FILE: Final = "candidates.parquet"
RANKINGS_FILE: Final = "rankings.parquet"
FILES: Final = (RESULT_FILE, MANIFEST_FILE, CANDIDATES_FILE, RANKINGS_FILE)

MAX_JSON_BYTES: Final = 4 << 20
MAX_TABLE_BYTES: Final = 64 << 20
MAX_UNPACKED_BYTES: Final = 4 << 30
BATCH: Final = 10_000

LINE: Final = [
    ("mention_id", pa.string()),
    ("concepts", pa.list_(pa.string())),
    ("scores", pa.list_(pa.float64())),
]
CANDIDATES_SCHEMA: Final = pa.schema(LINE)
RANKINGS_SCHEMA: Final = pa.schema(
    [
        *LINE,
        ("evidence", pa.list_(pa.float64())),
        ("status", pa.string()),
        ("nil", pa.bool_()),
        ("fallbacks", pa.string()),
        ("usage", pa.list_(pa.float64())),
    ]
)


class ManifestExtract(Record):
    """What of a run's manifest an entry publishes.

    Attributes:
        identity: What the run's id is the hash of.
        command: The command that made the run, without folders.
        created: When.
        training: Datasets (`NAME@REVISION SPLIT`) on which a component was trained, as its notes say.
        files: sha256 of the entry's tables.
    """

    identity: dict[str, Any]
    command: tuple[str, ...] = ()
    created: str = ""
    training: tuple[str, ...] = ()
    files: dict[str, Sha256]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that was read."""

    folder: Path
    result: Result
    manifest: ManifestExtract


def entry_folder(board: Path, result: Result) -> Path:
    """Where an entry lies; the names in a result are plain ones by its schema."""
    return board / RESULTS / f"{result.dataset.name}@{result.dataset.revision}" / result.run_id


def write_entry(run: RunResult, board: Path) -> Path:
    """Write a finished run as an entry; gives its folder."""
    folder = entry_folder(board, run.result)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / CANDIDATES_FILE, CANDIDATES_SCHEMA, candidate_rows(run.folder / CANDIDATES))
    if run.result.ranker is not None:
        write_table(folder / RANKINGS_FILE, RANKINGS_SCHEMA, ranking_rows(run.folder / RANKINGS))
    manifest = run.manifest()
    extract = ManifestExtract(
        identity=manifest["identity"],
        command=tuple(str(part) for part in publishable(manifest.get("command") or [])),
        created=str(manifest.get("created", "")),
        training=tuple(training_of(run.result)),
        files={
            name: hash_file(folder / name)
            for name in (CANDIDATES_FILE, RANKINGS_FILE)
            if (folder / name).is_file()
        },
    )
    write_json(folder / MANIFEST_FILE, extract.model_dump(mode="json"))
    write_json(folder / RESULT_FILE, publishable(run.result.model_dump(mode="json")))
    return folder


def training_of(result: Result) -> list[str]:
    """The datasets (`NAME@REVISION SPLIT`) that the notes of a run's components name under `training_datasets`."""
    found: list[str] = []
    for notes in (result.notes.retriever, result.notes.ranker):
        said = notes.get("training_datasets", [])
        found += [str(part) for part in (said if isinstance(said, list) else [said])]
    return sorted(set(found))


def write_table(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows as compressed Parquet."""
    with (
        atomic_path(path) as temporary,
        parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        pending: list[dict[str, Any]] = []
        for row in rows:
            pending.append(row)
            if len(pending) == BATCH:
                writer.write_table(pa.Table.from_pylist(pending, schema=schema))
                pending = []
        writer.write_table(pa.Table.from_pylist(pending, schema=schema))


def candidate_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a candidate log, without names."""
    for line in CandidateLog(path, writable=False).lines():
        yield {"mention_id": line.mention_id, "concepts": line.concepts, "scores": line.scores}


def ranking_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a ranking log, without the words of servers."""
    for line in RankingLog(path, writable=False).lines():
        row = line._asdict()
        yield row | {"fallbacks": orjson.dumps(line.fallbacks).decode(), "usage": list(line.usage)}


def read_entry(folder: Path) -> Entry:
    """Read an entry's result and manifest.

    Raises:
        DataError: A file is missing, too large or not as its schema says; the error names file and field.
    """
    result = parse_result(bounded(folder / RESULT_FILE), folder / RESULT_FILE)
    path = folder / MANIFEST_FILE
    try:
        manifest = ManifestExtract.model_validate_json(bounded(path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))[:200]
        raise DataError(
            f"the manifest is not as its schema says: {first['msg']}", where=at(path, field=field)
        ) from error
    return Entry(folder, result, manifest)


def bounded(path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    """The content of a plain file that is not too large.

    Raises:
        DataError: It is missing, a link, or too large.
    """
    check_size(path, limit)
    return path.read_bytes()


def check_size(path: Path, limit: int) -> None:
    """Refuse what is no plain file or larger than an entry's file can be."""
    if path.is_symlink() or not path.is_file():
        raise DataError(
            "the entry lacks a file, or it is no plain file", where=path, hint="add the run again"
        )
    if path.stat().st_size > limit:
        raise DataError(f"the file is larger than {limit >> 20} MiB", where=path, hint="add the run again")


def unpack(path: Path, schema: pa.Schema, target: Path) -> None:
    """Write a table of an entry as the log that it was.

    Raises:
        DataError: It is too large, not Parquet, or has other columns.
    """
    check_size(path, MAX_TABLE_BYTES)
    try:
        with parquet.ParquetFile(path) as file, target.open("wb") as out:
            groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > MAX_UNPACKED_BYTES:
                raise DataError("the table unpacks to more than 4 GiB", where=path, hint="add the run again")
            if file.schema_arrow != schema:
                raise DataError(
                    "the table has other columns than an entry's", where=path, hint="add the run again"
                )
            for batch in file.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    out.write(orjson.dumps(log_line(row)) + b"\n")
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise DataError(
            "the table cannot be read", where=path, why=str(error)[:300], hint="add the run again"
        ) from error


def log_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the line of a log."""
    line = {key: row[key] for key in ("mention_id", "concepts", "scores")}
    if "status" not in row:
        return line | {"names": [""] * len(row["concepts"])}
    calls, prompt, completion, cost = row["usage"]
    usage = [int(calls), int(prompt), int(completion), float(cost)]
    line |= {
        "status": row["status"],
        "nil": row["nil"],
        "fallbacks": orjson.loads(row["fallbacks"]),
        "usage": usage,
    }
    return line if row["evidence"] is None else line | {"evidence": row["evidence"]}
