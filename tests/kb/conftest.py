"""Small knowledge bases and the real upstream files, for all tests of knowledge bases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase

NameRow = tuple[str, str, str, str, bool]


def batches(rows: Iterable[NameRow], size: int = 3) -> Iterator[pa.RecordBatch]:
    listed = list(rows)
    for start in range(0, len(listed), size):
        columns = zip(*listed[start : start + size], strict=True)
        yield pa.record_batch(
            [pa.array(c, t.type) for c, t in zip(columns, schemas.NAMES, strict=True)], schema=schemas.NAMES
        )


@pytest.fixture
def name_batches() -> Callable[..., Iterator[pa.RecordBatch]]:
    return batches


@pytest.fixture
def make_kb(tmp_path: Path) -> Callable[..., KnowledgeBase]:
    """Builds a knowledge base from plain tuples."""

    def make(
        rows: Iterable[NameRow], folder: str = "kb", size: int = 3, **more: Iterable[pa.RecordBatch]
    ) -> KnowledgeBase:
        given = Rows(names=batches(rows, size), **more)
        return build_knowledge_base(tmp_path / folder, "test", given, files=[], filters={})

    return make


@pytest.fixture(scope="session")
def upstream() -> Path:
    """The upstream files of the open knowledge base."""
    given = os.environ.get("BIOELX_BENCH_DATA_ROOT")
    root = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = root / "kb_open"
    if not folder.is_dir():
        pytest.skip("skipped: the upstream files of the open knowledge base are not on this machine")
    return folder
