"""`plugins new` makes packages that install, work and pass linters, types and tests; `plugins test` runs the kits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.cli.plugin_new import Kind

NEEDS_A_PLUGIN = {"strategy": "bioelx_bench_llm"}
"""Kinds that need another plugin; they are tested where it is."""

KINDS = [kind.value for kind in Kind if kind.value not in NEEDS_A_PLUGIN]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of each kind, in one folder."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        assert invoke(["plugins", "new", f"my-{kind}", "--kind", kind, "--output", str(folder)]) == 0
    return folder


def python(*arguments: str, folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder."""
    environment = {**os.environ, "PYTHONPATH": path, "MYPYPATH": path}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_packages_are_linted(packages: Path) -> None:
    done = python("ruff", "check", "--no-cache", ".", folder=packages)
    assert done.returncode == 0, done.stdout


def test_packages_have_types(packages: Path) -> None:
    parts = [f"my-{kind}/my_{kind}" for kind in KINDS] + [
        f"my-{kind}/tests/test_my_{kind}.py" for kind in KINDS
    ]
    path = os.pathsep.join(str(packages / f"my-{kind}") for kind in KINDS)
    done = python(
        "mypy",
        "--config-file",
        "my-metric/pyproject.toml",
        "--ignore-missing-imports",
        "--cache-dir",
        ".mypy",
        *parts,
        folder=packages,
        path=path,
    )
    assert done.returncode == 0, done.stdout


def test_packages_pass_their_tests(packages: Path) -> None:
    path = os.pathsep.join(str(packages / f"my-{kind}") for kind in KINDS)
    done = python(
        "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", ".", folder=packages, path=path
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_short(packages: Path, kind: str) -> None:
    text = (packages / f"my-{kind}" / f"my_{kind}" / "component.py").read_text("utf-8")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.startswith(("from", "import", '"""'))
    ]
    assert len(lines) <= 40


def test_a_package_installs_and_is_found(packages: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(site)]
    done = python("pip", "install", *options, str(packages / "my-metric"), folder=tmp_path)
    if "No module named pip" in done.stderr:
        pytest.skip("skipped: pip is not installed")
    assert done.returncode == 0, done.stderr
    code = "from bioelx_bench.cli.main import main; main(['plugins', '--json'])"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    listed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert "my-metric" in [plugin["name"] for plugin in json.loads(listed.stdout)["loaded"]]


def plugins_test(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `plugins test` in a process of its own, since it runs pytest."""
    code = f"from bioelx_bench.cli.main import main; main({['plugins', 'test', *arguments]!r})"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_plugin_in_one_file_is_tested_without_a_test(tmp_path: Path) -> None:
    for kind in ("metric", "retriever"):
        assert (
            invoke(["plugins", "new", f"one-{kind}", "--kind", kind, "--one-file", "--output", str(tmp_path)])
            == 0
        )
    done = plugins_test("one_metric", "--plugin", "one_metric.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "metric one-metric: 4 passed\n"

    good = (tmp_path / "one_retriever.py").read_text("utf-8")
    (tmp_path / "broken.py").write_text(good.replace("[:k]", "[: k + 1]"), encoding="utf-8")
    done = plugins_test("broken", "--plugin", "broken.py", "--json", folder=tmp_path)
    assert done.returncode == 1
    reasons = [check["reason"] for check in json.loads(done.stdout) if check["outcome"] == "failed"]
    assert "search gives 2 candidates for k=1\n  why it matters: Recall@k would be of another k" in reasons


def test_what_cannot_be_tested_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["plugins", "test", "nothing"]) == 2
    assert "there is no plugin 'nothing'" in capsys.readouterr().err
    assert invoke(["plugins", "test", "core", "nothing"]) == 2
    assert "declares nothing named 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["My", "a_b", "class", "json", "-x", "../x", "a--b", ""])
def test_names_that_cannot_be_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["plugins", "new", "--kind", "metric", "--output", str(tmp_path), "--", name]) == 2
    assert "error:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plugins", "new", "my-metric", "--kind", "metric", "--output", str(tmp_path)]
    assert invoke(command) == 0
    assert invoke(command) == 2
    assert "already there" in capsys.readouterr().err
