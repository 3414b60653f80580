"""Names by edit distance, as RapidFuzz computes it for a block of mentions against all names at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process, utils

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_edit_distance.options import EditDistanceOptions

BLOCK: Final = 64
LONGEST: Final = 500


def prepare(text: str) -> str:
    """Lower case, and letters and digits alone; what has none stays as it is."""
    whole = text[:LONGEST].encode("utf-8", "replace").decode("utf-8")
    return utils.default_process(whole) or whole


class EditDistance(BaseRetriever):
    """Finds the names nearest to the mention by edits. It has no index: names are compared one by one."""

    units: tuple[Unit, ...] = ("concept", "name")

    def __init__(self, options: EditDistanceOptions, environment: Environment) -> None:  # noqa: ARG002
        self._options = options

    def identity(self) -> Mapping[str, Any]:
        """RapidFuzz's version, since scorers have changed."""
        import rapidfuzz

        return {"rapidfuzz": rapidfuzz.__version__}

    def open(self, kb: KnowledgeBase, folder: Path) -> None:  # noqa: ARG002
        """Bring names into the form that is compared."""
        self._kb = kb
        self._concepts = np.asarray(kb.name_concepts)
        self._names = [
            prepare(text) for b in kb.name_batches(["text"]) for text in b.column("text").to_pylist()
        ]

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """The `k` best of each mention."""
        found = []
        for start in range(0, len(mentions), BLOCK):
            texts = [prepare(mention.text) for mention in mentions[start : start + BLOCK]]
            scores = process.cdist(
                texts,
                self._names,
                scorer=getattr(fuzz, self._options.scorer),
                score_cutoff=self._options.cutoff,
                workers=self._options.threads,
                dtype=np.float32,
            )
            found += [self._best(row, k, unit) for row in scores]
        return found

    def _best(self, scores: npt.NDArray[np.float32], k: int, unit: Unit) -> list[Candidate]:
        """The best names above the cutoff; rows are in order of concept id, as ties must be."""
        rows = np.flatnonzero(scores > 0)
        rows = rows[np.lexsort((rows, -scores[rows]))]
        if unit == "concept":
            _, first = np.unique(self._concepts[rows], return_index=True)
            rows = rows[np.sort(first)]
        return [
            Candidate(
                self._kb.concept_id(int(self._concepts[row])),
                float(scores[row]),
                self._kb.name_text(int(row)),
            )
            for row in rows[:k]
        ]
