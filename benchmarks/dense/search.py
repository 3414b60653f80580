"""Exact search against FAISS IndexFlatIP (fp32), in one run, each in a process of its own.

    python benchmarks/dense/search.py FOLDER [--rows 1000000] [--dimension 768] [--queries 1000] [--k 20] [--no-faiss]

Prints queries/s by wall and by CPU time, memory, whether both find the same (where not, by how much
FAISS's fp32 sums missed the better vector), and the ratio. FOLDER holds the
vectors (1.5 GB for a million) and is not removed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from bioelx_bench_sapbert.aggregation import TopK
from bioelx_bench_sapbert.vectors import VectorStore
from vectors import make_queries, make_vectors, own_memory

from bioelx_bench.progress import Progress


def measure_ours(store: VectorStore, queries: Any, k: int) -> tuple[Any, dict[str, Any]]:
    """Search with the retriever's exact engine."""
    import torch
    from bioelx_bench_sapbert.hardware import choose_device, has_fast_bf16
    from bioelx_bench_sapbert.search import ExactSearch

    device = choose_device("auto")
    search = ExactSearch(store, device, bf16=has_fast_bf16(device))
    begin_clock()

    def aggregate(rows: Any, scores: Any) -> TopK:
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        pad = ((0, 0), (0, k - order.shape[1]))
        return TopK(
            np.pad(np.take_along_axis(rows, order, 1), pad, constant_values=-1),
            np.pad(np.take_along_axis(scores, order, 1), pad, constant_values=-np.inf),
        )

    rows = search.search(queries, 2 * k + 64, aggregate, Progress(False)).names
    report = {
        "engine": search.name,
        "device": str(device),
        "fallback_queries": search.report.fallback_queries,
    }
    return rows, report | {"threads": torch.get_num_threads()}


def measure_faiss(store: VectorStore, queries: Any, k: int) -> tuple[Any, dict[str, Any]]:
    """Search with FAISS's flat index, which holds the vectors in fp32; filling it is not timed."""
    import faiss

    index = faiss.IndexFlatIP(store.dimension)
    for _, block in store.blocks(65536):
        index.add(block.astype(np.float32))
    begin_clock()
    return index.search(queries, k)[1], {
        "engine": "faiss IndexFlatIP",
        "threads": faiss.omp_get_max_threads(),
    }


def greatest_loss(store: VectorStore, queries: Any, ours: Any, theirs: Any) -> float:
    """How far, where the two differ, the least true product of FAISS's list is below that of ours.

    Products are computed in fp64, in which those of stored vectors and fp32 queries are as good as exact.
    """
    loss = 0.0
    for query, mine, other in zip(queries, ours, theirs, strict=True):
        if set(mine.tolist()) != set(other.tolist()):
            least = [
                float((store.matrix()[rows].astype(np.float64) @ query.astype(np.float64)).min())
                for rows in (mine, other)
            ]
            loss = max(loss, least[0] - least[1])
    return loss


CLOCK: dict[str, float] = {}


def begin_clock() -> None:
    """Start timing, after imports and setting up."""
    CLOCK.update(wall=time.perf_counter(), cpu=time.process_time())


def child(name: str, folder: Path, k: int) -> None:
    """One engine, in a process of its own; prints JSON."""
    store = VectorStore.open(folder)
    queries = np.load(folder / "queries.npy")
    rows, report = {"ours": measure_ours, "faiss": measure_faiss}[name](store, queries, k)
    wall, cpu = time.perf_counter() - CLOCK["wall"], time.process_time() - CLOCK["cpu"]
    np.save(folder / f"{name}.npy", rows)
    report |= {
        "queries_per_s": round(len(queries) / wall, 1),
        "queries_per_cpu_s": round(len(queries) / cpu, 1),
    }
    print(json.dumps(report | {"memory_gb": own_memory()}))


def main() -> None:
    """Make the vectors if they are not there, and run both engines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--no-faiss", action="store_true")
    parser.add_argument("--child", choices=("ours", "faiss"))
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.k)
        return
    if not (options.folder / "manifest.json").is_file():
        make_vectors(options.folder, options.rows, options.dimension)
    store = VectorStore.open(options.folder)
    np.save(options.folder / "queries.npy", make_queries(store, options.queries))
    names = ("ours",) if options.no_faiss else ("faiss", "ours")
    results = {}
    for name in names:
        command = [sys.executable, __file__, str(options.folder), "--k", str(options.k), "--child", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout)
        print(name, json.dumps(results[name]), flush=True)
    if not options.no_faiss:
        ours, theirs = (np.load(options.folder / f"{name}.npy") for name in ("ours", "faiss"))
        same = np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(ours, theirs, strict=True)])
        queries = np.load(options.folder / "queries.npy")
        lost = greatest_loss(store, queries, ours, theirs)
        ratio = {
            f"ratio_{unit}": round(
                results["ours"][f"queries_{unit}"] / results["faiss"][f"queries_{unit}"], 2
            )
            for unit in ("per_s", "per_cpu_s")
        }
        print(json.dumps({"same_candidates": float(same), "greatest_loss_of_faiss": lost, **ratio}))


if __name__ == "__main__":
    main()
