"""`doctor`, `cache`, `completion` and `config init`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from bioelx_bench.cli.machine import cache_check, gpu_check, memory_check
from bioelx_bench.cli.main import invoke
from bioelx_bench.config import load_config, purposes


@pytest.fixture
def small_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with old, new and interrupted work."""
    root = tmp_path / "cache"
    for name, size in (("indexes/old", 3000), ("indexes/new", 10), ("kb/one.partial", 500)):
        (root / name).mkdir(parents=True)
        (root / name / "data").write_bytes(b"x" * size)
    long_ago = time.time() - 100 * 86_400
    for path in (root / "indexes/old/data", root / "indexes/old"):
        os.utime(path, (long_ago, long_ago))
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(root))
    return root


def test_the_cache_is_listed_and_measured(small_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cache", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(e["kind"], e["key"], e["bytes"], e["partial"]) for e in found] == [
        ("indexes", "old", 3000, False),
        ("kb", "one.partial", 500, True),
        ("indexes", "new", 10, False),
    ]
    assert 99 < found[0]["days"] < 101
    assert invoke(["cache", "size", "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)
    assert (sizes["total"], sizes["kinds"]) == (3510, {"indexes": 3010, "kb": 500})
    assert invoke(["cache", "size"]) == 0
    assert "3.5 kB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--older-than", "50"], {"indexes/new", "kb/one.partial"}),
        (["--kind", "indexes"], {"kb/one.partial"}),
        (["--partial"], {"indexes/old", "indexes/new"}),
        (["--older-than", "50", "--kind", "kb"], {"indexes/old", "indexes/new", "kb/one.partial"}),
    ],
)
def test_pruning_removes_what_is_asked_and_only_then(
    small_cache: Path, options: list[str], left: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def folders() -> set[str]:
        return {f"{path.parent.name}/{path.name}" for path in small_cache.glob("*/*") if path.is_dir()}

    before = folders()
    assert invoke(["cache", "prune", *options]) == 0
    assert "repeat with --yes" in capsys.readouterr().out
    assert folders() == before
    assert invoke(["cache", "prune", "--yes", *options]) == 0
    assert folders() == left


def test_pruning_everything_must_be_said(small_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cache", "prune", "--yes"]) == 2
    assert "say what to remove" in capsys.readouterr().err


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    assert cache_check(tmp_path / "new").status in {"ok", "warning"}
    (tmp_path / "file").touch()
    refused = cache_check(tmp_path / "file")
    assert refused.status == "failed"
    assert "BIOELX_BENCH_CACHE" in (refused.hint or "")
    assert "cores" in memory_check().detail
    assert gpu_check().name == "GPU"


def test_doctor_ends_with_3_where_something_is_missing(
    small_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = invoke(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)
    assert {"Python", "cache", "memory", "GPU"} <= {check["name"] for check in checks}
    assert code == (3 if any(check["status"] == "failed" for check in checks) else 0)
    assert invoke(["doctor", "--preset", "nothing"]) != 0
    assert "unknown preset" in capsys.readouterr().err


def test_a_shell_completes(small_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", "fish"]) == 0
    assert "complete -c bioelx-bench -n '__fish_use_subcommand' -a run" in capsys.readouterr().out
    assert invoke(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("autoload")
    assert invoke(["completion", "bash"]) == 0
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("skipped: there is no bash")

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in ("bioelx-bench", *words))
        ask = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _bioelx_bench; echo ${{COMPREPLY[@]}}"
        done = subprocess.run([shell, "-c", ask], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout.split()

    assert completed("lea") == ["leaderboard"]
    assert completed("cache", "pr") == ["prune"]
    assert completed("cache", "prune", "--older") == ["--older-than"]
    assert "--retriever" in completed("run", "--retr")


def test_config_init_writes_every_setting_as_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["config", "init"]) == 0
    text = (tmp_path / "bioelx-bench.toml").read_text("utf-8")
    assert tomllib.loads(text) == {}
    for name, purpose in purposes().items():
        assert f"\n#{name} = " in text
        assert purpose in text
    assert invoke(["config", "init"]) == 2
    assert "already there" in capsys.readouterr().err
    # uncommented, the file is read, and changes nothing
    lines = [
        line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in text.splitlines()
    ]
    lines = [line for line in lines if '= "..."' not in line]
    (tmp_path / "bioelx-bench.toml").write_text("\n".join(lines), encoding="utf-8")
    read = load_config()
    assert read.get("k") == 50
    assert read.settings["k"].origin == "bioelx-bench.toml"
    assert "mine" in read.tables["rankers"]
