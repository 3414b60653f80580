"""TF-IDF over character n-grams within words, compared by cosine; one sparse product for a block of mentions.

Pieces are taken from casefolded text in Unicode's form NFKC, with a space at each end of a word, so that the
beginnings and ends of words count. They are known by 31-bit hashes (scikit-learn's `HashingVectorizer`), of which the
index keeps those that names have: no vocabulary of texts is needed, and collisions are some in ten thousand. Weights
are sublinear term frequency times smoothed inverse document frequency.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_char_ngram.options import CharNgramOptions

HASHES: Final = 2**31 - 1
BLOCK: Final = 128
"""Mentions in one sparse product, which bounds memory: a mention shares a piece with up to all names."""

LONGEST: Final = 1000
"""Characters of a mention that are compared: no name is that long."""

DECIMALS: Final = 6
"""Scores are rounded to what fp32 holds, so that names with the same pieces tie."""

PARTS: Final = ("data", "indices", "indptr")


def prepare(text: str) -> str:
    """Text in the form that is compared; surrogates that stand alone are replaced."""
    whole = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFKC", whole).casefold()


class CharNgram(BaseRetriever):
    """Finds the names whose pieces weigh most like the mention's."""

    units: tuple[Unit, ...] = ("concept", "name")

    def __init__(self, options: CharNgramOptions, environment: Environment) -> None:
        self._lengths = (options.min_n, options.max_n)
        self._threads = options.threads
        self._progress = environment.progress
        self._hashing = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=self._lengths,
            n_features=HASHES,
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
            lowercase=False,
            preprocessor=prepare,
        )

    def index_identity(self) -> Mapping[str, Any]:
        """The lengths of pieces."""
        return {"lengths": list(self._lengths)}

    def count(self, texts: Sequence[str]) -> Any:
        """Sublinear frequencies of pieces, a sparse matrix of shape (texts, hashes)."""
        counts = self._hashing.transform(texts)
        np.log(counts.data, out=counts.data)
        counts.data += 1
        return counts

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Count the pieces of every name, and keep the weights by piece."""
        parts = []
        with self._progress.task("Counting pieces", total=kb.name_count, unit="names") as task:
            for batch in kb.name_batches(["text"]):
                parts.append(self.count(batch.column("text").to_pylist()))
                task.advance(len(batch))
        counts = sparse.vstack(parts, format="csr", dtype=np.float32)
        pieces, columns = np.unique(counts.indices, return_inverse=True)
        with_piece = np.bincount(columns, minlength=len(pieces))
        idf = (np.log((1 + kb.name_count) / (1 + with_piece)) + 1).astype(np.float32)
        shape = (kb.name_count, len(pieces))
        names = sparse.csr_matrix((counts.data * idf[columns], columns, counts.indptr), shape=shape)
        by_piece = normalize(names, copy=False).T.tocsr()
        np.save(folder / "pieces.npy", pieces)
        np.save(folder / "idf.npy", idf)
        for part in PARTS:
            np.save(folder / f"{part}.npy", getattr(by_piece, part))

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Map the weights into memory."""
        self._kb = kb
        self._concepts = np.asarray(kb.name_concepts)
        self._pieces = np.load(folder / "pieces.npy")
        self._idf = np.load(folder / "idf.npy")
        data, indices, indptr = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS)
        shape = (len(self._pieces), kb.name_count)
        self._names = sparse.csr_matrix((data, indices, indptr), shape=shape, copy=False)

    def weigh(self, texts: Sequence[str]) -> Any:
        """Unit vectors of texts over the pieces that names have, shape (texts, pieces)."""
        counts = self.count(texts)
        columns = np.minimum(np.searchsorted(self._pieces, counts.indices), len(self._pieces) - 1)
        known = self._pieces[columns] == counts.indices
        before = np.concatenate([[0], np.cumsum(known)])
        kept, columns = counts.data[known], columns[known]
        shape = (len(texts), len(self._pieces))
        weighed = sparse.csr_matrix((kept * self._idf[columns], columns, before[counts.indptr]), shape=shape)
        return normalize(weighed, copy=False)

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """The `k` best of each mention; blocks are searched side by side, as sparse products let others run."""
        blocks = [mentions[start : start + BLOCK] for start in range(0, len(mentions), BLOCK)]
        with ThreadPoolExecutor(self._threads) as pool:
            found = list(pool.map(lambda block: self._search_block(block, k, unit), blocks))
        return [candidates for block in found for candidates in block]

    def _search_block(self, mentions: Sequence[Mention], k: int, unit: Unit) -> list[list[Candidate]]:
        scores = self.weigh([mention.text for mention in mentions]) @ self._names
        bounds = zip(scores.indptr[:-1], scores.indptr[1:], strict=True)
        return [
            self._best(scores.indices[start:end], np.round(scores.data[start:end], DECIMALS), k, unit)
            for start, end in bounds
        ]

    def _best(
        self, rows: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], k: int, unit: Unit
    ) -> list[Candidate]:
        """The best of one mention; name rows are in order of concept id, so ties are put in order of rows."""
        wanted = k if unit == "name" else 4 * k
        while True:
            kept = top_rows(scores, wanted)
            order = kept[np.lexsort((rows[kept], -scores[kept]))]
            if unit == "concept":
                _, first = np.unique(self._concepts[rows[order]], return_index=True)
                order = order[np.sort(first)]
            if len(order) >= k or len(kept) == len(rows):
                break
            wanted *= 4
        return [
            Candidate(
                self._kb.concept_id(int(self._concepts[rows[place]])),
                float(scores[place]),
                self._kb.name_text(int(rows[place])),
            )
            for place in order[:k]
        ]


def top_rows(scores: npt.NDArray[np.float32], wanted: int) -> npt.NDArray[np.intp]:
    """Places of the `wanted` largest scores and of all that tie with the least of them."""
    if len(scores) <= wanted:
        return np.arange(len(scores))
    least = np.partition(scores, -wanted)[-wanted]
    return np.flatnonzero(scores >= least)
