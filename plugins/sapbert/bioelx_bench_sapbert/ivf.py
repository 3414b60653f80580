"""Approximate search with FAISS's inverted lists, for knowledge bases of tens of millions of names.

The vectors are clustered; a query is compared with the lists of its nearest clusters only. What it finds is
scored again with the exact products, so that only which vectors are found is approximate. How often that
matters is measured: some queries are searched exactly too, and the recall is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError
from bioelx_bench.files import atomic_path
from bioelx_bench.progress import Progress
from bioelx_bench_sapbert.vectors import VectorStore

if TYPE_CHECKING:
    from bioelx_bench_sapbert.aggregation import ConceptAggregation, Scores, TopK
    from bioelx_bench_sapbert.search import ExactSearch

FILE: Final = "ivf.faiss"
BLOCK_ROWS: Final = 65536
VECTORS_PER_LIST: Final = 40
"""Vectors a list that the clustering sees; FAISS asks for at least 39."""

RECALL_SAMPLE: Final = 64
"""Queries of a call whose recall is measured."""


def build_ivf(store: VectorStore, folder: Path, environment: Environment) -> None:
    """Cluster the vectors and write the lists.

    Args:
        store: The vectors.
        folder: Where to write.
        environment: Gives the seed of the clustering and the progress display.
    """
    import faiss

    count, dimension = len(store), store.dimension
    lists = max(1, min(int(4 * count**0.5), count))  # FAISS's guideline for up to a million vectors
    quantizer = faiss.IndexFlatIP(dimension)
    kind = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, lists, kind, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.seed = environment.seed + 1
    index.cp.min_points_per_centroid = 1
    generator = np.random.default_rng(environment.seed)
    chosen = np.sort(generator.choice(count, min(count, VECTORS_PER_LIST * lists), replace=False))
    with environment.progress.task("Building the approximate index", total=2 * count, unit="vectors") as task:
        index.train(store.matrix()[chosen].astype(np.float32))
        task.advance(count)
        for _, block in store.blocks(BLOCK_ROWS):
            index.add(block.astype(np.float32))
            task.advance(len(block))
    with atomic_path(folder / FILE) as temporary:
        faiss.write_index(index, str(temporary))


class IvfSearch:
    """Searches the lists that `build_ivf` wrote."""

    def __init__(self, folder: Path, store: VectorStore, nprobe: int) -> None:
        import faiss

        self._store = store
        flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY
        try:
            index: Any = faiss.read_index(str(folder / FILE), flags)
        except RuntimeError as error:
            raise DataError(
                "the approximate index is damaged",
                where=folder / FILE,
                why=str(error).strip().splitlines()[-1],
                hint="remove its folder; the next run builds it again",
            ) from error
        self._index = index
        if (self._index.ntotal, self._index.d) != (len(store), store.dimension):
            raise DataError("the approximate index does not belong to these vectors", where=folder / FILE)
        self._index.nprobe = min(nprobe, self._index.nlist)
        self._sampled = 0
        self._wanted = 0
        self._hits = 0
        self.queries = 0

    def search(
        self,
        queries: Scores,
        width: int,
        aggregation: ConceptAggregation,
        exact: ExactSearch,
        progress: Progress,
    ) -> TopK:
        """Find each query's best places, and measure the recall on the first `RECALL_SAMPLE` queries.

        Args:
            queries: fp32 vectors, shape (queries, dimension).
            width: Vectors to find for each.
            aggregation: Makes places of vectors.
            exact: Gives the exact products, and the exact answers of the sample.
            progress: Progress display.
        """
        self.queries += len(queries)
        with progress.task("Searching", total=len(queries), unit="mentions") as task:
            _, rows = self._index.search(queries, min(width, len(self._store)))
            task.advance(len(queries))
        found = aggregation.top(rows, exact.rescore(queries, rows))
        true = aggregation.places(exact.search(queries[:RECALL_SAMPLE], width, aggregation.top, progress))
        for got, want in zip(aggregation.places(found)[:RECALL_SAMPLE], true, strict=True):
            self._hits += len(np.intersect1d(got[got >= 0], want[want >= 0]))
            self._wanted += int((want >= 0).sum())
        self._sampled += len(true)
        return found

    def facts(self) -> Mapping[str, Any]:
        """Engine, lists, and the recall of exact search's candidates on the sample."""
        recall = {"value": self._hits / self._wanted, "sample": self._sampled} if self._wanted else None
        return {
            "engine": "faiss-ivf",
            "ivf": {"nlist": int(self._index.nlist), "nprobe": int(self._index.nprobe), "quantizer": "fp16"},
            "recall_against_exact": recall,
        }
