"""A small knowledge base and retrievers over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_bm25.options import Bm25Options
from bioelx_bench_bm25.retriever import Bm25Retriever

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.testing import make_knowledge_base

Make = Callable[..., Bm25Retriever]


@pytest.fixture(scope="session")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The small multilingual knowledge base of `bioelx_bench.testing`."""
    return make_knowledge_base(tmp_path_factory.mktemp("kb") / "small")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment with a cache of its own."""
    return Environment(cache=Cache(tmp_path / "cache"), progress=Progress(enabled=False))


@pytest.fixture
def make(environment: Environment) -> Iterator[Make]:
    """Makes retrievers by options, and closes them at the end."""
    made: list[Bm25Retriever] = []

    def make_one(**options: Any) -> Bm25Retriever:
        made.append(Bm25Retriever(Bm25Options(**options), environment))
        return made[-1]

    yield make_one
    for retriever in made:
        retriever.close()


@pytest.fixture
def opened(make: Make, tmp_path: Path) -> Make:
    """Makes a retriever with an index of a knowledge base, opened."""

    def open_one(kb: KnowledgeBase, **options: Any) -> Bm25Retriever:
        retriever = make(**options)
        folder = tmp_path / f"index-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        retriever.index(kb, folder)
        retriever.open(kb, folder)
        return retriever

    return open_one
