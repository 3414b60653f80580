"""A fully cached pointwise run: 10,000 mentions with 10 candidates each over a real knowledge base.

`python benchmarks/llm/cached.py KB_FOLDER` fills a file of answers and times the run over it. The alternative, in the
same run, is reading the same 100,000 rows with SQLite alone, one query a mention.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from bioelx_bench_llm.answer_cache import Answer, AnswerFile
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.ranker import Item, LlmRanker
from bioelx_bench_llm.request_runner import Deadline
from bioelx_bench_llm.strategies.base import Question
from bioelx_bench_llm.strategies.pointwise import pointwise_requests

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate
from bioelx_bench.testing import make_mention

MENTIONS, CANDIDATES = 10_000, 10


def main(kb: KnowledgeBase) -> None:
    """Fill, run, compare."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(cache=Cache(Path(folder)), kb=kb, progress=Progress(enabled=False))
        options = LlmOptions(model="openai/test", strategy="pointwise")
        work = mentions(kb)
        keys = fill(LlmRanker(options, environment), work, Path(folder) / "answers" / "answers.sqlite")
        ranker = LlmRanker(options, environment)
        started = time.perf_counter()
        assert sum(r.status == "ok" for r in ranker.rank_many(work)) == MENTIONS
        seconds = time.perf_counter() - started
        assert ranker.notes().counts["calls"] == 0
        ranker.close()
        alone = read_alone(Path(folder) / "answers" / "answers.sqlite", keys)
    print(f"cached run of {MENTIONS} x {CANDIDATES}: {seconds:.1f} s; the rows alone: {alone:.1f} s")


def mentions(kb: KnowledgeBase) -> list[Item]:
    """Mentions of names in the knowledge base, with neighbouring concepts as candidates."""
    made: list[Item] = []
    step = max(kb.name_count // MENTIONS, 1)
    for number in range(MENTIONS):
        row = (number * step) % kb.name_count
        concept = int(kb.name_concepts[row])
        found = []
        for place in range(CANDIDATES):
            near = (concept + place) % len(kb)
            found.append(
                Candidate(kb.concept_id(near), 1.0 - place / 20, kb.name_text(int(kb.name_offsets[near])))
            )
        made.append(
            (
                make_mention(
                    kb.name_text(row), "de", number=number, context="Befund: {}. " * 1 + "Verlauf. " * 40
                ),
                found,
            )
        )
    return made


def fill(ranker: LlmRanker, work: list[Item], path: Path) -> list[list[str]]:
    """Store an answer to every request of the run; gives the keys by mention."""
    file, keys = AnswerFile(path), []
    for mention, candidates in work:
        question = Question(mention, candidates, ranker._context, Deadline(1.0))
        own = [ranker._endpoint.key(request) for request in pointwise_requests(question)]
        top = tuple((word, -0.1 * i - 0.1) for i, word in enumerate(["yes", "no", *map(str, range(18))]))
        file.put(
            {key: Answer(text="yes", alternatives=top, prompt_tokens=200, form="logprobs") for key in own}
        )
        keys.append(own)
    file.close()
    ranker.close()
    return keys


def read_alone(path: Path, keys: list[list[str]]) -> float:
    """Seconds to read the rows with SQLite alone."""
    connection = sqlite3.connect(path)
    started = time.perf_counter()
    for own in keys:
        marks = ",".join("?" * len(own))
        connection.execute(f"SELECT answer FROM answers WHERE key IN ({marks})", own).fetchall()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(KnowledgeBase.open(Path(sys.argv[1])))
