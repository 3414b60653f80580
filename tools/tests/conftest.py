"""Makes the modules of `tools` importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.plugins import load_plugins

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A cache of its own, and no plugin."""
    return Environment(cache=Cache(tmp_path / "cache"), plugins=load_plugins(disable="all"))
