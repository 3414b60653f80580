"""From vectors to candidates: distinct concepts with their best names, or rows of the name table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioelx_bench.records import Candidate, Unit
from bioelx_bench_sapbert.distinct import NameStrings
from bioelx_bench_sapbert.exact import Rows, Scores

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Collapse:
    """Makes candidates of the vectors that a search found for a query.

    Concept rows are in the order of concept ids, and name rows in the order of concepts, so that ties broken
    by row are broken by concept id.
    """

    kb: KnowledgeBase
    strings: NameStrings
    k: int
    unit: Unit

    def places(self, rows: Rows, scores: Scores) -> tuple[npt.NDArray[np.int64], Scores]:
        """Name rows and scores of the best `k` candidates, best first."""
        names = [self.strings.rows[self.strings.offsets[row] : self.strings.offsets[row + 1]] for row in rows]
        name_rows = np.concatenate([np.empty(0, np.int64), *names]).astype(np.int64)
        name_scores = np.repeat(scores, [len(part) for part in names])
        order = np.lexsort((name_rows, -name_scores))
        name_rows, name_scores = name_rows[order], name_scores[order]
        if self.unit == "concept":
            _, first = np.unique(self.kb.name_concepts[name_rows], return_index=True)
            first.sort()
            name_rows, name_scores = name_rows[first], name_scores[first]
            # names of one score are in the order of concepts already, since names are grouped by concept
        return name_rows[: self.k], name_scores[: self.k]

    def labels(self, name_rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """What candidates are compared by: concept rows, or name rows."""
        return self.kb.name_concepts[name_rows] if self.unit == "concept" else name_rows

    def is_complete(self, _number: int, rows: Rows, scores: Scores, left_out: float) -> bool:
        """Whether a vector that was left out, of at most this score (fp32), cannot be among the best `k`."""
        _, best = self.places(rows, scores)
        return len(best) == self.k and float(best[-1]) > left_out

    def candidates(self, rows: Rows, scores: Scores) -> list[Candidate]:
        """The candidates, best first."""
        return [
            Candidate(
                self.kb.concept_id(int(self.kb.name_concepts[row])), float(score), self.kb.name_text(int(row))
            )
            for row, score in zip(*self.places(rows, scores), strict=True)
        ]
