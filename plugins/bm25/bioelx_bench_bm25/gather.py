"""Reading many cells of a memory-mapped column at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bioelx_bench.kb.store import BATCH_ROWS

if TYPE_CHECKING:
    import pyarrow as pa


def texts_at(column: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> list[str]:
    """The strings at some rows, in that order.

    Every chunk but the last has `BATCH_ROWS` rows (see `bioelx_bench.kb.store`), so each is read by itself:
    joining chunks, as Arrow's own `take` may do, fails beyond two gigabytes of text.

    Args:
        column: A string column.
        rows: Row numbers, shape (n,), repeats allowed.
    """
    wanted, where = np.unique(rows, return_inverse=True)
    texts: list[str] = []
    for number in np.unique(wanted // BATCH_ROWS).tolist():
        inside = wanted[(wanted // BATCH_ROWS) == number] - number * BATCH_ROWS
        texts += column.chunk(number).take(inside).to_pylist()
    return [texts[i] for i in where.tolist()]
