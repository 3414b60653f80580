"""What the tests of this plugin share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_llm.litellm_setup import OWN_HTTP_CLIENT
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.ranker import LlmRanker

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.progress import Progress

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside the tests

Make = Callable[..., LlmRanker]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's keys, endpoints or proxies."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "OLLAMA_API_BASE",
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", OWN_HTTP_CLIENT),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    ):
        monkeypatch.setenv(name, "")  # so that what the code under test sets is taken back as well
        monkeypatch.delenv(name)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes rankers that share a cache, and closes them."""
    made: list[LlmRanker] = []

    def build(environment: dict[str, Any] | None = None, **options: Any) -> LlmRanker:
        values = {"model": "openai/test", "timeout": 5.0, **options}
        cache = Cache(tmp_path / "cache")
        made.append(
            LlmRanker(
                LlmOptions(**values),
                Environment(cache=cache, progress=Progress(enabled=False), **(environment or {})),
            )
        )
        return made[-1]

    yield build
    for ranker in made:
        ranker.close()
