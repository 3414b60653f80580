"""Vectors of many strings on disk: made in chunks, continued after a kill, verified by hash.

A folder holds `texts.arrow` (the strings, a record batch a chunk), `vectors.bin` (row-major, fp16 or fp32),
`center.npy` (the mean vector, fp32) and, written last, `manifest.json`. While it is being made, `chunks-<rank>.jsonl`
says which chunks are done; several processes may each do every n-th chunk.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.files import JsonLines, explain_os_errors, write_text
from bioelx_bench.progress import Progress, Task

CHUNK: Final = 8192
"""Strings a chunk: what a kill can lose, and the unit of hashes."""

FORMAT: Final = 2
"""Changes whenever the same strings and options may give other vectors, or files."""

PRECISION_SAMPLE: Final = 128
MAX_WAITING_WRITES: Final = 2
"""Chunks that are encoded and not yet on disk, at most."""

StorageType = Literal["fp16", "fp32"]
Embed = Callable[[list[str]], npt.NDArray[np.float32]]


class VectorManifest(BaseModel):
    """What a finished folder holds.

    Attributes:
        chunks: sha256 of each chunk's bytes.
        precision: How the encoder's precision compares with fp32 on a sample of the strings.
        radius: Greatest distance of a vector from the center.
        bf16_error: Greatest length of what rounding a vector's difference from the center to bf16 changes.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    identity: dict[str, Any]
    rows: int
    dimension: int
    dtype: StorageType
    chunks: list[str]
    precision: dict[str, Any]
    oom_retries: int
    radius: float
    bf16_error: float
    software: dict[str, str]


class VectorStore:
    """A finished folder of vectors."""

    def __init__(self, folder: Path, manifest: VectorManifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.dtype = storage_dtype(manifest.dtype)

    @classmethod
    def open(cls, folder: Path) -> VectorStore:
        """Open a folder without reading the vectors; `verify` checks them.

        Raises:
            DataError: Its manifest cannot be read.
        """
        path = folder / "manifest.json"
        try:
            manifest = VectorManifest.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise DataError("the cached vectors cannot be read", where=path, why=str(error)) from error
        return cls(folder, manifest)

    @classmethod
    def open_verified(cls, folder: Path, progress: Progress) -> VectorStore:
        """Open a folder and compare every chunk with its hash.

        Raises:
            DataError: It is damaged.
        """
        store = cls.open(folder)
        with progress.task("Verifying vectors", total=len(store), unit="names") as task:
            store.verify(task)
        return store

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self.manifest.dimension

    @property
    def center(self) -> npt.NDArray[np.float32]:
        """The mean vector, shape (dimension,)."""
        loaded: npt.NDArray[np.float32] = np.load(self.folder / "center.npy", allow_pickle=False)
        return loaded

    def verify(self, task: Task | None = None) -> None:
        """Compare every chunk with its hash.

        Raises:
            DataError: A chunk is damaged.
        """
        count = len(self.manifest.chunks)
        row_bytes = self.dimension * self.dtype.itemsize
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            hashes = pool.map(lambda n: chunk_hash(self.folder, n, row_bytes, len(self)), range(count))
            for chunk, (found, expected) in enumerate(zip(hashes, self.manifest.chunks, strict=True)):
                if found != expected:
                    raise DataError(
                        f"the cached vectors are damaged: chunk {chunk} of {count} does not have its hash",
                        where=self.folder / "vectors.bin",
                        hint="remove the folder; the next run makes it again",
                    )
                if task is not None:
                    task.advance(rows_of_chunk(chunk, len(self)))

    def matrix(self) -> npt.NDArray[Any]:
        """All vectors, memory-mapped (what is written to them stays in memory), shape (rows, dimension)."""
        return np.memmap(self.folder / "vectors.bin", self.dtype, "c", shape=(len(self), self.dimension))

    def blocks(self, size: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """The vectors in order, `size` at a time: first row, and the block, which the next one overwrites.

        Reading instead of mapping keeps the process's memory at one block, whatever the file's size.
        """
        buffer = np.empty((min(size, len(self)), self.dimension), self.dtype)
        with (self.folder / "vectors.bin").open("rb", buffering=0) as file:
            for row in range(0, len(self), size):
                block = buffer[: min(size, len(self) - row)]
                read_fully(file, block.data.cast("B"), self.folder)
                yield row, block


def read_fully(file: Any, target: memoryview, folder: Path) -> None:
    """Fill `target` from where a file stands.

    Raises:
        DataError: The file ends before.
    """
    done = 0
    while done < len(target):
        count = file.readinto(target[done:])
        if not count:
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
    size = rows_of_chunk(chunk, rows) * row_bytes
    try:
        with (folder / "vectors.bin").open("rb", buffering=0) as file:
            file.seek(chunk * CHUNK * row_bytes)
            data = file.read(size)
    except FileNotFoundError:
        return None
    return hashlib.sha256(data).hexdigest() if len(data) == size else None


def write_texts(batches: Iterable[list[str]], folder: Path) -> None:
    """Write the strings to encode, a record batch a chunk; kept if an interrupted call wrote them all."""
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
                writer.write_batch(text_batch(waiting[:CHUNK], schema))
                del waiting[:CHUNK]
        if waiting:
            writer.write_batch(text_batch(waiting, schema))
    temporary.replace(path)


def text_batch(texts: list[str], schema: pa.Schema) -> pa.RecordBatch:
    """Strings as a record batch; a lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    safe = [text.encode("utf-8", "replace").decode() for text in texts]
    return pa.record_batch([pa.array(safe, pa.large_string())], schema=schema)


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
        """Up to `PRECISION_SAMPLE` strings, evenly over the first chunk."""
        first = self.chunk(0) if self.chunks else []
        return first[:: max(1, len(first) // PRECISION_SAMPLE)][:PRECISION_SAMPLE]


def read_logs(folder: Path) -> dict[int, dict[str, Any]]:
    """What interrupted and other processes say is done, by chunk."""
    done: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob("chunks-*.jsonl")):
        log = JsonLines(path)
        done |= {int(record["chunk"]): record for record in log}
        log.close()
    return done


def finished_chunks(folder: Path, texts: Texts, row_bytes: int) -> dict[int, dict[str, Any]]:
    """The chunks that are done and complete on disk."""
    return {
        chunk: record
        for chunk, record in read_logs(folder).items()
        if chunk < texts.chunks and chunk_hash(folder, chunk, row_bytes, texts.rows) == record["sha256"]
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which chunks a process does: `rank`, `rank + world`, ..."""

    rank: int = 0
    world: int = 1


def encode_chunks(
    folder: Path,
    embedded: Iterable[tuple[int, npt.NDArray[np.float32], dict[str, Any]]],
    storage: str,
    share: Share,
) -> None:
    """Write chunks of vectors as they come; a thread converts, writes and logs while the next one is encoded.

    Args:
        folder: Holds `texts.arrow`.
        embedded: Number, fp32 vectors of each chunk, and what its log record is to hold beside.
        storage: `fp16` or `fp32`.
        share: Names the log.

    Raises:
        DataError: A vector is not finite, or overflows in fp16.
        BenchError: The disk is full; what was done before is kept.
    """
    texts, dtype = Texts(folder), storage_dtype(storage)
    path = folder / "vectors.bin"
    path.touch()
    log = JsonLines(folder / f"chunks-{share.rank}.jsonl")

    def write(chunk: int, vectors: npt.NDArray[np.float32], record: dict[str, Any]) -> None:
        data = to_storage(vectors, dtype, lambda row: texts.chunk(chunk)[row])
        with explain_os_errors(path), path.open("r+b", buffering=0) as file:
            file.seek(chunk * CHUNK * vectors.shape[1] * dtype.itemsize)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        log.append([{"chunk": chunk, "sha256": hashlib.sha256(data).hexdigest(), **record}])

    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            for item in embedded:
                waiting.append(pool.submit(write, *item))
                while len(waiting) > MAX_WAITING_WRITES:
                    waiting.popleft().result()
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            pool.shutdown()
            log.close()


def to_storage(
    vectors: npt.NDArray[np.float32], dtype: np.dtype[Any], text_of: Callable[[int], str]
) -> bytes:
    """The bytes of vectors as they are stored.

    Raises:
        DataError: A component is not finite, or overflows in fp16.
    """
    with np.errstate(over="ignore"):
        stored = vectors.astype(dtype)
    if not np.isfinite(stored).all():
        row = int(np.argmin(np.isfinite(stored).all(axis=1)))
        raise DataError(
            "a vector overflows in fp16" if np.isfinite(vectors[row]).all() else "a vector is not finite",
            where=f"string {text_of(row)!r}",
            why="components beyond 65,504 cannot be stored in it",
            hint="-R storage=fp32, or -R normalize=true",
        )
    return stored.tobytes()


def finish_vectors(
    folder: Path, fields: dict[str, Any], storage: StorageType, dimension: int, progress: Progress
) -> VectorStore:
    """Check what is on disk, measure the vectors and write the manifest.

    Args:
        folder: Holds all chunks and their logs.
        fields: `identity`, `precision` and `software` of the manifest.
        storage: Precision of the stored vectors.
        dimension: Components of a vector.
        progress: Progress display.

    Raises:
        BenchError: A chunk is not as it was computed.
    """
    logs, texts = read_logs(folder), Texts(folder)
    row_bytes = dimension * storage_dtype(storage).itemsize
    hashes = []
    for chunk in range(texts.chunks):
        found = chunk_hash(folder, chunk, row_bytes, texts.rows)
        if found is None or logs.get(chunk, {}).get("sha256") != found:
            raise BenchError(
                f"chunk {chunk} of the vectors was not written as it was computed",
                where=folder / "vectors.bin",
                why="the disk, or another process, changed it",
                hint="run again; finished chunks are kept",
            )
        hashes.append(found)
    manifest = VectorManifest(
        rows=texts.rows,
        dimension=dimension,
        dtype=storage,
        chunks=hashes,
        oom_retries=sum(int(record.get("oom_retries", 0)) for record in logs.values()),
        radius=0,
        bf16_error=0,
        **fields,
    )
    measured = measure_vectors(VectorStore(folder, manifest), progress)
    for path in folder.glob("chunks-*.jsonl"):
        path.unlink()
    write_text(folder / "manifest.json", measured.manifest.model_dump_json(indent=1))
    return measured


def measure_vectors(store: VectorStore, progress: Progress) -> VectorStore:
    """Write the center, and give the store with the bounds that exact search needs (see `search`)."""
    total = np.zeros(store.dimension, np.float64)
    radius = error = 0.0
    with progress.task("Measuring vectors", total=2 * len(store), unit="names") as task:
        for _, block in store.blocks(CHUNK):
            total += block.sum(axis=0, dtype=np.float64)
            task.advance(len(block))
        center = (total / max(len(store), 1)).astype(np.float32)
        for _, block in store.blocks(CHUNK):
            difference = block.astype(np.float32) - center
            lost = difference - round_to_bf16(difference)
            radius = max(radius, *longest(difference))
            error = max(error, *longest(lost))
            task.advance(len(block))
    np.save(store.folder / "center.npy", center, allow_pickle=False)
    return VectorStore(
        store.folder, store.manifest.model_copy(update={"radius": radius, "bf16_error": error})
    )


def longest(rows: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Upper bound on the greatest length among rows, in a tuple that is empty where there are none."""
    if not len(rows):
        return ()
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return (float(np.sqrt(squares.max())) * (1 + 1e-6),)


def round_to_bf16(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Round to bf16, nearest even, and widen to fp32; values must be finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
