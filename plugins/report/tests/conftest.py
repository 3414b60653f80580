"""Three runs of a third party's plugin, made once on real mentions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PLUGIN = REPOSITORY / "tests" / "core" / "word_plugin.py"
TABLE = REPOSITORY / "tests" / "core" / "data" / "small_kb.tsv"

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The cache of all runs of a session."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def use_cache(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command uses the session's cache."""
    monkeypatch.setenv("BIOELX_BENCH_CACHE", cache)


def command(cache: str, *arguments: str) -> str:
    """Run the command line in a process of its own, as a user does; returns what it prints."""
    program = "from bioelx_bench.cli.main import main; main()"
    settings = {**os.environ, "BIOELX_BENCH_CACHE": cache}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def runs(cache: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Folders of three finished runs on the same mentions: two retrievers, and one of them with a ranker."""
    folder = tmp_path_factory.mktemp("runs")
    table = folder / "kb.tsv"
    table.write_text(TABLE.read_text(encoding="utf-8"), encoding="utf-8")
    kb, hostile = folder / "kb", tuple(TABLE.read_text(encoding="utf-8").splitlines()[1].split("\t"))
    with table.open("a", encoding="utf-8") as file:
        file.write("\t".join((hostile[0], "en", HOSTILE, *hostile[3:])) + "\n")
    command(cache, "kb", "build", "table", str(table), "--name", "small", "--output", str(kb))
    common = ["run", "--plugin", str(PLUGIN), "--dataset", "xl-bel", "--subset", "de,th,en", "--limit", "200"]
    common += [
        "--kb",
        str(kb),
        "--retriever",
        "words",
        "--output",
        str(folder / "runs"),
        "--json",
        "--k",
        "20",
    ]
    found = []
    for more in (["--ranker", "none"], ["-R", "size=2", "--ranker", "none"], ["--ranker", "context"]):
        answer = json.loads(
            command(cache, *common, "--metric", "mrr", "--metric", "ndcg", "--metric", "map", *more)
        )
        result = answer[0] if isinstance(answer, list) else answer
        found.append(str(folder / "runs" / str(result["run_id"])))
    return found


@pytest.fixture(scope="session")
def kb_folder(runs: list[str]) -> str:
    """The knowledge base of the runs."""
    return str(Path(runs[0]).parents[1] / "kb")
