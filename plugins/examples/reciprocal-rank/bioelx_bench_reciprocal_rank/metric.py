"""Mean reciprocal rank: 1/rank of the first gold concept, 0 where the list has none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bioelx_bench.metrics import Hits


def reciprocal_rank(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    """One value a mention; the harness takes the means, in-KB values, slices and intervals."""
    return {"reciprocal-rank": np.where(hits.ranks <= hits.depth, 1.0 / hits.ranks, 0.0)}
