"""The data files of a corpus and their rows: one file, a folder, what `save_to_disk` wrote, or a Hub repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import DatasetRequest
from bioelx_bench.errors import BenchError, DataError, MissingError
from bioelx_bench.io.tables import kind_of, open_table

SUFFIXES: Final = frozenset((".jsonl", ".json", ".ndjson", ".parquet", ".arrow"))
METADATA: Final = frozenset(("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"))
"""Files that the library `datasets` puts beside the data."""

SPLIT_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "test": ("test",),
    "dev": ("dev", "validation", "valid", "val"),
    "train": ("train", "trng"),
}
"""Words in file and folder names that say which split a file holds."""

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def corpus_files(given: str, hub_revision: str, request: DatasetRequest) -> dict[str, Path]:
    """The data files of a corpus by their path in it, in the order of these paths.

    Args:
        given: A file, a folder, or an id on the Hub.
        hub_revision: Commit, tag or branch on the Hub.
        request: Gives the split, the cache, and whether downloads are allowed.

    Raises:
        MissingError: There is no such corpus, or it has no data file of the split.
    """
    path = Path(given).expanduser()
    if path.is_file():
        folder, files = path.parent, [path]
    else:
        if not path.is_dir():
            if not HUB_ID.fullmatch(given):
                raise MissingError(f"there is no folder or file {given}", where=f"-D path={given}")
            path = from_hub(given, hub_revision, request)
        folder, files = path, data_files(path, given)
    chosen = of_split(sorted(files), folder, request)
    return {file.relative_to(folder).as_posix(): file for file in chosen}


def data_files(folder: Path, given: str) -> list[Path]:
    """Every data file below a folder, metadata and hidden files aside."""
    files = [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and kind_of(file) in SUFFIXES
        and file.name not in METADATA
        and not file.name.startswith("cache-")
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        scripts = any(folder.glob("*.py"))
        raise MissingError(
            f"{given} holds no Parquet, Arrow or JSON lines file",
            where=folder,
            why="it is a loading script, which `datasets` no longer runs" if scripts else None,
            hint="convert it to bigbio_kb JSON lines with the script's own tools, and give that file",
        )
    return files


def from_hub(repository: str, revision: str, request: DatasetRequest) -> Path:
    """Download a dataset repository's data files; resumes, and uses what is there when offline."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository,
                repo_type="dataset",
                revision=revision,
                cache_dir=request.cache.root / "hub",
                local_files_only=request.offline,
                allow_patterns=[pattern for end in SUFFIXES for pattern in (f"**/*{end}*", f"*{end}*")]
                + ["*.py"],
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise (MissingError if request.offline else BenchError)(
            f"{repository} cannot be had from the Hub: {error}".splitlines()[0],
            where=f"-D path={repository}",
            hint="check the name and the connection, or give a local folder",
        ) from error


def of_split(files: list[Path], folder: Path, request: DatasetRequest) -> list[Path]:
    """The files of a split, told by the words in their paths; `all` takes every file."""
    if request.split == "all":
        return files
    wanted = SPLIT_WORDS[request.split]
    chosen = [
        file
        for file in files
        if set(re.split(r"[^a-z]+", file.relative_to(folder).as_posix().lower())) & set(wanted)
    ]
    if not chosen:
        raise MissingError(
            f"no file of the corpus is named {' or '.join(wanted)}",
            where=folder,
            hint="name a file by its split, or give --split all",
        )
    return chosen


def corpus_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a data file with their places.

    Raises:
        DataError: It is not in its format; the error names the line or row.
    """
    if kind_of(path) == ".arrow":
        yield from arrow_rows(path)
        return
    file = open_table(path, where=f"-D path={path}")
    for number, row in file.rows():
        yield file.place(number), row


def arrow_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of an Arrow stream, as `datasets` writes it, or of an Arrow file."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            magic = file.read(6)
            file.seek(0)
            reader = pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file)
            batches = (
                map(reader.get_batch, range(reader.num_record_batches)) if magic == b"ARROW1" else reader
            )
            number = 0
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path} row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise DataError("the file is not Arrow", where=path, why=str(error)) from error
