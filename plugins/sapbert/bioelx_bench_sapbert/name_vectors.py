"""Making the cached vectors of a knowledge base's names: once for each model, options and set of names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError
from bioelx_bench.files import hash_json
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.model_files import ModelFiles
from bioelx_bench_sapbert.name_strings import NameStrings, distinct_names
from bioelx_bench_sapbert.options import DenseOptions
from bioelx_bench_sapbert.vectors import (
    FORMAT,
    Share,
    StorageType,
    Texts,
    VectorStore,
    encode_chunks,
    finish_vectors,
    finished_chunks,
    rows_of_chunk,
    storage_dtype,
    write_texts,
)

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

SOFTWARE: Final = ("torch", "transformers", "tokenizers", "bioelx-bench-sapbert")


@dataclass(frozen=True, slots=True)
class NameEncoding:
    """How names become stored vectors.

    Attributes:
        options: The retriever's options, with the precision that `auto` stands for.
        files: The model.
        storage: Precision of the stored vectors.
    """

    options: DenseOptions
    files: ModelFiles
    storage: StorageType

    @property
    def lowercase(self) -> bool:
        """Whether names are lowercased."""
        return self.options.lowercase != "none"

    def identity(self) -> dict[str, Any]:
        """What decides the vector of a string, as JSON."""
        fields = {"pooling", "normalize", "max_length", "prefix", "dtype"}
        values = self.options.model_dump(mode="json", include=fields)
        return {"revision": self.files.revision, "storage": self.storage, **values}


def content_hash(batches: Iterable[list[str]]) -> str:
    """sha256 of strings in order."""
    digest = hashlib.sha256()
    for batch in batches:
        encoded = (text.encode("utf-8", "replace") for text in batch)
        digest.update(b"".join(len(b).to_bytes(4, "little") + b for b in encoded))
    return digest.hexdigest()


def embed_names(
    kb: KnowledgeBase, strings: NameStrings, encoding: NameEncoding, environment: Environment
) -> VectorStore:
    """The vectors of a knowledge base's distinct names, from the cache or made now.

    Cached vectors are verified by hash; damaged ones are made again.

    Args:
        kb: The knowledge base.
        strings: Its distinct names.
        encoding: How strings become vectors, and where and with how many processes.
        environment: Gives the cache and the progress display.
    """
    key = hash_json(
        {
            "format": FORMAT,
            "encoding": encoding.identity(),
            "content": content_hash(distinct_names(kb, strings, encoding.lowercase)),
        }
    )[:32]

    def build(folder: Path) -> None:
        write_texts(distinct_names(kb, strings, encoding.lowercase), folder)
        make_vectors(folder, encoding, environment)

    fresh = environment.cache.find("embeddings", key) is None
    folder = environment.cache.build("embeddings", key, build)
    if fresh:
        return VectorStore.open(folder)
    try:
        return VectorStore.open_verified(folder, environment.progress)
    except DataError as error:
        environment.cache.discard("embeddings", key)
        with environment.progress.task(f"Encoding again: {error.what}", total=1):
            folder = environment.cache.build("embeddings", key, build)
        return VectorStore.open(folder)


def make_vectors(folder: Path, encoding: NameEncoding, environment: Environment) -> None:
    """Fill a folder that holds the strings; continues what an interrupted call left."""
    from bioelx_bench_sapbert.workers import encode_in_processes, process_count

    texts = Texts(folder)
    processes = process_count(encoding.options, texts.chunks)
    encoder = Encoder.load(encoding.files, environment, encoding.options)
    precision = dict(encoder.measure_precision(texts.sample()))
    dimension = encoder.dimension
    row_bytes = dimension * storage_dtype(encoding.storage).itemsize
    done = sum(rows_of_chunk(chunk, texts.rows) for chunk in finished_chunks(folder, texts, row_bytes))
    with environment.progress.task("Encoding names", total=texts.rows, unit="names", done=done) as task:
        if processes > 1:
            del encoder
            encode_in_processes(folder, encoding, environment, processes, task)
        else:
            encode_share(folder, encoder, encoding.storage, Share(), task)
    fields = {
        "identity": encoding.identity(),
        "precision": precision,
        "software": {name: version(name) for name in SOFTWARE},
    }
    finish_vectors(folder, fields, encoding.storage, dimension, environment.progress)


def encode_share(folder: Path, encoder: Encoder, storage: str, share: Share, task: Any) -> None:
    """Encode those chunks of a process's share that are not done yet.

    Raises:
        DataError: A vector is not finite, or overflows in fp16.
        BenchError: The disk is full; what was done before is kept.
    """
    texts = Texts(folder)
    done = finished_chunks(folder, texts, encoder.dimension * storage_dtype(storage).itemsize)
    if sizes := [int(record["batch_size"]) for record in done.values()]:
        encoder.batch_size = min(encoder.batch_size, *sizes)  # where memory ran out before, it would again
    numbers = [n for n in range(share.rank, texts.chunks, share.world) if n not in done]
    batches = ((number, texts.chunk(number)) for number in numbers)
    encode_chunks(folder, encoder.encode_batches(batches, task), storage, share)
