"""How far a product that a device computes can be from the true one: the bounds the proof of search rests on.

All bounds are rigorous for the true product of the stored vectors with an fp32 query, given that products are
summed in fp32 in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1).
`SAFETY` leaves room for hardware that rounds sums less carefully than IEEE 754.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench_sapbert.statistics import Statistics, round_to_bf16

FP32_UNIT: Final = 2.0**-24
BF16_UNIT: Final = 2.0**-8
SAFETY: Final = 4.0

Vector = npt.NDArray[np.float64]


def sum_error(terms: int) -> float:
    """Relative error of a sum of `terms` products in fp32, to be multiplied by the sum of their magnitudes."""
    return SAFETY * (terms + 2) * FP32_UNIT


def fp32_error(queries: npt.NDArray[np.float32], statistics: Statistics) -> Vector:
    """Greatest error of fp32 products of each query with any stored vector, shape (queries,)."""
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    error: Vector = sum_error(queries.shape[1]) * lengths * statistics.length
    return error


def bf16_error(
    queries: npt.NDArray[np.float32], statistics: Statistics, center: Vector, terms: int
) -> Vector:
    """Greatest error of products of bf16 roundings, before the result itself is rounded, shape (queries,).

    q·v - b(q)·b(v) = (q - b(q))·v + b(q)·(v - b(v)), and each of the two products is bounded along and across
    the center. `terms` counts the products that are summed; the shift that `products` adds is bounded there.
    """
    q = queries.astype(np.float64)
    rounded = round_to_bf16(queries).astype(np.float64)
    lost = q - rounded
    lost_along, rounded_along = np.abs(lost @ center), np.abs(rounded @ center)
    lost_across, rounded_across = across(lost, center), across(rounded, center)
    rounding = (
        lost_along * statistics.along
        + lost_across * statistics.across
        + rounded_along * statistics.error_along
        + rounded_across * statistics.error
    )
    lengths = np.linalg.norm(rounded, axis=1) * (statistics.length + statistics.error)
    error: Vector = rounding * (1 + 1e-6) + sum_error(terms) * lengths
    return error


def across(vectors: Vector, center: Vector) -> Vector:
    """Length of each vector's part across the center."""
    along = vectors @ center
    length: Vector = np.linalg.norm(vectors - along[:, None] * center, axis=1)
    return length
