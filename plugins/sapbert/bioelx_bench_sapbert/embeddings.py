"""Vectors of many strings on disk: made in chunks, continued after a kill, verified by hash.

A folder holds `texts.arrow` (the strings, a record batch a chunk), `vectors.bin` (row-major, fp16 or fp32),
`center.npy` (see `statistics`) and, written last, `manifest.json`. While it is being made, `chunks-<rank>.jsonl`
says which chunks are done; several processes may each do every n-th chunk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from bioelx_bench.errors import DataError
from bioelx_bench.files import JsonLines, explain_os_errors
from bioelx_bench.progress import Task
from bioelx_bench_sapbert.encoding import Encoder

CHUNK: Final = 8192
"""Strings a chunk: what a kill can lose, and the unit of hashes."""

SAMPLE: Final = 128


class Manifest(BaseModel):
    """What a finished folder holds.

    Attributes:
        chunks: sha256 of each chunk's bytes.
        precision: How the encoder's precision compares with fp32 on a sample of the strings.
        halvings: How often a batch was halved because memory ran out.
        statistics: Bounds on the vectors, see `statistics.Statistics`.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    revision: str
    encoding: dict[str, Any]
    rows: int
    dimension: int
    dtype: Literal["fp16", "fp32"]
    chunks: list[str]
    precision: dict[str, Any]
    halvings: int
    statistics: dict[str, float]
    software: dict[str, str]


class Embeddings:
    """A finished folder of vectors."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.dtype = storage_dtype(manifest.dtype)

    @classmethod
    def open(cls, folder: Path) -> Embeddings:
        """Open a folder without reading the vectors; `verify` checks them.

        Raises:
            DataError: Its manifest cannot be read.
        """
        path = folder / "manifest.json"
        try:
            manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise DataError("the cached vectors cannot be read", where=path, why=str(error)) from error
        return cls(folder, manifest)

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self.manifest.dimension

    def verify(self, task: Task | None = None) -> None:
        """Compare every chunk with its hash.

        Raises:
            DataError: A chunk is damaged.
        """
        count = len(self.manifest.chunks)
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            hashes = pool.map(
                lambda chunk: chunk_hash(self.folder, chunk, self.row_bytes, len(self)), range(count)
            )
            for chunk, (found, expected) in enumerate(zip(hashes, self.manifest.chunks, strict=True)):
                if found != expected:
                    raise DataError(
                        f"the cached vectors are damaged: chunk {chunk} of {count} does not have its hash",
                        where=self.folder / "vectors.bin",
                    )
                if task is not None:
                    task.advance(rows_of_chunk(chunk, len(self)))

    @property
    def row_bytes(self) -> int:
        """Bytes of a vector."""
        return self.dimension * self.dtype.itemsize

    def matrix(self) -> npt.NDArray[Any]:
        """All vectors, memory-mapped, shape (rows, dimension)."""
        return np.memmap(self.folder / "vectors.bin", self.dtype, "r", shape=(len(self), self.dimension))

    def blocks(self, sizes: Iterable[int]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """The vectors in order, in blocks of the given sizes, read into one buffer that is used again.

        Reading instead of mapping keeps the process's memory at one block, whatever the file's size.

        Yields:
            First row and the block; the block is overwritten by the next one.
        """
        row = 0
        buffer = np.empty((0, self.dimension), self.dtype)
        with (self.folder / "vectors.bin").open("rb", buffering=0) as file:
            for wish in sizes:
                size = min(wish, len(self) - row)
                if size <= 0:
                    return
                if size > len(buffer):
                    buffer = np.empty((size, self.dimension), self.dtype)
                read_fully(file.fileno(), buffer[:size].data.cast("B"), row * self.row_bytes, self.folder)
                yield row, buffer[:size]
                row += size

    def gather(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Copies of some vectors, shape (rows, dimension).

        Read like `blocks`: a map would take in the neighbours of every vector that is looked at, in the end the
        whole file.
        """
        vectors = np.empty((len(rows), self.dimension), self.dtype)
        with (self.folder / "vectors.bin").open("rb", buffering=0) as file:
            for vector, row in zip(vectors, rows.tolist(), strict=True):
                read_fully(file.fileno(), vector.data.cast("B"), row * self.row_bytes, self.folder)
        return vectors


def read_fully(descriptor: int, target: memoryview, offset: int, folder: Path) -> None:
    """Fill `target` from a file.

    Raises:
        DataError: The file ends before.
    """
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], offset + done)
        if count == 0:
            raise DataError("the cached vectors are cut short", where=folder / "vectors.bin")
        done += count


def storage_dtype(name: str) -> np.dtype[Any]:
    """The numpy type of a storage option."""
    return np.dtype(np.float16 if name == "fp16" else np.float32)


def rows_of_chunk(chunk: int, rows: int) -> int:
    """How many strings a chunk has."""
    return min(CHUNK, rows - chunk * CHUNK)


def chunk_hash(folder: Path, chunk: int, row_bytes: int, rows: int) -> str | None:
    """sha256 of a chunk's bytes as they are on disk; None where the file is too short or not there."""
    path = folder / "vectors.bin"
    size = rows_of_chunk(chunk, rows) * row_bytes
    try:
        with path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), size, chunk * CHUNK * row_bytes)
    except FileNotFoundError:
        return None
    return hashlib.sha256(data).hexdigest() if len(data) == size else None


def write_texts(batches: Iterable[list[str]], folder: Path) -> None:
    """Write the strings to encode, a record batch a chunk; kept if an interrupted call wrote them whole."""
    path = folder / "texts.arrow"
    if path.is_file():
        return
    temporary = path.with_suffix(".part")
    schema = pa.schema([("text", pa.large_string())])
    waiting: list[str] = []
    with (
        explain_os_errors(path),
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        for batch in batches:
            waiting += batch
            while len(waiting) >= CHUNK:
                writer.write_batch(
                    pa.record_batch([pa.array(waiting[:CHUNK], pa.large_string())], schema=schema)
                )
                del waiting[:CHUNK]
        if waiting:
            writer.write_batch(pa.record_batch([pa.array(waiting, pa.large_string())], schema=schema))
    temporary.replace(path)


class Texts:
    """The strings of a folder, a chunk at a time."""

    def __init__(self, folder: Path) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(str(folder / "texts.arrow")))
        self.chunks: int = self._reader.num_record_batches
        last = self._reader.get_batch(self.chunks - 1).num_rows if self.chunks else 0
        self.rows: int = max(0, self.chunks - 1) * CHUNK + last

    def chunk(self, number: int) -> list[str]:
        """The strings of a chunk."""
        texts: list[str] = self._reader.get_batch(number).column("text").to_pylist()
        return texts

    def sample(self) -> list[str]:
        """Up to `SAMPLE` strings, evenly over the first chunk."""
        first = self.chunk(0) if self.chunks else []
        return first[:: max(1, len(first) // SAMPLE)][:SAMPLE]


def read_logs(folder: Path) -> dict[int, dict[str, Any]]:
    """What interrupted and other processes say is done, by chunk."""
    done: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob("chunks-*.jsonl")):
        log = JsonLines(path)
        done |= {int(record["chunk"]): record for record in log}
        log.close()
    return done


def finished_chunks(folder: Path, texts: Texts, row_bytes: int) -> dict[int, dict[str, Any]]:
    """The chunks that are done and whole on disk."""
    return {
        chunk: record
        for chunk, record in read_logs(folder).items()
        if chunk < texts.chunks and chunk_hash(folder, chunk, row_bytes, texts.rows) == record["sha256"]
    }


def encode_chunks(
    folder: Path, encoder: Encoder, storage: str, task: Task, rank: int = 0, world: int = 1
) -> None:
    """Encode the chunks of a folder that are not done yet.

    Args:
        folder: Holds `texts.arrow`.
        encoder: The encoder.
        storage: `fp16` or `fp32`.
        task: Progress, in strings.
        rank: This process does chunks `rank`, `rank + world`, ...
        world: Number of processes.

    Raises:
        DataError: A vector is not finite, or overflows in fp16.
        BenchError: The disk is full; what was done before is kept.
    """
    texts, dtype = Texts(folder), storage_dtype(storage)
    row_bytes = encoder.dimension * dtype.itemsize
    done = finished_chunks(folder, texts, row_bytes)
    if sizes := [int(record["batch_size"]) for record in done.values()]:
        encoder.batch_size = min(encoder.batch_size, *sizes)  # where memory ran out before, it would again
    log = JsonLines(folder / f"chunks-{rank}.jsonl")
    path = folder / "vectors.bin"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for chunk in range(rank, texts.chunks, world):
            if chunk in done:
                continue
            strings, halvings = texts.chunk(chunk), encoder.halvings
            data = to_storage(encoder.encode(strings, task), dtype, strings)
            with explain_os_errors(path):
                write_fully(descriptor, data, chunk * CHUNK * row_bytes)
                os.fsync(descriptor)
            log.append(
                [
                    {
                        "chunk": chunk,
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "batch_size": encoder.batch_size,
                        "halvings": encoder.halvings - halvings,
                    }
                ]
            )
    finally:
        os.close(descriptor)
        log.close()


def to_storage(vectors: npt.NDArray[np.float32], dtype: np.dtype[Any], texts: list[str]) -> bytes:
    """The bytes of vectors as they are stored.

    Raises:
        DataError: A component overflows in fp16.
    """
    with np.errstate(over="ignore"):
        stored = vectors.astype(dtype)
    if not np.isfinite(stored).all():
        row = int(np.argmin(np.isfinite(stored).all(axis=1)))
        raise DataError(
            "a vector overflows in fp16",
            where=f"string {texts[row]!r}",
            why="components beyond 65,504 cannot be stored in it",
            hint="-R storage=fp32, or -R normalize=true",
        )
    return stored.tobytes()


def write_fully(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at an offset."""
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count
