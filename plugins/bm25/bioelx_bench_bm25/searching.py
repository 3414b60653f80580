"""Searching an open Lucene index: many queries in several threads, few crossings from Python to Java.

One crossing builds a query; all queries of a batch are searched in one, and their hits come back as one JSON
text, which Jackson (in Pyserini's jar) writes and Python reads, instead of two crossings for each hit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench_bm25.analyzers import Analyzers
from bioelx_bench_bm25.indexing import LANGUAGE_FIELD, LUCENE_FOLDER, java_path
from bioelx_bench_bm25.java import import_class
from bioelx_bench_bm25.parallel import map_in_pool, search_function

CHUNK: Final = 512
"""Queries whose hits come back in one crossing; bounds the JSON text and the wait after Ctrl-C."""
MAX_CLAUSES: Final = 1 << 16
"""Distinct words of a query; Lucene's own limit of 1,024 is one that a long mention could reach."""


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A mention's text and language."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Hits:
    """Name rows that match a query, best first, equal scores by row; both of shape (hits,)."""

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]


class Searcher:
    """An open index. The Java machine must run; errors are Java's.

    Args:
        folder: The finished index.
        fields: Lucene fields whose scores are added.
        analyzers: Analyzers by language.
        folding: The analyzer of the language-independent field.
        bm25: BM25's k1 and b.
        threads: Java threads that search.
    """

    def __init__(
        self,
        folder: Path,
        fields: Sequence[str],
        analyzers: Analyzers,
        folding: Any,
        bm25: tuple[float, float],
        threads: int,
    ) -> None:
        import jnius

        self._fields = tuple(fields)
        self._analyzers = analyzers
        self._folding = folding
        directory = import_class("org.apache.lucene.store.FSDirectory").open(
            java_path(folder / LUCENE_FOLDER)
        )
        self._reader = import_class("org.apache.lucene.index.DirectoryReader").open(directory)
        reader = jnius.cast("org.apache.lucene.index.IndexReader", self._reader)
        self._searcher = import_class("org.apache.lucene.search.IndexSearcher")(reader)
        self._searcher.setSimilarity(
            import_class("org.apache.lucene.search.similarities.BM25Similarity")(*bm25)
        )
        import_class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MAX_CLAUSES)
        self._generator = import_class("io.anserini.search.query.BagOfWordsQueryGenerator")()
        self._mapper = import_class("com.fasterxml.jackson.databind.ObjectMapper")()
        self._pool = import_class("java.util.concurrent.ForkJoinPool")(threads)
        self.names = int(self._reader.maxDoc())

    def check(self) -> None:
        """Verify the checksums of all files of the index."""
        for leaf in self._reader.leaves().toArray():
            leaf.reader().checkIntegrity()

    def search(self, queries: Sequence[TextQuery], count: int) -> list[Hits]:
        """The `count` best name rows of each query."""
        function = search_function(self._searcher, min(count, max(1, self.names)))
        found: list[Hits] = []
        for start in range(0, len(queries), CHUNK):
            built = import_class("java.util.ArrayList")()
            for query in queries[start : start + CHUNK]:
                built.add(self._build(query))
            tops = self._mapper.writeValueAsString(map_in_pool(self._pool, function, built))
            found += [read_hits(top["scoreDocs"]) for top in json.loads(tops)]
        return found

    def _build(self, query: TextQuery) -> Any:
        text = query.text.encode("utf-8", "replace").decode("utf-8")  # Java refuses half of a surrogate pair
        parts = [
            self._generator.buildQuery(
                name, self._analyzers.of(query.language) if name == LANGUAGE_FIELD else self._folding, text
            )
            for name in self._fields
        ]
        if len(parts) == 1:
            return parts[0]
        builder = import_class("org.apache.lucene.search.BooleanQuery$Builder")()
        for part in parts:
            builder.add(part, import_class("org.apache.lucene.search.BooleanClause$Occur").SHOULD)
        return builder.build()

    def close(self) -> None:
        """Close the index's files and end the threads."""
        self._pool.shutdown()
        self._reader.close()


def read_hits(found: Sequence[dict[str, Any]]) -> Hits:
    """Hits from Jackson's form of Lucene's `ScoreDoc`."""
    return Hits(
        np.fromiter((hit["doc"] for hit in found), np.int64, len(found)),
        np.fromiter((hit["score"] for hit in found), np.float64, len(found)),
    )
