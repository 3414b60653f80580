from __future__ import annotations

from pathlib import Path

import pytest

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.table import build_from_table
from bioelx_bench.plugins import load_plugins


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(cache=Cache(tmp_path / "cache"), plugins=load_plugins(disable="all"))


@pytest.fixture(scope="session")
def small_kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """Six concepts with an English name each."""
    folder = tmp_path_factory.mktemp("kb")
    table = folder / "names.tsv"
    names = ["headache", "fever", "asthma", "penis", "influenza", "cough"]
    rows = [f"C000000{i}\ten\t{name}" for i, name in enumerate(names, 1)]
    table.write_text("cui\tlang\tname\n" + "\n".join(rows) + "\n")
    return build_from_table(table, "small", folder / "kb")
