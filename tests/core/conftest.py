"""Fixtures for runs on real data with a small knowledge base and a plugin in one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke

HERE = Path(__file__).parent
PLUGIN = HERE / "word_plugin.py"


@pytest.fixture(scope="session")
def small_kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base folder of some hundred real concepts."""
    folder = tmp_path_factory.mktemp("kb") / "small"
    table = HERE / "data" / "small_kb.tsv"
    assert invoke(["kb", "build", "table", str(table), "--name", "small", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def run_arguments(small_kb: Path, cache: Path, tmp_path: Path) -> list[str]:
    """A run that takes a second or two: real mentions, small knowledge base."""
    return [
        *("run", "--plugin", str(PLUGIN), "--dataset", "xl-bel", "--subset", "de,th", "--limit", "150"),
        *("--kb", str(small_kb), "--retriever", "words", "--output", str(tmp_path / "runs"), "--json"),
    ]
