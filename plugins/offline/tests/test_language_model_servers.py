"""All strategies that a server supports, end to end: real servers with a real model on loopback."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bioelx_bench_llm.options import LlmOptions, Qwen3RerankerOptions
from bioelx_bench_llm.ranker import LlmRanker
from bioelx_bench_offline.language_model_files import model_revision, ready_folder
from language_model_samples import items, model_environment, require_model

pytestmark = pytest.mark.slow


def install(folder: Path, packages: Sequence[str]) -> None:
    """Install what a server needs and lacks, into a folder of its own; where that cannot be, skip."""
    missing = [p for p in packages if importlib.util.find_spec(p.replace("-", "_")) is None]
    if not missing:
        return
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "--no-deps", *missing]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"skipped: {', '.join(missing)} cannot be installed here")


@contextmanager
def serving(command: Sequence[str], path: str, log: Path, extra: Path) -> Iterator[str]:
    """Run a server on a free port until the block ends; gives its base address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"TRANSFORMERS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(extra)}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
        )
        try:
            wait(f"http://127.0.0.1:{port}{path}", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(20)


def wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.3)


def rank(base: str, model: str, strategy: str, folder: Path) -> tuple[set[str], dict[str, int], set[str]]:
    """Statuses, fallbacks and forms of answers over two mentions."""
    options = LlmOptions(
        model=f"openai/{model}", api_base=base, strategy=strategy, timeout=120, concurrency=2
    )  # type: ignore[arg-type]
    ranker = LlmRanker(options, model_environment(folder / strategy))
    rankings = list(ranker.rank_many(items(2)))
    forms = set(ranker.notes().facts["answer_forms"])
    ranker.close()
    assert all(len(r.candidates) == 3 and r.usage.prompt_tokens > 50 for r in rankings)
    summed: dict[str, int] = {}
    for ranking in rankings:
        for kind, count in ranking.fallbacks.items():
            summed[kind] = summed.get(kind, 0) + count
    return {r.status for r in rankings}, summed, forms


def test_llama_cpp_server(tmp_path: Path) -> None:
    file = require_model()
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("skipped: llama-cpp-python is not installed, and builds in minutes")
    install(
        tmp_path / "extra", ["fastapi", "uvicorn", "starlette-context", "sse-starlette", "pydantic-settings"]
    )
    command = ["llama_cpp.server", "--model", str(file), "--logits_all", "true", "--n_ctx", "2048"]
    with serving(command, "/v1/models", tmp_path / "log", tmp_path / "extra") as base:
        assert rank(base, "smollm2", "pointwise", tmp_path) == ({"ok"}, {}, {"logprobs"})
        assert rank(base, "smollm2", "setwise", tmp_path) == ({"ok"}, {}, {"logprobs"})
        statuses, _, forms = rank(base, "smollm2", "listwise", tmp_path)
        assert "failed" not in statuses and forms == {"json_object_schema"}
        assert_asked_as_a_reranker(base, tmp_path)


def assert_asked_as_a_reranker(base: str, folder: Path) -> None:
    """The alias of the preset `bioelx` over HTTP; this server runs one model, whatever name it is asked for."""
    options = Qwen3RerankerOptions(api_base=base, strategy="pointwise", timeout=120, concurrency=2)
    ranker = LlmRanker(options, model_environment(folder / "reranker"))
    (item,) = items(1)
    (ranking,) = ranker.rank_many([item])
    notes = ranker.notes()
    ranker.close()
    assert notes["prompt"] == "qwen3-reranker" and set(notes["answer_forms"]) == {"logprobs"}
    assert ranking.usage.calls == 3 and set(ranking.fallbacks) <= {"undecided"}


def test_transformers_serve(tmp_path: Path) -> None:
    file = require_model()
    environment = model_environment(tmp_path / "cache")
    folder = str(ready_folder(file, model_revision(file), environment).resolve())
    install(tmp_path / "extra", ["fastapi", "uvicorn", "starlette"])
    command = ["transformers.cli.transformers", "serve", folder, "--dtype", "float32"]
    with serving(command, "/health", tmp_path / "log", tmp_path / "extra") as base:
        statuses, _, _ = rank(base, folder, "listwise", tmp_path)
        assert "failed" not in statuses
        statuses, fallbacks, _ = rank(base, folder, "pointwise", tmp_path)
        assert statuses <= {"repaired", "partial", "unparsed"}  # this server gives no log-probabilities
        assert fallbacks["logprobs_missing"] + fallbacks.get("undecided", 0) == 6
