"""From vectors to candidates: distinct concepts with their best names, or rows of the name table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioelx_bench.records import Candidate, Unit
from bioelx_bench_sapbert.name_strings import NameStrings

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

NO_KEY: Final = np.uint64(2**64 - 1)
MAX_CELLS: Final = 1 << 22
"""Names of all queries that are sorted at once, padded to the query with the most: what bounds the memory."""


@dataclass(frozen=True, slots=True)
class TopK:
    """The best places of each query, best first.

    Attributes:
        names: Name rows, -1 where there are fewer, shape (queries, k).
        scores: fp32, -inf where there are fewer, shape (queries, k).
    """

    names: Rows
    scores: Scores

    @classmethod
    def empty(cls, queries: int, k: int) -> TopK:
        """Nothing found yet."""
        return cls(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))


@dataclass(frozen=True, slots=True)
class ConceptAggregation:
    """Makes candidates of the vectors that a search found.

    Concept rows are in the order of concept ids, and name rows in the order of concepts, so that ties broken
    by row are broken by concept id.
    """

    kb: KnowledgeBase
    strings: NameStrings
    k: int
    unit: Unit

    def top(self, rows: Rows, scores: Scores) -> TopK:
        """The best `k` places of each query.

        Args:
            rows: Vectors, in any order; -1 where fewer were found, shape (queries, width).
            scores: Their scores, shape (queries, width).
        """
        found = TopK.empty(len(rows), self.k)
        counts = np.where(rows >= 0, self.strings.offsets[rows + 1] - self.strings.offsets[rows], 0)
        step = max(1, MAX_CELLS // max(1, int(counts.sum(axis=1).max(initial=0))))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            keys = np.sort(self.keys(rows[part], scores[part], counts[part]), axis=1)
            names = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
            kept = keys != NO_KEY
            names[~kept] = 0
            if self.unit == "concept":
                kept &= first_in_row(np.where(kept, self.kb.name_concepts[names], -1))
            places = np.cumsum(kept, axis=1)
            queries, columns = np.nonzero(kept & (places <= self.k))
            into = places[queries, columns] - 1
            found.names[start + queries, into] = names[queries, columns]
            found.scores[start + queries, into] = unpack_scores(keys[queries, columns])
        return found

    def keys(self, rows: Rows, scores: Scores, counts: Rows) -> npt.NDArray[np.uint64]:
        """A sort key for each name of each vector, shape (queries, most names), filled with `NO_KEY`."""
        totals, each = counts.sum(axis=1), counts.ravel()
        starts = self.strings.offsets[np.maximum(rows, 0)].ravel()
        names = self.strings.rows[ranges(starts, each)].astype(np.uint64)
        keys = np.full((len(rows), int(totals.max(initial=0))), NO_KEY, np.uint64)
        columns = ranges(np.zeros(len(rows), np.int64), totals)
        keys[np.repeat(np.arange(len(rows)), totals), columns] = pack_scores(np.repeat(scores, each)) | names
        return keys

    def candidates(self, found: TopK) -> list[list[Candidate]]:
        """Candidate lists, best first; ids and names are read by one pass over those that occur."""
        valid = found.names >= 0
        if not valid.any():
            return [[] for _ in found.names]
        names, places = np.unique(found.names[valid], return_inverse=True)
        texts = self.kb.names.column("text").take(pa.array(names)).to_pylist()
        concepts, of_name = np.unique(self.kb.name_concepts[names], return_inverse=True)
        known = self.kb.concepts.column("id").take(pa.array(concepts)).to_pylist()
        ids = [known[i] for i in of_name.tolist()]
        flat = [
            Candidate(ids[place], score, texts[place])
            for place, score in zip(places.tolist(), found.scores[valid].tolist(), strict=True)
        ]
        ends = np.cumsum(valid.sum(axis=1)).tolist()
        return [flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def places(self, found: TopK) -> Rows:
        """What two searches are compared by: concept rows or name rows, -1 where there are fewer."""
        if self.unit == "name":
            return found.names
        concepts: Rows = np.where(found.names >= 0, self.kb.name_concepts[found.names], -1)
        return concepts


def ranges(starts: Rows, counts: Rows) -> Rows:
    """`start, start + 1, ...` of each count, one after the other."""
    before = np.cumsum(counts) - counts
    rows: Rows = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return rows


def pack_scores(scores: Scores) -> npt.NDArray[np.uint64]:
    """The upper half of keys whose ascending order is the descending one of scores."""
    bits = (scores + np.float32(0)).view(np.uint32)  # adding zero makes -0.0 and 0.0 the same score
    ascending = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (~ascending).astype(np.uint64) << np.uint64(32)


def unpack_scores(keys: npt.NDArray[np.uint64]) -> Scores:
    """The scores that `pack_scores` packed."""
    ascending = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ascending >> 31, ascending & np.uint32(0x7FFFFFFF), ~ascending)
    return bits.astype(np.uint32).view(np.float32)


def first_in_row(values: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.bool_]:
    """Where a value appears for the first time in its row; values fit in 32 bits."""
    keys = np.sort((values.astype(np.int64) << 32) | np.arange(values.shape[1]), axis=1)
    new = np.ones(values.shape, np.bool_)
    new[:, 1:] = (keys[:, 1:] >> 32) != (keys[:, :-1] >> 32)
    first = np.zeros(values.shape, np.bool_)
    np.put_along_axis(first, keys & 0xFFFFFFFF, new, axis=1)
    return first
