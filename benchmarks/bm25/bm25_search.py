"""BM25 search of all XL-BEL queries: the harness against bare Pyserini, on equal indexes, in one process.

The bare index is built with Pyserini's `LuceneIndexer`, each name with its language's analyzer, and searched with
`LuceneSearcher.batch_search`, one call for each language, which sets the analyzer of its queries. The harness
searches through its retrieval stage (batches, candidates of concepts with names, log on disk).

Run: python benchmarks/bm25/bm25_search.py [--kb open] [--threads 2] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bioelx_bench_bm25.analyzers import Analyzers
from bioelx_bench_bm25.options import Bm25Options
from bioelx_bench_bm25.retriever import Bm25Retriever

from bioelx_bench import load_dataset, open_knowledge_base
from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.records import Document, Mention
from bioelx_bench.runs.foreign import Origin
from bioelx_bench.runs.logs import CandidateLog
from bioelx_bench.runs.retrieval import CheckedRetriever, retrieve

K = 50
Hits = list[tuple[str, float]]


def main() -> None:
    """Measure both ways in turn and print a JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kb", default="open")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    kb = open_knowledge_base(arguments.kb)
    mentions = [
        Mention(r["id"], Document(r["id"], "", r["language"]), (), r["mention"], r["language"])
        for r in load_dataset("xl-bel")
    ]
    environment = Environment(cache=Cache(default_cache_folder()), progress=Progress(enabled=False), kb=kb)
    retriever = Bm25Retriever(Bm25Options(threads=arguments.threads), environment)
    with tempfile.TemporaryDirectory() as folder:
        harness = prepare_harness(retriever, kb, mentions, Path(folder))
        bare, read = prepare_bare(kb, mentions, Path(folder), arguments.threads)
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(arguments.repeats + 1):
            times["harness"].append(timed(harness))
            times["bare"].append(timed(bare))
            times["bare_with_hits_read"].append(timed(lambda: read(bare())))
        best = {name: min(seconds[1:]) for name, seconds in times.items()}  # the first round warms up
        print(
            json.dumps(
                {
                    "queries": len(mentions),
                    "names": kb.name_count,
                    "k": K,
                    "threads": arguments.threads,
                    "seconds": {name: round(seconds, 2) for name, seconds in best.items()},
                    "ratio_to_bare": round(best["harness"] / best["bare"], 2),
                    "ratio_to_bare_with_hits_read": round(best["harness"] / best["bare_with_hits_read"], 2),
                    "queries_with_equal_scores": agreement(retriever, mentions, read(bare())),
                },
                indent=2,
            )
        )


def timed(work: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def prepare_harness(
    retriever: Bm25Retriever, kb: KnowledgeBase, mentions: Sequence[Mention], folder: Path
) -> Callable[[], None]:
    """The harness's retrieval stage, with a new log each time."""
    index = folder / "harness"
    index.mkdir()
    retriever.index(kb, index)
    retriever.open(kb, index)
    origin = Origin("retriever", "bm25", None, retriever)
    checked = CheckedRetriever(retriever, origin, kb, K, "concept")

    def run() -> None:
        with tempfile.TemporaryDirectory() as logs:
            log = CandidateLog(Path(logs) / "candidates.jsonl")
            retrieve(checked, iter(mentions), len(mentions), log, Progress(enabled=False))
            log.close()

    return run


def prepare_bare(
    kb: KnowledgeBase, mentions: Sequence[Mention], folder: Path, threads: int
) -> tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], dict[str, Hits]]]:
    """Pyserini's own indexer and searcher; the Java machine already runs (see `bioelx_bench_bm25.java`)."""
    os.environ.setdefault("OPENAI_API_KEY", "unused")  # Pyserini makes a client of it when it is imported
    from pyserini.index.lucene import LuceneIndexer
    from pyserini.search.lucene import LuceneSearcher

    names: dict[str, list[dict[str, str]]] = defaultdict(list)
    row = 0
    for batch in kb.name_batches(("text", "language")):
        for text, code in zip(*(batch.column(i).to_pylist() for i in (0, 1)), strict=True):
            names[kb.languages[code]].append({"id": str(row), "contents": text})
            row += 1
    for number, (language, rows) in enumerate(sorted(names.items())):
        indexer = LuceneIndexer(
            str(folder / "bare"),
            args=["-index", str(folder / "bare"), "-language", language],
            append=number > 0,
            threads=threads,
        )
        indexer.add_batch_dict(rows)
        indexer.close()
    searcher = LuceneSearcher(str(folder / "bare"))
    searcher.set_bm25(0.9, 0.4)
    analyzers = Analyzers("standard")
    queries: dict[str, list[Mention]] = defaultdict(list)
    for mention in mentions:
        queries[mention.language].append(mention)

    def run() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for language, asked in queries.items():
            searcher.set_analyzer(analyzers.of(language))
            found |= searcher.batch_search(
                [m.text for m in asked], [m.id for m in asked], k=K, threads=threads
            )
        return found

    def read(found: dict[str, Any]) -> dict[str, Hits]:
        return {query: [(hit.docid, hit.score) for hit in hits] for query, hits in found.items()}

    return run, read


def agreement(retriever: Bm25Retriever, mentions: Sequence[Mention], bare: dict[str, Hits]) -> float:
    """Share of queries whose list of name scores is the same to the fourth digit; ties may be ordered apart."""
    ours = retriever.search(mentions, K, "name")
    same = 0
    for mention, candidates in zip(mentions, ours, strict=True):
        left = [candidate.score for candidate in candidates]
        right = [score for _, score in bare.get(mention.id, ())]
        same += len(left) == len(right) and all(abs(a - b) < 1e-3 for a, b in zip(left, right, strict=True))
    return round(same / len(mentions), 4)


if __name__ == "__main__":
    main()
