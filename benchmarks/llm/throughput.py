"""Request rate and processor time against LiteLLM alone, with a server that answers after 200 ms.

Run it with nothing else on the machine: `python benchmarks/llm/throughput.py`. The alternative, in the same run, is a
plain loop over `litellm.acompletion` with a semaphore and the same messages, parameters and server.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[2] / "plugins" / "llm" / "tests"
sys.path.insert(0, str(TESTS))

from bioelx_bench_llm.endpoint import import_litellm  # noqa: E402
from bioelx_bench_llm.options import LlmOptions  # noqa: E402
from bioelx_bench_llm.ranker import LlmRanker  # noqa: E402
from samples import items  # noqa: E402

from bioelx_bench.cache import Cache  # noqa: E402
from bioelx_bench.progress import Progress  # noqa: E402
from bioelx_bench.protocols import Environment  # noqa: E402

DELAY, CONCURRENCY = 0.2, 32


def main(count: int) -> None:
    """Measure both and print the ratios."""
    command = [sys.executable, str(TESTS / "protocol_server.py"), json.dumps({"delay": DELAY})]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdin is not None
    base = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    try:
        ours(base, CONCURRENCY)  # imports, connections
        seconds, processor = ours(base, count)
        asyncio.run(alone(base, CONCURRENCY))
        alone_seconds, alone_processor = asyncio.run(alone(base, count))
    finally:
        server.stdin.close()
        server.wait(10)
    ideal = CONCURRENCY / DELAY
    print(f"ideal rate {ideal:.0f}/s")
    for name, wall, cpu in (("ranker", seconds, processor), ("LiteLLM", alone_seconds, alone_processor)):
        rate = count / wall
        print(f"{name:<8} {rate:.1f}/s = {rate / ideal:.0%} of it, {cpu / count * 1e3:.2f} ms CPU a request")
    print(f"harness beyond LiteLLM: {(processor - alone_processor) / count * 1e3:.2f} ms CPU a request")


def ours(base: str, count: int) -> tuple[float, float]:
    """Wall and processor seconds of the ranker, one call a mention."""
    options = LlmOptions(model="openai/test", api_base=base, strategy="listwise", concurrency=CONCURRENCY)
    with tempfile.TemporaryDirectory() as folder:
        ranker = LlmRanker(options, Environment(cache=Cache(Path(folder)), progress=Progress(enabled=False)))
        work = items(count)
        wall, processor = time.perf_counter(), time.process_time()
        assert sum(r.status == "ok" for r in ranker.rank_many(work)) == count
        found = time.perf_counter() - wall, time.process_time() - processor
        ranker.close()
    return found


async def alone(base: str, count: int) -> tuple[float, float]:
    """The same calls with LiteLLM alone."""
    litellm = import_litellm()
    slots = asyncio.Semaphore(CONCURRENCY)
    text = "Candidates:\n" + "\n".join(f"{i}. concept {i}" for i in range(1, 11)) + "\n" * 1

    async def call(number: int) -> None:
        messages = [{"role": "system", "content": "x" * 700}, {"role": "user", "content": f"{number} {text}"}]
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
        async with slots:
            await litellm.acompletion(
                model="openai/test",
                api_base=base,
                api_key="none",
                messages=messages,
                response_format=form,
                temperature=0,
                max_tokens=92,
                max_retries=0,
                timeout=60,
            )

    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call(n) for n in range(count)))
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1600)
