"""Make the positive pairs of a knowledge base of UMLS's size, and print seconds, pairs and memory.

    python benchmarks/training/pairs.py --concepts 4000000 --folder SCRATCH

The knowledge base has about 2.4 names a concept, with a tail of concepts with many, in five languages. It is written
in the layout of `bioelx_bench.kb.store` directly, since building one from rows is not what is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from bioelx_bench_sapbert.training.pairs import PairRules, write_pairs

from bioelx_bench.kb.manifest import KbManifest
from bioelx_bench.kb.store import BATCH_ROWS, KnowledgeBase
from bioelx_bench.kb.writer import CONCEPTS_SCHEMA, DEFINITIONS_SCHEMA, NAMES_SCHEMA

LANGUAGES = ["en", "de", "es", "fr", "ja"]


def write_kb(folder: Path, concepts: int) -> KnowledgeBase:
    """A synthetic knowledge base."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    sizes = np.minimum(generator.zipf(2.1, concepts), 60)
    offsets = np.r_[0, np.cumsum(sizes)]
    total = int(offsets[-1])
    np.save(folder / "name_offsets.npy", offsets)
    np.save(folder / "name_concepts.npy", np.repeat(np.arange(concepts, dtype=np.int32), sizes))
    np.save(folder / "concept_numbers.npy", np.arange(concepts, dtype=np.int32))
    for name, other in (("concepts", CONCEPTS_SCHEMA), ("definitions", DEFINITIONS_SCHEMA)):
        with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as file, pa.ipc.new_file(file, other) as writer:
            writer.write_table(other.empty_table())  # pairs need neither
    schema = NAMES_SCHEMA
    with pa.OSFile(str(folder / "names.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for start in range(0, total, BATCH_ROWS):
            rows = min(BATCH_ROWS, total - start)
            text = pa.array([f"Name of {n:x} disease" for n in generator.integers(0, 1 << 40, rows).tolist()])
            language = pa.array(generator.integers(0, len(LANGUAGES), rows).astype(np.int16))
            zeros, false = pa.array(np.zeros(rows, dtype=np.int32)), pa.array(np.zeros(rows, dtype=bool))
            writer.write_batch(pa.record_batch([text, language, zeros, false], schema=schema))
    manifest = KbManifest(
        name="synthetic",
        sha256="0" * 64,
        concepts=concepts,
        names=total,
        definitions=0,
        languages=LANGUAGES,
        sources=["x"],
        files=[],
        filters={},
        counts={},
        software={},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return KnowledgeBase.open(folder)


def main() -> None:
    """Write, make pairs, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--concepts", type=int, default=4_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    kb = write_kb(given.folder / "kb", given.concepts)
    started, cpu = time.perf_counter(), time.process_time()
    pairs = write_pairs(kb, PairRules(), given.folder / "pairs.npy")
    seconds = time.perf_counter() - started
    print(
        json.dumps(
            {
                "names": kb.name_count,
                "pairs": len(pairs),
                "seconds": round(seconds, 1),
                "cpu_seconds": round(time.process_time() - cpu, 1),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
