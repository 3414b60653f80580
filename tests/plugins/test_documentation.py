"""`docs/plugins.md`: every hook has its heading, and every example runs as it stands there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from bioelx_bench import hookspecs
from bioelx_bench.cli.main import invoke
from bioelx_bench.plugins import KINDS, load_plugins
from bioelx_bench.testing import make_knowledge_base

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "bioelx_bench_spec")]


def examples() -> dict[str, str]:
    """The code blocks of the page by the file they belong to; blocks of one file follow each other in it."""
    found: dict[str, list[str]] = defaultdict(list)
    for title, code in re.findall(
        r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE.read_text("utf-8"), re.M | re.S
    ):
        found[title].append(code)
    return {title: "\n\n".join(blocks) for title, blocks in found.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the page's example as files."""
    for title, code in examples().items():
        (tmp_path / title).write_text(code, encoding="utf-8")
    return tmp_path


def test_there_are_hooks_to_document() -> None:
    assert set(KINDS) < set(HOOKS)
    assert {"run_started", "stage_finished", "run_finished"} < set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_and_an_example(hook: str) -> None:
    section = re.search(rf"^### `{hook}`\n(.*?)(?=^### |\Z)", PAGE.read_text("utf-8"), re.M | re.S)
    assert section is not None, f"docs/plugins.md has no heading for the hook {hook}"
    assert f"def {hook}(" in section[1]


def test_no_heading_is_of_a_hook_that_does_not_exist() -> None:
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE.read_text("utf-8"), re.M)) == sorted(HOOKS)


def test_the_examples_of_hooks_load(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = load_plugins([project / "every_hook.py"], disable="all")
    assert plugins.broken == []
    plugin = plugins.loaded[-1]
    assert plugin.hooks == tuple(sorted(HOOKS))
    for kind in KINDS:
        assert any(declared.plugin == plugin for declared in plugins.all(kind)), kind
    run = SimpleNamespace(run_id="abc")
    assert plugins.call_events("run_started", run=run) == []
    assert plugins.call_events("stage_finished", run=run, stage="load", seconds=1.25) == []
    assert plugins.call_events("run_finished", run=run, result=run) == []
    assert capsys.readouterr().err.splitlines() == ["started abc", "load: 1.2 s", "finished abc"]


def test_the_retriever_in_one_file_runs(
    project: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [("C0011849", "de", "Zuckerkrankheit"), ("C0004096", "de", "asthma bronchiale")]
    make_knowledge_base(project / "kb", names)
    command = f"run --plugin {project}/exact_names.py --dataset xl-bel --subset de,ja --limit 30 --json"
    code = invoke(
        [*command.split(), "--kb", f"{project}/kb", "--retriever", "exact", "--output", f"{project}/runs"]
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    result = json.loads(captured.out)
    assert result["retriever"]["name"] == "exact"
    assert result["scores"]["macro"]["n"] == 60


def test_the_package_installs_and_passes_the_conformance_tests(project: Path) -> None:
    """Built and installed by pip, then found through its entry point by another process."""
    for module in ("hatchling", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"skipped: {module} is not installed")
    source, target = project / "source", project / "site"
    source.mkdir()
    for name in ("exact_names.py", "pyproject.toml"):
        (project / name).rename(source / name)
    run = [sys.executable, "-m"]
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*run, "pip", "install", *options, str(source)], check=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    tested = subprocess.run(
        [*run, "pytest", "-q", "-p", "no:cacheprovider", str(project / "test_exact_names.py")],
        env=environment,
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert tested.returncode == 0, tested.stdout
    listed = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bioelx_bench.cli.main import main; main()",
            "list",
            "retrievers",
            "--json",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert '"exact"' in listed.stdout
    assert '"exact-names"' in listed.stdout
