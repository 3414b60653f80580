"""Synthetic vectors for the search benchmarks, stored as the retriever stores them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from bioelx_bench_sapbert.vectors import CHUNK, VectorManifest, VectorStore, measure_vectors

from bioelx_bench.progress import Progress

QUERY_NOISE = 0.6


def block_of(number: int, rows: int, dimension: int) -> npt.NDArray[np.float16]:
    """A block of unit vectors that share a direction, as those of multilingual encoders do (mean cosine 0.8)."""
    shared = np.random.default_rng(0).standard_normal(dimension, np.float32)
    own = np.random.default_rng(number + 1).standard_normal((rows, dimension), np.float32)
    vectors = 2 * shared / np.linalg.norm(shared) + own / np.sqrt(dimension)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def make_vectors(folder: Path, rows: int, dimension: int) -> VectorStore:
    """Write vectors and what a search needs to know of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "vectors.bin").open("wb") as file:
        for number, start in enumerate(range(0, rows, CHUNK)):
            file.write(block_of(number, min(CHUNK, rows - start), dimension).tobytes())
    manifest = VectorManifest(
        identity={},
        rows=rows,
        dimension=dimension,
        dtype="fp16",
        chunks=[],
        precision={},
        oom_retries=0,
        radius=0,
        bf16_error=0,
        software={},
    )
    store = measure_vectors(VectorStore(folder, manifest), Progress(enabled=False))
    (folder / "manifest.json").write_text(store.manifest.model_dump_json())
    return store


def make_queries(store: VectorStore, count: int) -> npt.NDArray[np.float32]:
    """Queries near some of the vectors."""
    generator = np.random.default_rng(99)
    rows = np.sort(generator.choice(len(store), count, replace=False))
    vectors = store.matrix()[rows].astype(np.float32)
    noise = generator.standard_normal(vectors.shape, np.float32) / np.sqrt(vectors.shape[1])
    noisy = vectors + QUERY_NOISE * noise
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def own_memory() -> dict[str, float]:
    """GB of this process: greatest resident set, and now: anonymous memory without the page cache."""
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    # VmHWM and not ru_maxrss, which a child inherits from the process that started it
    peak, anonymous = (int(status[key].split()[0]) / 1e6 for key in ("VmHWM", "RssAnon"))
    return {"peak_resident": round(peak, 2), "anonymous_at_end": round(anonymous, 2)}
