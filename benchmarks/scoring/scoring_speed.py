"""Time and peak memory of reading logs and scoring, on synthetic logs over a knowledge base of 40,000 concepts.

python benchmarks/scoring/scoring_speed.py --mentions 1000000 --candidates 50 --folder FOLDER
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bioelx_bench.base import Notes
from bioelx_bench.cli.main import invoke
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Document, LabelledMention
from bioelx_bench.runs.logs import CandidateLine, CandidateLog
from bioelx_bench.scoring import figures
from bioelx_bench.scoring.evaluation import NamedMetric
from bioelx_bench.scoring.protocols import find_protocol
from bioelx_bench.scoring.score import ScoringInput, score_run

CONCEPTS = 40_000
BATCH = 1000


class Mentions:
    """Synthetic mentions, ten to a document, as often as they are asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[LabelledMention]:
        document = Document("d0", "", "en")
        for number in range(self.count):
            if number % 10 == 0:
                document = Document(f"d{number // 10}", "", "en")
            gold = (f"C{number * 7919 % CONCEPTS + 1:07d}",)
            yield LabelledMention(
                f"synthetic/en/{number:07d}", document, (), f"name {number % 90_000}", "en", gold
            )


def write_log(path: Path, mentions: int, candidates: int) -> None:
    """Write a log of random candidates, three in ten of which hold the gold among the first."""
    random = np.random.default_rng(0)
    log = CandidateLog(path)
    ids = [f"C{i + 1:07d}" for i in range(CONCEPTS)]
    scores = np.sort(random.random(candidates))[::-1].tolist()
    for start in range(0, mentions, BATCH):
        drawn = random.integers(0, CONCEPTS, size=(BATCH, candidates))
        lines = []
        for row, number in zip(drawn.tolist(), range(start, min(start + BATCH, mentions)), strict=False):
            if number % 10 < 3:
                row[number % 7] = number * 7919 % CONCEPTS
            lines.append(
                CandidateLine(
                    f"synthetic/en/{number:07d}", [ids[i] for i in row], scores, [f"name of {i}" for i in row]
                )
            )
        log.append_batch(lines, Notes())
    log.close()


def main() -> None:
    """Write the log, score it, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mentions", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = options.folder / "kb.tsv"
    if not (options.folder / "kb").is_dir():
        rows = (f"C{i + 1:07d}\ten\tname {i}\n" for i in range(CONCEPTS))
        table.write_text("cui\tlang\tname\n" + "".join(rows))
        invoke(
            [
                "kb",
                "build",
                "table",
                str(table),
                "--name",
                "synthetic",
                "--output",
                str(options.folder / "kb"),
            ]
        )
    path = options.folder / f"candidates-{options.mentions}-{options.candidates}.jsonl"
    if not path.is_file():
        write_log(path, options.mentions, options.candidates)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    functions = {
        "recall": figures.recall,
        "mrr": figures.mrr,
        "map": figures.average_precision,
        "ndcg": figures.ndcg,
    }
    start, cpu = time.perf_counter(), time.process_time()
    scored = score_run(
        ScoringInput(
            subsets=[("en", Mentions(options.mentions))],
            candidates=CandidateLog(path, writable=False),
            rankings=None,
            kb=KnowledgeBase.open(options.folder / "kb"),
            protocol=find_protocol("bioelx", {}),
            metrics=[NamedMetric(name=n, plugin="bioelx-bench", function=f) for n, f in functions.items()],
            k=options.candidates,
            rerank_depth=None,
            predictions=options.folder / "predictions.parquet",
        )
    )
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.mentions:,} mentions x {options.candidates}: wall {wall:.2f} s, CPU {cpu:.2f} s")
    print(
        f"log {path.stat().st_size / 1e6:,.0f} MB; peak memory {peak:,.0f} MB ({before:,.0f} MB before scoring)"
    )
    print(f"recall@1 {scored.scores['en'].retrieval.figures['recall@1']:.4f}")


if __name__ == "__main__":
    main()
