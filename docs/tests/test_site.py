"""The documentation builds without a warning, leaves nothing out, and what it shows runs."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench.cache import default_cache_folder
from bioelx_bench.cli.main import invoke

DOCS = Path(__file__).resolve().parents[1]
REPOSITORY = DOCS.parent
RUN = [DOCS / "index.md", *sorted((DOCS / "tutorials").glob("*.md")), *sorted((DOCS / "how-to").glob("*.md"))]
"""Pages whose blocks are run; `plugins.md` has a test of its own."""

BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)


def generate() -> Any:
    """The module `docs/generate.py`."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """Every generated page."""
    pages: dict[str, str] = generate().pages()
    return pages


def test_the_site_builds_without_a_warning_or_a_connection(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="skipped: mkdocs-material is not installed")
    guard = tmp_path / "sitecustomize.py"
    guard.write_text(
        "import socket\n"
        "def refuse(*_): raise AssertionError('the build opened a connection')\n"
        "socket.socket.connect = refuse\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 25
    assert not [page for page in pages if "fonts.googleapis.com" in page.read_text("utf-8")]


def test_every_setting_is_in_the_reference(reference: dict[str, str]) -> None:
    from bioelx_bench.runs.run_config import RunConfig

    for name in RunConfig.model_fields:
        assert f"| `{name}` |" in reference["reference/settings.md"], name


def test_every_command_and_option_is_in_the_reference(reference: dict[str, str]) -> None:
    import typer

    from bioelx_bench.options import load_object
    from bioelx_bench.plugins import load_plugins

    page = reference["reference/command_line.md"]
    for registered in load_plugins().all("commands"):
        app = load_object(registered.spec.factory, "test")()
        for path, command in generate().leaves(typer.main.get_command(app), (registered.spec.name,)):
            section = page.partition(f"## bioelx-bench {' '.join(path)}\n")[2].partition("\n## ")[0]
            assert section, path
            for parameter in command.params:
                if parameter.param_type_name == "option" and parameter.name != "help":
                    assert f"`{parameter.opts[0]}`" in section, (path, parameter.opts)


def test_every_hook_and_attribute_of_a_declaration_is_in_the_reference(reference: dict[str, str]) -> None:
    import dataclasses

    from bioelx_bench import hookspecs
    from bioelx_bench.plugins import KINDS

    page = reference["reference/hooks.md"]
    for name, value in vars(hookspecs).items():
        if hasattr(value, "bioelx_bench_spec"):
            assert f"## `{name}(" in page, name
    for specs in KINDS.values():
        for spec in specs:
            assert f"### `{spec.__name__}`" in page
            assert dataclasses.fields(spec)


def test_every_component_and_option_is_in_the_reference(reference: dict[str, str]) -> None:
    from bioelx_bench.options import load_object
    from bioelx_bench.plugins import load_plugins

    page, plugins = reference["reference/components.md"], load_plugins()
    for kind in (
        "datasets",
        "knowledge_bases",
        "retrievers",
        "rankers",
        "metrics",
        "alias_sources",
        "presets",
    ):
        for registered in plugins.all(kind):
            heading = f"### {kind.removesuffix('s').replace('_', ' ')} `{registered.spec.name}`\n"
            section = page.partition(heading)[2].partition("\n### ")[0]
            assert section, heading
            options = getattr(registered.spec, "options", None)
            for name in load_object(options, "test").model_fields if options else ():
                assert f"| `{name}` |" in section, (heading, name)


def test_every_field_of_a_result_is_in_the_reference(reference: dict[str, str]) -> None:
    from pydantic import BaseModel

    from bioelx_bench import results

    page = reference["reference/result.md"]
    models = [m for m in vars(results).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    for model in models:
        if model.__module__ != results.__name__ or not model.model_fields:
            continue
        section = page.partition(f"## `{model.__name__}`\n")[2].partition("\n## ")[0]
        for name in model.model_fields:
            assert f"| `{name}` |" in section, (model, name)


def test_every_exported_name_is_in_the_reference(reference: dict[str, str]) -> None:
    import bioelx_bench

    for name in bioelx_bench.__all__:
        assert f"## `bioelx_bench.{name}`" in reference["reference/python.md"], name


def test_leaving_an_option_out_would_be_seen(reference: dict[str, str]) -> None:
    page = reference["reference/settings.md"]
    without = "\n".join(line for line in page.splitlines() if not line.startswith("| `seed` |"))
    with pytest.raises(AssertionError, match="seed"):
        test_every_setting_is_in_the_reference({"reference/settings.md": without})


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """The blocks of a page that are run: kind, title and text."""
    for marked, kind, title, text in BLOCK.findall(page.read_text("utf-8")):
        if (not marked and kind != "text") or title:
            yield kind, title, text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; what is cached stays with the machine's cache."""
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(default_cache_folder()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for kind, title, text in blocks(page):
        if title:
            (folder / title).write_text(text, encoding="utf-8")
        elif kind == "console":
            for line in text.splitlines():
                command = line.removeprefix("$ bioelx-bench ")
                assert command != line, f"{page.name}: only commands of bioelx-bench are run: {line}"
                assert invoke(command.split()) == 0, (line, capfd.readouterr().err)
        elif kind == "python":
            exec(compile(text, str(page), "exec"), {"__name__": "__main__"})
        else:
            raise AssertionError(f"{page.name}: a block {kind} is neither run nor marked with why not")


def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="skipped: nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="skipped: nbclient is not installed")
    notebook = nbformat.read(DOCS / "quickstart.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    sources = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert not re.search(r"bioelx_bench\S*\._", sources), "the notebook uses a private name"
    shown = [kind for cell in notebook.cells for o in cell.get("outputs", ()) for kind in o.get("data", {})]
    assert shown.count("text/html") >= 3
    assert shown.count("image/png") == 1


def test_this_machine_can_open_a_local_port() -> None:
    """The notebook's kernel needs one; a sandbox without would fail obscurely."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
