"""How a mention's surface relates to the names of a knowledge base: exact, ambiguous, seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.text import fold_text

Keys = npt.NDArray[np.int64]


def surface_keys(texts: Iterable[str]) -> Keys:
    """A 64-bit key of each surface's normalised form; equal forms have equal keys within one process."""
    return np.fromiter((hash(fold_text(text)) for text in texts), np.int64)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """The concepts that have each surface as a name, as sorted arrays.

    Attributes:
        kb: The knowledge base.
        keys: Key of each pair, ascending, shape (pairs,).
        rows: Concept row of each pair, ascending within a key, shape (pairs,).
    """

    kb: KnowledgeBase
    keys: Keys
    rows: npt.NDArray[np.int64]

    def concepts(self, keys: Keys) -> npt.NDArray[np.int64]:
        """How many concepts have each surface as a name; shape as `keys`."""
        left = np.searchsorted(self.keys, keys, "left")
        return np.searchsorted(self.keys, keys, "right") - left

    def has(self, keys: Keys, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether a concept, by row (negative for none), has the surface as a name; elementwise."""
        left = np.searchsorted(self.keys, keys, "left")
        right = np.searchsorted(self.keys, keys, "right")
        found = np.zeros(len(keys), np.bool_)
        for step in range(int((right - left).max(initial=0))):
            inside = left + step < right
            found[inside] |= self.rows[(left + step)[inside]] == rows[inside]
        return found

    def is_name(self, text: str) -> bool:
        """Whether any concept has this surface as a name."""
        return bool(self.concepts(surface_keys([text]))[0])

    def is_ambiguous(self, text: str) -> bool:
        """Whether several concepts have this surface as a name."""
        return bool(self.concepts(surface_keys([text]))[0] > 1)

    def is_exact(self, text: str, gold: Iterable[str]) -> bool:
        """Whether a gold concept has this surface as a name."""
        found = (self.kb.concept_row(concept) for concept in gold)
        rows = np.array([row for row in found if row is not None], np.int64)
        return bool(self.has(np.repeat(surface_keys([text]), len(rows)), rows).any())


def find_surfaces(kb: KnowledgeBase, surfaces: Keys, progress: Progress) -> Surfaces:
    """Look surfaces of mentions, by key, up among all names, in one pass over the name table."""
    wanted = np.unique(surfaces)
    keys: list[Keys] = []
    rows: list[npt.NDArray[np.int64]] = []
    start = 0
    with progress.task("Comparing surfaces", total=kb.name_count, unit="names") as task:
        for batch in kb.name_batches(["text"]):
            found = surface_keys(batch.column(0).to_pylist())
            inside = np.zeros(len(found), np.bool_)
            if len(wanted):
                at = np.minimum(np.searchsorted(wanted, found), len(wanted) - 1)
                inside = wanted[at] == found
            keys.append(found[inside])
            rows.append(kb.name_concepts[start : start + len(found)][inside].astype(np.int64))
            start += batch.num_rows
            task.advance(batch.num_rows)
    if not keys:
        return Surfaces(kb, np.empty(0, np.int64), np.empty(0, np.int64))
    pairs = np.unique(np.stack([np.concatenate(keys), np.concatenate(rows)], axis=1), axis=0)
    return Surfaces(kb, pairs[:, 0].copy(), pairs[:, 1].copy())
