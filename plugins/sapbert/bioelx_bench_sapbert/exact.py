"""Exact search: every query's best vectors, with a proof that no other vector can be among the best k.

The matrix is read once for many queries, a block at a time. A quick product (bf16 where that is fast) gives an
upper bound on each true product; each query keeps the `width` vectors with the greatest bounds. Their true
products are then computed in fp64 and rounded to fp32. If a query's k-th candidate is above the greatest bound
of what was left out, nothing left out can reach it: the result is proven. Otherwise the query is searched again in
fp32 with a wider list, until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.progress import Progress, Task
from bioelx_bench_sapbert.embeddings import Embeddings
from bioelx_bench_sapbert.products import Bf16Products, Fp32Products, Products
from bioelx_bench_sapbert.statistics import Statistics

if TYPE_CHECKING:
    import torch

QUERY_BLOCK: Final = 1024
FIRST_ROWS: Final = 2048
BLOCK_ROWS: Final = 8192
GPU_BLOCK_ROWS: Final = 65536
GROUP: Final = 32
"""Columns whose greatest result is taken first, so that few results are looked at one by one. They lie a group's
number apart: neighbours are compared in the processor's wide registers only if they are of different groups."""

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Complete = Callable[[int, Rows, Scores, float], bool]


@dataclass(slots=True)
class Shortlists:
    """For each query its vectors of greatest upper bound.

    Attributes:
        rows: Vector rows, -1 where fewer were found, shape (queries, width).
        scores: Their true products rounded to fp32, shape (queries, width).
        left_out: Greatest upper bound of what is not in the list, -inf if nothing is, shape (queries,).
    """

    rows: Rows
    scores: Scores
    left_out: Scores


@dataclass(slots=True)
class SearchReport:
    """What a search did, for the result.

    Attributes:
        queries: Distinct queries searched.
        again: How many of them were not proven at first, and were searched again in fp32.
        passes: How often the matrix was read.
    """

    queries: int = 0
    again: int = 0
    passes: int = 0


class ExactSearch:
    """Searches a matrix of vectors.

    Args:
        embeddings: The matrix.
        device: Where products are computed.
        bf16: Whether the first pass is in bf16.
    """

    def __init__(self, embeddings: Embeddings, device: torch.device, *, bf16: bool) -> None:
        self.embeddings = embeddings
        self.device = device
        self.bf16 = bf16
        self.report = SearchReport()
        self._statistics = Statistics(**embeddings.manifest.statistics)
        self._center = np.load(embeddings.folder / "center.npy", allow_pickle=False)

    @property
    def name(self) -> str:
        """The engine's name in results."""
        return "exact-bf16-rescored" if self.bf16 else "exact-fp32"

    def search(
        self, queries: Scores, width: int, is_complete: Complete, progress: Progress
    ) -> Iterator[tuple[int, Rows, Scores]]:
        """Find the vectors that decide each query's candidates.

        Args:
            queries: fp32 vectors, shape (queries, dimension).
            width: Vectors a query keeps at first.
            is_complete: Called with a query's number, its vectors' rows and scores and the greatest bound of
                what was left out; says whether the candidates are certain.
            progress: Progress display.

        Yields:
            Each query's number once, with the rows of its vectors and their scores.
        """
        self.report.queries += len(queries)
        waiting = np.arange(len(queries))
        bf16 = self.bf16
        while len(waiting):
            unproven: list[int] = []
            total = len(self.embeddings) * -(-len(waiting) // QUERY_BLOCK)
            with progress.task("Searching", total=total, unit="vectors") as task:
                for start in range(0, len(waiting), QUERY_BLOCK):
                    numbers = waiting[start : start + QUERY_BLOCK]
                    lists = self.shortlists(queries[numbers], min(width, len(self.embeddings)), bf16, task)
                    for place, number in enumerate(numbers):
                        found = lists.rows[place] >= 0
                        rows, scores = lists.rows[place][found], lists.scores[place][found]
                        bound = float(lists.left_out[place])
                        if bound == -np.inf or is_complete(int(number), rows, scores, bound):
                            yield int(number), rows, scores
                        else:
                            unproven.append(int(number))
            if len(waiting) == len(queries):
                self.report.again += len(unproven)
            waiting, width, bf16 = np.array(unproven, np.int64), width * 4, False

    def shortlists(self, queries: Scores, width: int, bf16: bool, task: Task) -> Shortlists:
        """One pass over the matrix for up to `QUERY_BLOCK` queries."""
        import torch

        products: Products
        if bf16:
            products = Bf16Products(queries, self._statistics, self._center, self.device)
        else:
            products = Fp32Products(queries, self._statistics, self.device)
        kept = Kept(len(queries), width, self.device)
        with torch.inference_mode(), one_torch_thread(self.device.type == "cpu" and not bf16):
            for first, block in self.embeddings.blocks(self.block_sizes(width)):
                kept.add(products, products.multiply(block), first)
                products.set_thresholds(kept.bounds[:, -1])
                task.advance(len(block) * len(queries) / len(queries))
        self.report.passes += 1
        rows = kept.rows.cpu().numpy()
        complete = width >= len(self.embeddings)
        left_out = (
            np.full(len(queries), -np.inf, np.float32) if complete else kept.bounds[:, -1].cpu().numpy()
        )
        return Shortlists(rows, self.true_products(queries, rows), left_out)

    def block_sizes(self, width: int) -> Iterator[int]:
        """A small block first, which gives thresholds that spare most of the work on the others."""
        largest = BLOCK_ROWS if self.device.type == "cpu" else GPU_BLOCK_ROWS
        yield max(FIRST_ROWS, -(-width // GROUP) * GROUP)
        while True:
            yield largest

    def true_products(self, queries: Scores, rows: Rows) -> Scores:
        """Products of queries with their vectors, summed in fp64 and rounded to fp32.

        Terms of fp32 factors are exact in fp64 and their sum is off by less than 1e-13 of its terms, so the
        result does not depend on the order of summation, the device or the number of threads.
        """
        scores = np.full(rows.shape, -np.inf, np.float32)
        for number, query in enumerate(queries):
            found = rows[number] >= 0
            vectors = self.embeddings.gather(rows[number][found])
            scores[number, found] = vectors.astype(np.float64) @ query.astype(np.float64)
        return scores


@contextmanager
def one_torch_thread(wanted: bool) -> Iterator[None]:
    """Let torch use one thread for a while.

    The fp32 products on a CPU are numpy's, with threads of its own; torch's would spin beside them, which costs
    more than they save on the little that is left to do.
    """
    import torch

    threads = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Kept:
    """The vectors of greatest upper bound so far, for each query in descending order of bound."""

    def __init__(self, queries: int, width: int, device: torch.device) -> None:
        import torch

        self.bounds = torch.full((queries, width), -torch.inf, device=device)
        self.rows = torch.full((queries, width), -1, dtype=torch.int64, device=device)

    def add(self, products: Products, results: torch.Tensor, first: int) -> None:
        """Take in the results of a block that begins at vector row `first`."""
        import torch

        if first == 0:
            width = min(self.bounds.shape[1], results.shape[1])
            best = results.float().topk(width, dim=1)
            numbers = torch.arange(len(results), device=results.device)[:, None].expand_as(best.indices)
            self.bounds[:, :width] = products.upper(best.values, numbers)
            self.rows[:, :width] = best.indices
            return
        numbers, columns = above(results, products.floor)
        if len(numbers):
            self.merge(numbers, first + columns, products.upper(results[numbers, columns], numbers))

    def merge(self, numbers: torch.Tensor, rows: torch.Tensor, bounds: torch.Tensor) -> None:
        """Merge pairs of query number (ascending) and vector row."""
        import torch

        counts = torch.bincount(numbers, minlength=len(self.bounds))
        touched = torch.nonzero(counts).squeeze(1)
        most = int(counts.max())
        starts = torch.cumsum(counts, 0) - counts
        places = torch.arange(len(numbers), device=numbers.device) - starts[numbers]
        compact = torch.empty_like(counts)
        compact[touched] = torch.arange(len(touched), device=counts.device)
        new_bounds = torch.full((len(touched), most), -torch.inf, device=bounds.device)
        new_rows = torch.full((len(touched), most), -1, dtype=torch.int64, device=bounds.device)
        new_bounds[compact[numbers], places] = bounds
        new_rows[compact[numbers], places] = rows
        all_bounds = torch.cat([self.bounds[touched], new_bounds], 1)
        all_rows = torch.cat([self.rows[touched], new_rows], 1)
        best = all_bounds.topk(self.bounds.shape[1], dim=1)
        self.bounds[touched] = best.values
        self.rows[touched] = all_rows.gather(1, best.indices)


def above(results: torch.Tensor, floor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where results are above their query's floor: query numbers (ascending) and columns."""
    import torch

    queries, columns = results.shape
    if columns % GROUP:
        found = torch.nonzero(results > floor)
        return found[:, 0], found[:, 1]
    apart = columns // GROUP
    groups = results.view(queries, GROUP, apart)
    hot = torch.nonzero(groups.amax(1) > floor)
    members = groups[hot[:, 0], :, hot[:, 1]] > floor[hot[:, 0]]
    inside = torch.nonzero(members)
    chosen = hot[inside[:, 0]]
    return chosen[:, 0], inside[:, 1] * apart + chosen[:, 1]
