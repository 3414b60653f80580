"""Exact search: every query's best vectors, with a proof that no other vector can be among the best k.

The same on every device. The matrix is read once for many queries, a block at a time (it stays on a GPU where it
fits). With c the mean vector, a query's products with v and with v - c differ by the same q·c for all vectors, and
the latter are small where all vectors of an encoder share a direction. So blocks are centered, rounded to bf16
(where products of that are fast, else fp32) and multiplied, and each query keeps the vectors whose product is above
its threshold: the one that about `width` vectors are above, judging by a sample of the matrix. These are scored
again in fp64 from what is stored, rounded to fp32. Where a query's k-th place is above the greatest that a vector
at the threshold can reach, the result is proven; the others are fallback queries, searched in fp32 for more vectors
until they are.

The bounds are rigorous given that products are summed in fp32 in any order (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bioelx_bench.progress import Progress, Task
from bioelx_bench_sapbert.aggregation import Rows, Scores, TopK
from bioelx_bench_sapbert.vectors import VectorStore, round_to_bf16

if TYPE_CHECKING:
    import torch

QUERY_BLOCK: Final = 2048
BLOCK_ROWS: Final = 8192
GPU_BLOCK_ROWS: Final = 65536
SAMPLE_ROWS: Final = 8192
"""Rows of the sample that gives the thresholds; a matrix of fewer is searched without."""

GROUP: Final = 32
"""Columns whose greatest result is taken first, so that few results are looked at one by one. They lie a group's
number apart: neighbours are compared in the processor's wide registers only if they are of different groups."""

CONVERTED_ROWS: Final = 256
"""Rows centered and rounded at once on a CPU, so that they stay in its cache between the two."""

RESCORED_CELLS: Final = 1 << 21
GPU_RESCORED_CELLS: Final = 1 << 28
"""Components of vectors that are scored again at once."""

MAX_RESIDENT_SHARE: Final = 0.5
"""Share of a GPU's free memory that the matrix may take to stay there."""

FP32_UNIT: Final = 2.0**-24
BF16_UNIT: Final = 2.0**-8
SAFETY: Final = 4.0
"""Room in the bound on sums for hardware that rounds them less carefully than IEEE 754."""

Aggregate = Callable[[Rows, Scores], TopK]


@dataclass(slots=True)
class SearchReport:
    """What a search did, for the result.

    Attributes:
        queries: Distinct queries searched.
        fallback_queries: How many of them were not proven at first, and were searched again in fp32.
        passes: How often the matrix was read.
    """

    queries: int = 0
    fallback_queries: int = 0
    passes: int = 0


class ExactSearch:
    """Searches a matrix of vectors.

    Args:
        store: The matrix.
        device: Where products are computed.
        bf16: Whether the first pass is in bf16.
        resident: Whether the matrix is kept on the device; by default on a GPU where it fits.
    """

    def __init__(
        self, store: VectorStore, device: torch.device, *, bf16: bool, resident: bool | None = None
    ) -> None:
        import torch

        self.store = store
        self.device = device
        self.bf16 = bf16
        self.report = SearchReport()
        self._center = torch.from_numpy(store.center).to(device)
        self._mapped = store.matrix()
        keep = fits(store, device) if resident is None else resident
        self._resident = load_matrix(store, device) if keep else None

    @property
    def name(self) -> str:
        """The engine's name in results."""
        return "exact-bf16-rescored" if self.bf16 else "exact-fp32"

    def search(self, queries: Scores, width: int, aggregate: Aggregate, progress: Progress) -> TopK:
        """Find each query's best places.

        Args:
            queries: fp32 vectors, shape (queries, dimension).
            width: Vectors that a query keeps at first.
            aggregate: Makes places of vectors; it is right if no vector that matters is missing.
            progress: Progress display.
        """
        self.report.queries += len(queries)
        found: TopK | None = None
        waiting, bf16 = np.arange(len(queries)), self.bf16
        while len(waiting):
            width = min(width, len(self.store))
            unproven = []
            total = len(self.store) * -(-len(waiting) // QUERY_BLOCK)
            with progress.task("Searching", total=total, unit="vectors") as task:
                for start in range(0, len(waiting), QUERY_BLOCK):
                    numbers = waiting[start : start + QUERY_BLOCK]
                    rows, left_out = self.shortlists(queries[numbers], width, bf16, task)
                    part = aggregate(rows, self.rescore(queries[numbers], rows))
                    found = found or TopK.empty(len(queries), part.names.shape[1])
                    found.names[numbers], found.scores[numbers] = part.names, part.scores
                    proven = (part.scores[:, -1] > left_out) | (left_out == -np.inf)
                    unproven.append(numbers[~proven])
            again = np.concatenate(unproven)
            if len(waiting) == len(queries):
                self.report.fallback_queries += len(again)
            waiting, width, bf16 = again, width * 4, False
        return found or aggregate(np.empty((0, 1), np.int64), np.empty((0, 1), np.float32))

    def shortlists(self, queries: Scores, width: int, bf16: bool, task: Task) -> tuple[Rows, Scores]:
        """One pass over the matrix: the vectors each query keeps, and a bound on the products of all others.

        Returns:
            Rows, filled up with -1, shape (queries, most vectors), and fp32 bounds, -inf where nothing is left
            out, shape (queries,).
        """
        import torch

        dtype = torch.bfloat16 if bf16 else torch.float32
        size = min(BLOCK_ROWS if self.device.type == "cpu" else GPU_BLOCK_ROWS, len(self.store))
        numbers, rows = [], []
        numpys = self.device.type == "cpu" and not bf16
        with torch.inference_mode(), full_precision_sums(self.device), one_torch_thread(numpys):
            multiplied = torch.from_numpy(queries).to(self.device, dtype)
            thresholds = self.thresholds(multiplied, width)
            block = torch.empty((size, queries.shape[1]), dtype=dtype, device=self.device)
            products = torch.empty(len(queries) * size, dtype=dtype, device=self.device)
            for first, stored in self.blocks(size):
                count = len(stored)
                convert(stored, self._center, block[:count])
                out = products[: len(queries) * count].view(len(queries), count)
                found, columns = scan_block(multiply(multiplied, block[:count], out), thresholds)
                numbers.append(found)
                rows.append(columns + first)
                task.advance(count)
            kept = by_query(torch.cat(numbers), torch.cat(rows), len(queries)).cpu().numpy()
        self.report.passes += 1
        if thresholds[0, 0] == -torch.inf:
            return kept, np.full(len(queries), -np.inf, np.float32)
        return kept, upper_bounds(thresholds[:, 0].float().cpu().numpy(), queries, self.store, bf16)

    def thresholds(self, queries: torch.Tensor, width: int) -> torch.Tensor:
        """The product of each query that about `width` vectors are above; shape (queries, 1).

        How many are above the r-th of a random sample does not depend on how products are distributed.
        """
        import torch

        total = len(self.store)
        expected = width * SAMPLE_ROWS / total
        rank = math.ceil(expected)
        if total <= SAMPLE_ROWS or rank >= SAMPLE_ROWS or width >= total:
            return torch.full((len(queries), 1), -torch.inf, dtype=queries.dtype, device=self.device)
        chosen = np.random.default_rng(0).choice(total, SAMPLE_ROWS, replace=False)
        sample = self.rows(torch.from_numpy(np.sort(chosen))).to(self.device)
        block = torch.empty(sample.shape, dtype=queries.dtype, device=self.device)
        convert(sample, self._center, block)
        out = torch.empty((len(queries), SAMPLE_ROWS), dtype=queries.dtype, device=self.device)
        products = multiply(queries, block, out).float()
        return products.topk(rank, dim=1).values[:, -1:].to(queries.dtype)

    def rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Stored vectors of some rows, on the device where the matrix is kept there, else on the CPU."""
        import torch

        if self._resident is None:
            return torch.from_numpy(np.take(self._mapped, rows.numpy(), axis=0))
        return self._resident.index_select(0, rows.to(self.device))

    def blocks(self, size: int) -> Iterator[tuple[int, torch.Tensor]]:
        """First row and stored vectors of each block, on the device."""
        import torch

        if self._resident is not None:
            for first in range(0, len(self._resident), size):
                yield first, self._resident[first : first + size]
            return
        for first, block in self.store.blocks(size):
            yield first, torch.from_numpy(block).to(self.device)

    def rescore(self, queries: Scores, rows: Rows) -> Scores:
        """Products of queries with their vectors, summed in fp64 and rounded to fp32; -inf for row -1.

        Products of fp32 factors are exact in fp64 and their sum is off by less than 1e-13 of them, so the
        scores do not depend on the order of summation, the device or the number of threads.
        """
        import torch

        device = torch.device("cpu") if self._resident is None else self.device
        cells = RESCORED_CELLS if device.type == "cpu" else GPU_RESCORED_CELLS
        step = max(1, cells // max(1, rows.shape[1] * queries.shape[1]))
        found = np.full(rows.shape, -np.inf, np.float32)
        with torch.inference_mode(), one_torch_thread(device.type == "cpu"):
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                part = part[:, : int((part >= 0).sum(axis=1).max())]  # what is filled up stands behind
                numbers = torch.from_numpy(np.maximum(part, 0)).to(device)
                vectors = self.rows(numbers.flatten()).float().double().view(*part.shape, queries.shape[1])
                query = torch.from_numpy(queries[start : start + step]).to(device).double()[:, :, None]
                scores = dot(vectors, query)[:, :, 0].float().cpu().numpy()
                found[start : start + step, : part.shape[1]] = np.where(part >= 0, scores, -np.inf)
        return found


def dot(vectors: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Products of a batch of matrices with one vector each, for which numpy is faster on a CPU."""
    import torch

    if vectors.device.type == "cpu":
        return torch.from_numpy(np.matmul(vectors.numpy(), queries.numpy()))
    return torch.bmm(vectors, queries)


def fits(store: VectorStore, device: torch.device) -> bool:
    """Whether a GPU has room for the matrix beside what a search needs."""
    import torch

    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return len(store) * store.dimension * store.dtype.itemsize <= MAX_RESIDENT_SHARE * free


def load_matrix(store: VectorStore, device: torch.device) -> torch.Tensor:
    """The matrix as it is stored, on the device."""
    import torch

    dtype = torch.float16 if store.manifest.dtype == "fp16" else torch.float32
    matrix = torch.empty((len(store), store.dimension), dtype=dtype, device=device)
    for first, block in store.blocks(GPU_BLOCK_ROWS):
        matrix[first : first + len(block)] = torch.from_numpy(block)
    return matrix


def convert(stored: torch.Tensor, center: torch.Tensor, into: torch.Tensor) -> None:
    """Center stored vectors in fp32 and round them to the type of `into`."""
    step = CONVERTED_ROWS if stored.device.type == "cpu" else len(stored)
    for start in range(0, len(stored), step):
        into[start : start + step] = stored[start : start + step].float() - center


def multiply(queries: torch.Tensor, block: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Products, shape (queries, rows), in the factors' type."""
    import torch

    if out.device.type == "cpu" and out.dtype == torch.float32:
        # numpy's OpenBLAS is faster than torch's MKL on AMD, and alike on Intel
        np.matmul(queries.numpy(), block.numpy().T, out=out.numpy())
        return out
    return torch.mm(queries, block.T, out=out)


@contextmanager
def full_precision_sums(device: torch.device) -> Iterator[None]:
    """Have a GPU sum products in fp32, as the bounds assume."""
    import torch

    settings = torch.backends.cuda.matmul
    before = settings.allow_tf32, settings.allow_bf16_reduced_precision_reduction
    if device.type == "cuda":
        settings.allow_tf32 = settings.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        if device.type == "cuda":
            settings.allow_tf32, settings.allow_bf16_reduced_precision_reduction = before


@contextmanager
def one_torch_thread(wanted: bool) -> Iterator[None]:
    """Keep torch's threads out of the way of numpy's products.

    They would spin beside them, which costs more than they save on the little that is left to do.
    """
    import torch

    threads = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def upper_bounds(values: Scores, queries: Scores, store: VectorStore, bf16: bool) -> Scores:
    """The most that the true product of a stored vector can be whose computed, centered one is at most `values`.

    With d = v - c, rounded to b(d): q·d - b(q)·b(d) = (q - b(q))·d + b(q)·(d - b(d)), to which the errors of the sum,
    of centering and of rounding the result are added.

    Args:
        values: Computed products, shape (queries,).
        queries: fp32 vectors, shape (queries, dimension).
        store: Gives the center and the bounds on d.
        bf16: Whether products were computed in bf16.
    """
    exact = queries.astype(np.float64)
    radius, rounding = store.manifest.radius, store.manifest.bf16_error if bf16 else 0.0
    factors = round_to_bf16(queries).astype(np.float64) if bf16 else exact
    lost, length = np.linalg.norm(exact - factors, axis=1), np.linalg.norm(factors, axis=1)
    sums = SAFETY * (queries.shape[1] + 2) * FP32_UNIT
    error = lost * radius + length * (rounding + (sums + SAFETY * FP32_UNIT) * (radius + rounding))
    result = np.abs(values.astype(np.float64)) * (BF16_UNIT / (1 - BF16_UNIT) if bf16 else 0.0)
    bound = values.astype(np.float64) + result + error * (1 + 1e-9) + exact @ store.center.astype(np.float64)
    slack = 1e-12 * (length + lost) * (np.linalg.norm(store.center) + radius)
    upper: Scores = np.nextafter((bound + slack).astype(np.float32), np.float32(np.inf))
    return upper


def scan_block(products: torch.Tensor, thresholds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where products are above their query's threshold: query numbers and columns."""
    import torch

    queries, columns = products.shape
    if columns % GROUP:
        found = torch.nonzero(products > thresholds)
        return found[:, 0], found[:, 1]
    apart = columns // GROUP
    groups = products.view(queries, GROUP, apart)
    hot = torch.nonzero(groups.amax(1) > thresholds)
    inside = torch.nonzero(groups[hot[:, 0], :, hot[:, 1]] > thresholds[hot[:, 0]])
    chosen = hot[inside[:, 0]]
    return chosen[:, 0], inside[:, 1] * apart + chosen[:, 1]


def by_query(numbers: torch.Tensor, rows: torch.Tensor, queries: int) -> torch.Tensor:
    """Rows of each query number, filled up with -1, shape (queries, most rows)."""
    import torch

    order = torch.argsort(numbers, stable=True)
    counts = torch.bincount(numbers, minlength=queries)
    starts = torch.cumsum(counts, 0) - counts
    numbers = numbers[order]
    places = torch.arange(len(numbers), device=numbers.device) - starts[numbers]
    found = torch.full((queries, max(1, int(counts.max()))), -1, dtype=torch.int64, device=numbers.device)
    found[numbers, places] = rows[order]
    return found
