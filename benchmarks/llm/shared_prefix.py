"""Pointwise scoring of 10 candidates with the embedded model: shared starts against 10 separate full prompts.

`python benchmarks/llm/shared_prefix.py KB_FOLDER [MENTIONS]` takes the first mentions of XL-BEL (de, en)
with their real contexts, and real concepts of the knowledge base as candidates.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from bioelx_bench_llm.ranker import Item
from bioelx_bench_llm.request_runner import Deadline
from bioelx_bench_llm.strategies.base import Question
from bioelx_bench_llm.strategies.pointwise import pointwise_requests
from bioelx_bench_offline.language_model import SmolLm2Options, make_ranker
from bioelx_bench_offline.language_model_files import model_revision, ready_folder, smollm2_file
from bioelx_bench_offline.language_model_scorer import Scorer

from bioelx_bench.base import DatasetRequest, Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.datasets.xl_bel import XlBel
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate


def main(kb: KnowledgeBase, count: int) -> None:
    """Time both ways on the same prompts."""
    environment = Environment(cache=Cache(default_cache_folder()), kb=kb, progress=Progress(enabled=False))
    ranker = make_ranker(SmolLm2Options(), environment)
    file = smollm2_file()
    scorer = Scorer(ready_folder(file, model_revision(file), environment), "auto", "auto")
    prompts = [
        [list(r.messages) for r in pointwise_requests(Question(*item, ranker._context, Deadline(1.0)))]
        for item in mentions(kb, environment, count)
    ]
    other = {"role": "user", "content": "None of the contexts.\n\nNone of the candidates."}
    # All mentions share the instruction, so that it is computed before; the mentions' contexts are not.
    scorer.generate([*prompts[0][0][:-1], other], max_tokens=1, top=20)
    shared = full = 0.0
    worst, tokens = 0.0, 0
    for group in prompts:
        started = time.process_time()
        first = scorer.first_tokens([scorer.tokens(messages, {}) for messages in group], 20)
        shared += time.process_time() - started
        started = time.process_time()
        whole = [replace(scorer.tokens(messages, {}), cuts=()) for messages in group]
        second = [scorer.first_tokens([prompt], 20)[0] for prompt in whole]
        full += time.process_time() - started
        tokens += sum(f.prompt_tokens for f in second)
        worst = max(
            worst,
            *(abs(a.alternatives[0][1] - b.alternatives[0][1]) for a, b in zip(first, second, strict=True)),
        )
    print(f"{count} mentions x 10 candidates, {tokens / count / 10:.0f} tokens a prompt")
    print(
        f"CPU time of a mention: separate {full / count:.2f} s, shared {shared / count:.2f} s; "
        f"{full / shared:.2f} times faster"
    )
    print(f"largest difference of the first log-probability: {worst:.4f}")
    ranker.close()


def mentions(kb: KnowledgeBase, environment: Environment, count: int) -> list[Item]:
    """Real mentions in their contexts, with real concepts."""
    found: list[Item] = []
    for subset in ("de", "en"):
        request = DatasetRequest(
            revision="v1.0", subset=subset, split="test", data_root=None, cache=environment.cache
        )
        for number, mention in enumerate(XlBel(request).mentions()):
            if number == (count + 1) // 2:
                break
            rows = [(number * 997 + place * 101) % len(kb) for place in range(10)]
            found.append(
                (
                    mention,
                    [Candidate(kb.concept_id(r), 1.0, kb.name_text(int(kb.name_offsets[r]))) for r in rows],
                )
            )
    return found[:count]


if __name__ == "__main__":
    main(KnowledgeBase.open(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 6)
