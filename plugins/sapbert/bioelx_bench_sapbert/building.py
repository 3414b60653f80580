"""Making the cached vectors of a knowledge base's names: once for each model, options and set of names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.files import hash_json, write_text
from bioelx_bench_sapbert.distinct import NameStrings, distinct_texts
from bioelx_bench_sapbert.embeddings import (
    Embeddings,
    Manifest,
    Texts,
    chunk_hash,
    encode_chunks,
    finished_chunks,
    read_logs,
    rows_of_chunk,
    storage_dtype,
    write_texts,
)
from bioelx_bench_sapbert.encoding import Encoder
from bioelx_bench_sapbert.locating import ModelFiles
from bioelx_bench_sapbert.options import DenseOptions
from bioelx_bench_sapbert.statistics import mean_direction, measure

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

FORMAT: Final = 1
SOFTWARE: Final = ("torch", "transformers", "tokenizers", "bioelx-bench-sapbert")


def encoding_identity(options: DenseOptions, files: ModelFiles, dtype: str) -> dict[str, Any]:
    """What decides the vector of a string, as JSON."""
    return {
        "revision": files.revision,
        "pooling": options.pooling,
        "normalize": options.normalize,
        "max_length": options.max_length,
        "prefix": options.prefix,
        "dtype": dtype,
        "storage": options.storage,
    }


def content_hash(batches: Iterable[list[str]]) -> str:
    """sha256 of strings in order."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(b"".join(len(b).to_bytes(4, "little") + b for b in (text.encode() for text in batch)))
    return digest.hexdigest()


def embed_names(
    kb: KnowledgeBase,
    strings: NameStrings,
    options: DenseOptions,
    files: ModelFiles,
    dtype: str,
    environment: Environment,
) -> Embeddings:
    """The vectors of a knowledge base's distinct names, from the cache or made now.

    Cached vectors are verified by hash; damaged ones are made again.

    Args:
        kb: The knowledge base.
        strings: Its distinct names.
        options: How strings become vectors, and where and with how many processes.
        files: The model.
        dtype: The precision that `options.dtype` stands for on this machine.
        environment: Gives the cache and the progress display.
    """
    lowercase = options.lowercase != "none"
    identity = encoding_identity(options, files, dtype)
    key = hash_json(
        {
            "format": FORMAT,
            "encoding": identity,
            "content": content_hash(distinct_texts(kb, strings, lowercase)),
        }
    )[:32]

    def build(folder: Path) -> None:
        write_texts(distinct_texts(kb, strings, lowercase), folder)
        make_vectors(folder, options, files, identity, environment)

    fresh = environment.cache.find("embeddings", key) is None
    folder = environment.cache.build("embeddings", key, build)
    if fresh:
        return Embeddings.open(folder)
    try:
        return open_verified(folder, environment)
    except DataError as error:
        environment.cache.discard("embeddings", key)
        with environment.progress.task(f"Encoding again: {error.what}", total=1):
            folder = environment.cache.build("embeddings", key, build)
        return Embeddings.open(folder)


def open_verified(folder: Path, environment: Environment) -> Embeddings:
    """Open vectors and compare them with their hashes.

    Raises:
        DataError: They are damaged.
    """
    embeddings = Embeddings.open(folder)
    with environment.progress.task("Verifying vectors", total=len(embeddings), unit="names") as task:
        embeddings.verify(task)
    return embeddings


def make_vectors(
    folder: Path, options: DenseOptions, files: ModelFiles, identity: dict[str, Any], environment: Environment
) -> None:
    """Fill a folder that holds the strings; continues what an interrupted call left."""
    from bioelx_bench_sapbert.workers import encode_in_processes, process_count

    texts = Texts(folder)
    processes = process_count(options, texts.chunks)
    encoder = Encoder.load(files, environment, options)
    precision = dict(encoder.measure_precision(texts.sample()))
    row_bytes = encoder.dimension * storage_dtype(options.storage).itemsize
    done = sum(rows_of_chunk(chunk, texts.rows) for chunk in finished_chunks(folder, texts, row_bytes))
    with environment.progress.task("Encoding names", total=texts.rows, unit="names", done=done) as task:
        if processes > 1:
            dimension = encoder.dimension
            del encoder
            encode_in_processes(folder, options, files, environment, processes, task)
        else:
            encode_chunks(folder, encoder, options.storage, task)
            dimension = encoder.dimension
    finish(folder, texts, dimension, options, files, identity, precision, environment)


def finish(
    folder: Path,
    texts: Texts,
    dimension: int,
    options: DenseOptions,
    files: ModelFiles,
    identity: dict[str, Any],
    precision: dict[str, Any],
    environment: Environment,
) -> None:
    """Measure the vectors and write the manifest."""
    logs = read_logs(folder)
    row_bytes = dimension * storage_dtype(options.storage).itemsize
    hashes = []
    for chunk in range(texts.chunks):
        found = chunk_hash(folder, chunk, row_bytes, texts.rows)
        if found is None or logs.get(chunk, {}).get("sha256") != found:
            raise BenchError(
                f"chunk {chunk} of the vectors was not written as it was computed",
                where=folder / "vectors.bin",
                why="the disk, or another process, changed it",
                hint="run again; what is whole is kept",
            )
        hashes.append(found)
    manifest = Manifest(
        model=files.reference,
        revision=files.revision,
        encoding=identity,
        rows=texts.rows,
        dimension=dimension,
        dtype=options.storage,
        chunks=hashes,
        precision=precision,
        halvings=sum(int(record["halvings"]) for record in logs.values()),
        statistics={},
        software={name: version(name) for name in SOFTWARE},
    )
    unmeasured = Embeddings(folder, manifest)
    with environment.progress.task("Measuring vectors", total=2 * texts.chunks, unit="chunks") as task:

        def chunks() -> Iterable[Any]:
            for _, block in unmeasured.blocks(rows_of_chunk(c, texts.rows) for c in range(texts.chunks)):
                yield block
                task.advance()

        center = mean_direction(chunks(), dimension)
        statistics = measure(chunks(), center)
    np.save(folder / "center.npy", center, allow_pickle=False)
    for path in folder.glob("chunks-*.jsonl"):
        path.unlink()
    measured = manifest.model_copy(update={"statistics": statistics.as_json()})
    write_text(folder / "manifest.json", measured.model_dump_json(indent=1))
