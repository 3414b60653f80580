"""A base class with which any embedding function becomes an indexed, cached and exactly searched retriever."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.base import BaseRetriever, Environment, Notes
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.progress import Task
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_sapbert.aggregation import ConceptAggregation, TopK
from bioelx_bench_sapbert.name_strings import NameStrings, distinct_names, group_names
from bioelx_bench_sapbert.vectors import (
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
    from bioelx_bench_sapbert.search import ExactSearch

SPARE_VECTORS: Final = 64
"""Vectors kept beyond twice k, so that several names of one concept and near ties have room."""

Vectors = npt.NDArray[np.float32]


class EmbeddingRetriever(BaseRetriever):
    """Finds concepts whose names' vectors have the greatest product with the mention's: only `embed` is to write.

    Each distinct name is embedded once, when the index is built, which continues where it was killed. Search is
    exact: it gives what comparing the mention's vector with every stored vector in fp64 gives, on a CPU or a GPU.

        class Hashes(EmbeddingRetriever):
            def embed(self, texts):
                return np.stack([hash_vector(text) for text in texts])

        bioelx_bench.evaluate("xl-bel", Hashes(environment), kb="open")

    Attributes:
        lowercase_names: Whether names are lowercased before they are embedded.
        lowercase_mentions: The same for mentions.
        normalize: Whether vectors are scaled to length 1, so that the product is the cosine.
        storage: Precision in which the names' vectors are stored.
        device: Where products are computed: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
    """

    units: tuple[Unit, ...] = ("concept", "name")
    lowercase_names: bool = False
    lowercase_mentions: bool = False
    normalize: bool = False
    storage: StorageType = "fp16"
    device: str = "auto"
    software: ClassVar[tuple[str, ...]] = ("numpy", "bioelx-bench-sapbert")

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._kb: KnowledgeBase | None = None
        self._strings: NameStrings | None = None
        self._store: VectorStore | None = None
        self._search: ExactSearch | None = None

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of some strings, names or mentions, shape (len(texts), dimension), the same for any company.

        Args:
            texts: At least one string and at most a few thousand; the empty string is one like others.
        """

    def embed_mentions(self, texts: Sequence[str]) -> Vectors:
        """The vectors of mentions, where they are embedded otherwise than names."""
        return self.embed(texts)

    def index_identity(self) -> dict[str, Any]:
        """What stored vectors depend on beside the model's revision and the class's code."""
        return {
            "lowercase_names": self.lowercase_names,
            "normalize": self.normalize,
            "storage": self.storage,
        }

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Group the names by string and embed the strings (see `BaseRetriever.index`)."""
        strings = group_names(kb, self.lowercase_names)
        strings.save(folder)
        self.build_index(kb, strings, folder)

    def build_index(self, kb: KnowledgeBase, strings: NameStrings, folder: Path) -> None:
        """Make the vectors in the index's folder."""
        target = folder / "vectors"
        target.mkdir(exist_ok=True)
        (target / "texts.arrow").unlink(missing_ok=True)  # quickly written anew; chunks are checked by hash
        write_texts(distinct_names(kb, strings, self.lowercase_names), target)
        texts = Texts(target)
        dimension = self.checked(self.embed(texts.chunk(0)[:1]), 1).shape[1]
        row_bytes = dimension * storage_dtype(self.storage).itemsize
        done = finished_chunks(target, texts, row_bytes)
        rows = sum(rows_of_chunk(chunk, texts.rows) for chunk in done)
        with self.environment.progress.task(
            "Encoding names", total=texts.rows, unit="names", done=rows
        ) as bar:
            encode_chunks(target, self._chunks(texts, done, bar), self.storage, Share())
        fields = {
            "identity": {"model_revision": self.model_revision, **self.index_identity()},
            "precision": {},
            "software": {name: version(name) for name in self.software},
        }
        finish_vectors(target, fields, self.storage, dimension, self.environment.progress)

    def _chunks(
        self, texts: Texts, done: dict[int, Any], bar: Task
    ) -> Iterator[tuple[int, Vectors, dict[str, Any]]]:
        for chunk in range(texts.chunks):
            if chunk not in done:
                strings = texts.chunk(chunk)
                yield chunk, self.checked(self.embed(strings), len(strings)), {}
                bar.advance(len(strings))

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Open the index; its vectors are verified by hash."""
        self._kb = kb
        self._strings = NameStrings.open(folder)
        self._store = self.open_vectors(kb, self._strings, folder)

    def open_vectors(self, kb: KnowledgeBase, strings: NameStrings, folder: Path) -> VectorStore:  # noqa: ARG002
        """The vectors of an index.

        Raises:
            DataError: They are damaged.
        """
        return VectorStore.open_verified(folder / "vectors", self.environment.progress)

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """Find candidates (see `BaseRetriever.search`)."""
        if self._kb is None or self._strings is None:
            raise BenchError("search was called before open")
        if not mentions or k < 1:
            return [[] for _ in mentions]
        texts = [self.query_text(mention) for mention in mentions]
        distinct = list(dict.fromkeys(texts))
        queries = self.checked(self.embed_mentions(distinct), len(distinct))
        aggregation = ConceptAggregation(self._kb, self._strings, k, unit)
        found = self.find(queries, 2 * k + SPARE_VECTORS, aggregation)
        lists = dict(zip(distinct, aggregation.candidates(found), strict=True))
        return [list(lists[text]) for text in texts]

    def find(self, queries: Vectors, width: int, aggregation: ConceptAggregation) -> TopK:
        """The best places of each query."""
        return self.exact.search(queries, width, aggregation.top, self.environment.progress)

    def query_text(self, mention: Mention) -> str:
        """The string of a mention that is embedded."""
        return mention.text.lower() if self.lowercase_mentions else mention.text

    def checked(self, vectors: Any, count: int) -> Vectors:
        """What `embed` gave as fp32, normalised if asked for.

        Raises:
            DataError: It is no matrix with a row for each string, its dimension is not that of the index, or a
                component is not finite.
        """
        where = f"{type(self).__module__}.{type(self).__qualname__}.embed"
        array = np.ascontiguousarray(vectors, np.float32)
        wanted = self.store.dimension if self._store is not None else "dimension"
        if array.ndim != 2 or len(array) != count or wanted not in ("dimension", array.shape[1]):
            raise DataError(
                f"embed gave an array of shape {array.shape} for {count} strings",
                where=where,
                why=f"wanted: float32 of shape ({count}, {wanted})",
                hint="return one vector for each string, in their order",
            )
        if not np.isfinite(array).all():
            raise DataError("embed gave a vector that is not finite", where=where)
        if self.normalize:
            array = array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), np.float32(1e-12))
        return array

    @property
    def store(self) -> VectorStore:
        """The opened vectors."""
        if self._store is None:
            raise BenchError("search was called before open")
        return self._store

    @property
    def exact(self) -> ExactSearch:
        """The exact engine, made when first used."""
        if self._search is None:
            from bioelx_bench_sapbert.hardware import choose_device, has_fast_bf16
            from bioelx_bench_sapbert.search import ExactSearch

            device = choose_device(self.device)
            self._search = ExactSearch(self.store, device, bf16=has_fast_bf16(device))
        return self._search

    def notes(self) -> Notes:
        """What the result records: vectors, engine and exactness."""
        counts: dict[str, int] = {}
        facts: dict[str, Any] = {}
        if self._store is not None:
            manifest = self._store.manifest
            facts["vectors"] = {
                "rows": manifest.rows,
                "dimension": manifest.dimension,
                "storage": manifest.dtype,
                "encoder_precision": manifest.precision,
                "oom_retries": manifest.oom_retries,
            }
        if self._search is not None:
            report = self._search.report
            facts |= {"engine": self._search.name, "device": str(self._search.device)}
            counts = {"queries_searched": report.queries, "fallback_queries": report.fallback_queries}
        return Notes(counts=counts, facts=facts)

    def close(self) -> None:
        """Release the vectors."""
        self._kb = self._strings = self._store = self._search = None
