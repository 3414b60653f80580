"""Request rate and processor time against LiteLLM alone, with a server that answers after 200 ms.

Run it with nothing else on the machine: `python benchmarks/llm/throughput.py [REQUESTS]`. The alternative, in the
same run and taking turns, is a plain loop over `litellm.acompletion` with a semaphore and the same messages,
parameters and server: once set up as the ranker does it, and once as LiteLLM comes. Of the rounds
the best one counts for each, since what else the machine does only ever takes time.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[2] / "plugins" / "llm" / "tests"
sys.path.insert(0, str(TESTS))

from bioelx_bench_llm.litellm_setup import OWN_HTTP_CLIENT, import_litellm  # noqa: E402
from bioelx_bench_llm.options import LlmOptions  # noqa: E402
from bioelx_bench_llm.ranker import LlmRanker  # noqa: E402
from samples import items  # noqa: E402

from bioelx_bench.base import Environment  # noqa: E402
from bioelx_bench.cache import Cache  # noqa: E402
from bioelx_bench.progress import Progress  # noqa: E402

DELAY, CONCURRENCY, ROUNDS = 0.2, 32, 2


def main(count: int) -> None:
    """Measure both and print the ratios."""
    command = [sys.executable, str(TESTS / "protocol_server.py"), json.dumps({"delay": DELAY})]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdin is not None
    base = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    found: dict[str, list[tuple[float, float]]] = {"ranker": [], "LiteLLM": [], "as it comes": []}
    try:
        ours(base, CONCURRENCY)  # imports, connections
        for _ in range(ROUNDS):
            found["ranker"].append(ours(base, count))
            found["LiteLLM"].append(asyncio.run(alone(base, "openai/test", "true", count)))
            found["as it comes"].append(asyncio.run(alone(base, "openai/unknown", "false", count)))
    finally:
        server.stdin.close()
        server.wait(10)
    ideal = CONCURRENCY / DELAY
    print(f"ideal rate {ideal:.0f}/s; best of {ROUNDS} rounds of {count} requests")
    best = {}
    for name, rounds in found.items():
        wall, best[name] = min(w for w, _ in rounds), min(p for _, p in rounds) / count * 1e3
        rate = count / wall
        print(f"{name:<11} {rate:5.1f}/s = {rate / ideal:.0%} of it, {best[name]:.2f} ms CPU a request")
    print(f"harness beyond LiteLLM: {best['ranker'] - best['LiteLLM']:.2f} ms CPU a request")


def ours(base: str, count: int) -> tuple[float, float]:
    """Wall and processor seconds of the ranker, one call a mention."""
    os.environ.pop(OWN_HTTP_CLIENT, None)
    options = LlmOptions(model="openai/test", api_base=base, strategy="listwise", concurrency=CONCURRENCY)
    with tempfile.TemporaryDirectory() as folder:
        ranker = LlmRanker(options, Environment(cache=Cache(Path(folder)), progress=Progress(enabled=False)))
        work = items(count)
        wall, processor = time.perf_counter(), time.process_time()
        assert sum(r.status == "ok" for r in ranker.rank_many(work)) == count
        found = time.perf_counter() - wall, time.process_time() - processor
        ranker.close()
    return found


async def alone(base: str, model: str, own_client: str, count: int) -> tuple[float, float]:
    """The same calls with LiteLLM alone."""
    litellm = import_litellm()
    os.environ[OWN_HTTP_CLIENT] = own_client
    slots = asyncio.Semaphore(CONCURRENCY)
    text = "Candidates:\n" + "\n".join(f"{i}. concept {i}" for i in range(1, 11)) + "\n" * 1

    async def call(number: int) -> None:
        messages = [{"role": "system", "content": "x" * 700}, {"role": "user", "content": f"{number} {text}"}]
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
        async with slots:
            await litellm.acompletion(
                model=model,
                api_base=base,
                api_key="none",
                messages=messages,
                response_format=form,
                temperature=0,
                max_tokens=92,
                max_retries=0,
                timeout=60,
            )

    await asyncio.gather(*(call(-n) for n in range(CONCURRENCY)))  # connections
    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call(n) for n in range(count)))
    found = time.perf_counter() - wall, time.process_time() - processor
    await litellm.close_litellm_async_clients()
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3200)
