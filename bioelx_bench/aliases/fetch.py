"""Reading a source of aliases into a clean table, with a record of where it comes from beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa

from bioelx_bench.aliases.cleaning import CleaningOptions, clean, merge
from bioelx_bench.aliases.records import TABLE, Alias, AliasSource, to_batches
from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import atomic_path, explain_os_errors, hash_file, write_json
from bioelx_bench.plugins import installed_version
from bioelx_bench.progress import Task
from bioelx_bench.scoring.surface import normalise

MEMORY: Final = "1500MB"


def fetch_aliases(
    source: AliasSource,
    name: str,
    options: Mapping[str, Any],
    cleaning: CleaningOptions,
    output: Path,
    environment: Environment,
) -> dict[str, Any]:
    """Read a source to its end, clean the aliases and write `output` and `output.json`.

    Args:
        source: The source.
        name: Its name, for the record.
        options: Its options (JSON values, nothing secret), for the record.
        cleaning: What is dropped.
        output: A Parquet file that is not there yet.
        environment: Gives progress.

    Returns:
        The record: source, options, files, counts, sha256 of the table, languages.

    Raises:
        UsageError: The output is there already, or is not named `.parquet`.
        DataError: No alias is left; the counts say why.
        BenchError: The source cannot be read further, or the disk is full. The same call continues.
    """
    if output.suffix != ".parquet":
        raise UsageError(
            "the alias table is a Parquet file", where=f"--output {output}", hint="name it .parquet"
        )
    if output.exists():
        raise UsageError(
            f"{output} exists", where=f"--output {output}", hint="choose another name, or remove it"
        )
    counts: Counter[str] = Counter()
    with explain_os_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".aliases-", dir=output.parent) as folder:
            raw = Path(folder) / "raw.parquet"
            with environment.progress.task(f"Aliases from {name}", unit="aliases") as task:
                write_raw(clean(source, cleaning, counts), raw, task)
            record: dict[str, Any] = {
                "source": name,
                "options": dict(options),
                "cleaning": cleaning.model_dump(mode="json"),
                "files": dict(source.files),
                "software": installed_version("bioelx-bench"),
            }
            with atomic_path(output) as temporary:
                merge(raw, temporary, cleaning, counts, MEMORY)
                all_counts = {**source.counts, **dict(sorted(counts.items()))}
                record["counts"] = all_counts
                if not counts["kept"]:
                    raise DataError(
                        f"no alias of {name} is left",
                        where=output,
                        why=", ".join(f"{k} {v}" for k, v in all_counts.items() if v) or "it is empty",
                        hint="check the languages, the crosswalk and the rules (--clean key=value)",
                    )
                record["languages"] = languages_of(temporary)
                record["sha256"] = hash_file(temporary)
                write_json(
                    record_path(output), record
                )  # before the table appears, which is the sign of success
    source.close()
    return record


def record_path(table: Path) -> Path:
    """Where the record of an alias table is."""
    return table.with_name(table.name + ".json")


def write_raw(aliases: Iterable[Alias], path: Path, task: Task) -> None:
    """Write aliases as they come, with the column `key` that rules compare names by."""
    import pyarrow.parquet as pq

    schema = TABLE.append(pa.field("key", pa.string(), nullable=False))
    with pq.ParquetWriter(path, schema) as writer:
        for batch in to_batches(aliases):
            keys = pa.array([normalise(t) for t in batch.column("name").to_pylist()], type=pa.string())
            writer.write_batch(pa.record_batch([*batch.columns, keys], schema=schema))
            task.advance(batch.num_rows)


def languages_of(table: Path) -> dict[str, int]:
    """Aliases of each language in a table, most first."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(columns=["lang"]):
            counts.update(batch.column(0).to_pylist())
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def read_aliases(table: Path) -> Iterator[Alias]:
    """The aliases of a table that `fetch_aliases` wrote."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                row["language"], row["text"] = row.pop("lang"), row.pop("name")
                yield Alias(**row)
