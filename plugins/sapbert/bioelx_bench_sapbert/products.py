"""Products of queries with blocks of vectors, as upper bounds on the true ones, in bf16 or fp32.

The bf16 form rounds its results to bf16 too, which would be too coarse for scores that all lie near one
value. So each query's current threshold is subtracted inside the product, in two further columns: near the
threshold, where the decision falls, results are near zero and their rounding is negligible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from bioelx_bench_sapbert.rounding import BF16_UNIT, Vector, bf16_error, fp32_error, sum_error
from bioelx_bench_sapbert.statistics import Statistics

if TYPE_CHECKING:
    import torch

SHIFT_COLUMNS: Final = 32
"""Columns added for the shift; two are used, the others keep rows aligned."""


class Products(Protocol):
    """Queries, ready to be multiplied with blocks."""

    def set_thresholds(self, thresholds: torch.Tensor) -> None:
        """Say from which upper bound on, shape (queries,), a vector is of interest; -inf at first."""

    def multiply(self, block: npt.NDArray[Any]) -> torch.Tensor:
        """Results for a block of vectors, shape (queries, rows); those above `floor` are of interest."""

    @property
    def floor(self) -> torch.Tensor:
        """Results that are not above this, shape (queries, 1), are at most at the threshold."""

    def upper(self, results: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Upper bounds (fp32) on the true products that gave `results`, of the queries at those positions."""


class Fp32Products:
    """Products in fp32."""

    def __init__(
        self, queries: npt.NDArray[np.float32], statistics: Statistics, device: torch.device
    ) -> None:
        import torch

        self._queries = torch.from_numpy(np.ascontiguousarray(queries, np.float32)).to(device)
        self._device = device
        self._error = torch.from_numpy(round_up(fp32_error(queries, statistics))).to(device)
        self._floor = torch.full((len(queries), 1), -torch.inf, device=device)
        self._out = torch.empty(0, device=device)
        self._block = torch.empty((0, queries.shape[1]), device=device)

    def set_thresholds(self, thresholds: torch.Tensor) -> None:
        """See `Products`. The subtraction is rounded down, so that nothing of interest is lost."""
        import torch

        lowered = thresholds - self._error
        self._floor = torch.nextafter(lowered, torch.full_like(lowered, -torch.inf))[:, None]

    def multiply(self, block: npt.NDArray[Any]) -> torch.Tensor:
        """See `Products`."""
        import torch

        stored = torch.from_numpy(block)
        if stored.dtype != torch.float32 or self._device.type != "cpu":
            if len(self._block) < len(block):
                self._block = torch.empty(block.shape, device=self._device)
            self._block[: len(block)].copy_(stored)
            stored = self._block[: len(block)]
        size = len(self._queries) * len(block)
        if self._out.numel() < size:
            self._out = torch.empty(size, device=self._device)
        out = self._out[:size].view(len(self._queries), len(block))
        if (
            self._device.type == "cpu"
        ):  # numpy's OpenBLAS is faster than torch's MKL on AMD, and alike on Intel
            np.matmul(self._queries.numpy(), stored.numpy().T, out=out.numpy())
            return out
        return torch.mm(self._queries, stored.T, out=out)

    @property
    def floor(self) -> torch.Tensor:
        """See `Products`."""
        return self._floor

    def upper(self, results: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """See `Products`."""
        return next_up(results + self._error[queries])


class Bf16Products:
    """Products in bf16 with fp32 sums."""

    def __init__(
        self,
        queries: npt.NDArray[np.float32],
        statistics: Statistics,
        center: Vector,
        device: torch.device,
    ) -> None:
        import torch

        count, dimension = queries.shape
        self._dimension = dimension
        self._device = device
        self._terms = dimension + SHIFT_COLUMNS
        self._queries = torch.zeros((count, self._terms), dtype=torch.bfloat16, device=device)
        self._queries[:, :dimension] = torch.from_numpy(queries).to(device)
        self._error = torch.from_numpy(bf16_error(queries, statistics, center, self._terms)).to(device)
        self._shift = torch.zeros(count, dtype=torch.float64, device=device)
        self._floor = torch.full((count, 1), -torch.inf, dtype=torch.bfloat16, device=device)
        self._block = torch.empty((0, self._terms), dtype=torch.bfloat16, device=device)
        self._out = torch.empty(0, dtype=torch.bfloat16, device=device)

    def set_thresholds(self, thresholds: torch.Tensor) -> None:
        """See `Products`. The shift is at most the threshold less the error, so zero is a safe floor."""
        import torch

        target = thresholds.double() - self._error - self._shift_error(thresholds.double())
        target = torch.where(torch.isfinite(target), target, 0)
        high = target.bfloat16()
        low = (target - high.double()).bfloat16()
        shift = high.double() + low.double()
        low = torch.where(shift > target, torch.nextafter(low, torch.full_like(low, -torch.inf)), low)
        self._shift = high.double() + low.double()
        self._queries[:, self._dimension] = -high
        self._queries[:, self._dimension + 1] = -low
        known = torch.isfinite(thresholds)
        self._floor = torch.where(known, 0.0, -torch.inf).bfloat16()[:, None]

    def _shift_error(self, shift: torch.Tensor) -> torch.Tensor:
        """Error of summing the shift's two terms with the others."""
        import torch

        return 2 * sum_error(self._terms) * torch.where(torch.isfinite(shift), shift, 0).abs()

    def multiply(self, block: npt.NDArray[Any]) -> torch.Tensor:
        """See `Products`."""
        import torch

        rows = len(block)
        if len(self._block) < rows:
            self._block = torch.zeros((rows, self._terms), dtype=torch.bfloat16, device=self._device)
            self._block[:, self._dimension : self._dimension + 2] = 1
        self._block[:rows, : self._dimension].copy_(torch.from_numpy(block))
        size = len(self._queries) * rows
        if self._out.numel() < size:
            self._out = torch.empty(size, dtype=torch.bfloat16, device=self._device)
        out = self._out[:size].view(len(self._queries), rows)
        return torch.mm(self._queries, self._block[:rows].T, out=out)

    @property
    def floor(self) -> torch.Tensor:
        """See `Products`."""
        return self._floor

    def upper(self, results: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """See `Products`."""
        values = results.double()
        shift = self._shift[queries]
        own_rounding = values.abs() * (BF16_UNIT / (1 - BF16_UNIT))
        bound = values + own_rounding + shift + self._error[queries] + self._shift_error(shift)
        return next_up(bound.float())


def next_up(values: torch.Tensor) -> torch.Tensor:
    """The next larger number, so that a rounded bound stays a bound."""
    import torch

    return torch.nextafter(values, torch.full_like(values, torch.inf))


def round_up(values: Vector) -> npt.NDArray[np.float32]:
    """fp32 numbers that are not smaller."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))
