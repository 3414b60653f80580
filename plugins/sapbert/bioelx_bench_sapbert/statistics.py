"""Bounds on a matrix of vectors, from which the rounding error of a product with any query is bounded.

With c the mean vector's direction, a product is split into the part along c, which all vectors of an
encoder share, and the part across it, which is much shorter. Bounds on each part make the proof of
exactness (see `rounding`) several times tighter than the vectors' lengths alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Statistics:
    """Greatest values over all vectors v, where b(v) is v rounded to bf16 and c the center, of length 1.

    Attributes:
        length: |v|.
        along: |c·v|.
        across: |v - (c·v)c|.
        error: |v - b(v)|.
        error_along: |c·(v - b(v))|.
    """

    length: float
    along: float
    across: float
    error: float
    error_along: float

    def as_json(self) -> dict[str, float]:
        """The values by name."""
        return asdict(self)


def mean_direction(blocks: Iterable[npt.NDArray[Any]], dimension: int) -> npt.NDArray[np.float64]:
    """The direction of the mean vector, of length 1; zero if the mean is."""
    total = np.zeros(dimension, np.float64)
    for block in blocks:
        total += block.sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    return total / length if length > 0 else total


def measure(blocks: Iterable[npt.NDArray[Any]], center: npt.NDArray[np.float64]) -> Statistics:
    """Measure vectors against a center, in fp64 (a block is widened a few thousand rows at a time)."""
    length = along = across = error = error_along = 0.0
    for block in blocks:
        for start in range(0, len(block), 2048):
            v = block[start : start + 2048].astype(np.float64)
            difference = v - round_to_bf16(block[start : start + 2048]).astype(np.float64)
            share = v @ center
            squares = np.einsum("ij,ij->i", v, v)
            length = max(length, float(np.sqrt(squares.max())))
            along = max(along, float(np.abs(share).max()))
            across = max(across, float(np.sqrt(np.maximum(squares - share * share, 0).max())))
            error = max(error, float(np.sqrt(np.einsum("ij,ij->i", difference, difference).max())))
            error_along = max(error_along, float(np.abs(difference @ center).max()))
    return Statistics(length, along, across, error, error_along)


def round_to_bf16(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Round to bf16, nearest even, and widen to fp32; values must be finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
