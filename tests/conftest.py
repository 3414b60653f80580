"""Fixtures shared by all tests of the core."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The larger real data, where it is at hand; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("BIOELX_BENCH_DATA_ROOT", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("skipped: the larger benchmark data is not here (set BIOELX_BENCH_DATA_ROOT)")
    return folder


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's configuration or works in the repository's folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.delenv("BIOELX_BENCH_DISABLE_PLUGINS", raising=False)
    monkeypatch.chdir(home)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole test session, so that data is parsed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's cache as the default cache folder."""
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(cache_folder))
    return cache_folder
