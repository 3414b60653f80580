"""Reading a source of aliases into a clean table, with a record of where it comes from beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from filelock import FileLock, Timeout

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import explain_os_errors, hash_file, hash_json, sync_folder
from bioelx_bench.kb.alias_tables import SCHEMA, record_path, to_batches
from bioelx_bench.plugins import installed_version
from bioelx_bench.progress import Task
from bioelx_bench.records import Alias
from bioelx_bench.text import fold_text
from bioelx_bench_aliases.cleaning import CleaningOptions, clean, merge

MEMORY: Final = "1500MB"
IDENTITY: Final = ("source", "options", "cleaning", "files")
"""What of a record says which fetch made the table."""


def fetch_aliases(
    source: BaseAliasSource,
    name: str,
    options: Mapping[str, Any],
    cleaning: CleaningOptions,
    output: Path,
    environment: Environment,
) -> dict[str, Any]:
    """Read a source to its end, clean the aliases and write `output` and `output.json`.

    Where the same call has finished before, nothing is read and its record comes back.

    Args:
        source: The source.
        name: Its name, for the record.
        options: Its options (JSON values, nothing secret), for the record.
        cleaning: What is dropped.
        output: A Parquet file.
        environment: Gives progress, and the cache that holds the lock of `output`.

    Returns:
        The record: source, options, files, counts, sha256 of the table, languages.

    Raises:
        UsageError: The output is something else, is not named `.parquet`, or another process is writing it.
        DataError: No alias is left; the counts say why.
        BenchError: The source cannot be read further, or the disk is full. The same call continues.
    """
    if output.suffix != ".parquet":
        raise UsageError(
            "the alias table is a Parquet file", where=f"--output {output}", hint="name it .parquet"
        )
    record: dict[str, Any] = {
        "source": name,
        "options": dict(options),
        "cleaning": cleaning.model_dump(mode="json"),
        "files": dict(source.files),
        "software": installed_version("bioelx-bench-aliases"),
    }
    with working_folder(output, environment) as folder:
        if (finished := finished_record(output, record)) is not None:
            source.close()
            return finished
        counts: Counter[str] = Counter()
        raw, table = folder / "raw.parquet", folder / output.name
        with environment.progress.task(f"Aliases from {name}", unit="aliases") as task:
            write_raw(clean(source, cleaning, counts), raw, task)
        merge(raw, table, cleaning, counts, MEMORY)
        record["counts"] = {**dict(sorted(source.counts.items())), **dict(sorted(counts.items()))}
        if not counts["kept"]:
            raise DataError(
                f"no alias of {name} is left",
                where=output,
                why=", ".join(f"{k} {v}" for k, v in record["counts"].items() if v) or "it is empty",
                hint="check the languages, the crosswalk and the rules (--clean key=value)",
            )
        record["languages"] = count_languages(table)
        record["sha256"] = hash_file(table)
        publish(table, record, output)
    source.close()
    return record


@contextmanager
def working_folder(output: Path, environment: Environment) -> Iterator[Path]:
    """A folder beside the output, on the same disk, for what is not finished; removed at the end.

    Its name is fixed, so that what a killed process left is cleared by the next call. The lock is kept in the cache,
    not beside the user's files.

    Raises:
        UsageError: Another process is writing the same output.
    """
    lock_path = environment.cache.lock_path("aliases-fetch", hash_json([str(output.absolute())])[:32])
    folder = output.with_name(f".{output.name}.unfinished")
    try:
        with FileLock(lock_path, timeout=0), explain_os_errors(output):
            try:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        raise UsageError(
            f"another process is writing {output}",
            where=f"--output {output}",
            hint="wait for it to finish",
        ) from error


def finished_record(output: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of the table that is there already; None if there is none.

    Raises:
        UsageError: What is there was made by another fetch, or is damaged.
    """
    if not output.exists():
        return None
    why = "it has no record, so it is not known what it holds"
    if record_path(output).is_file():
        try:
            record = json.loads(record_path(output).read_text(encoding="utf-8"))
            differing = [key for key in IDENTITY if record[key] != wanted[key]]
            same_content = record["sha256"] == hash_file(output)
        except (ValueError, KeyError, TypeError):
            why = f"its record {record_path(output).name} is damaged"
        else:
            if not differing and same_content:
                return dict(record)
            why = (
                f"it was made with other values of: {', '.join(differing)}"
                if differing
                else "its content is not the one that its record describes"
            )
    raise UsageError(
        f"{output} exists",
        where=f"--output {output}",
        why=why,
        hint="choose another name, or remove it",
    )


def publish(table: Path, record: Mapping[str, Any], output: Path) -> None:
    """Put record and table in their places; the table comes last, since it is the sign of success."""
    text = json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    written = table.with_name(record_path(output).name)
    written.write_text(text, encoding="utf-8")
    for path, target in ((written, record_path(output)), (table, output)):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(target)
    sync_folder(output.parent)


def write_raw(aliases: Iterable[Alias], path: Path, task: Task) -> None:
    """Write aliases as they come, with the column `key` that rules compare names by."""
    import pyarrow.parquet as pq

    schema = SCHEMA.append(pa.field("key", pa.string(), nullable=False))
    with pq.ParquetWriter(path, schema) as writer:
        for batch in to_batches(aliases):
            keys = pa.array([fold_text(t) for t in batch.column("name").to_pylist()], type=pa.string())
            writer.write_batch(pa.record_batch([*batch.columns, keys], schema=schema))
            task.advance(batch.num_rows)


def count_languages(table: Path) -> dict[str, int]:
    """Aliases of each language in a table, most first."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(columns=["lang"]):
            counts.update(batch.column(0).to_pylist())
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
