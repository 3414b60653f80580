"""Installed plugins for tests: what pip leaves in a folder, without the seconds that pip takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Install = Callable[..., Path]


def write_distribution(
    folder: Path, name: str, modules: Mapping[str, str], plugins: Mapping[str, str]
) -> None:
    """Write a distribution as pip installs it.

    Args:
        folder: The folder that is on Python's path.
        name: The distribution's name.
        modules: Source of each module.
        plugins: Module of each plugin name.
    """
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    points = "\n".join(f"{plugin} = {module}" for plugin, module in plugins.items())
    (info / "entry_points.txt").write_text(f"[bioelx_bench]\n{points}\n", encoding="utf-8")
    (info / "RECORD").write_text("", encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path, and so on that of subprocesses."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def install_distribution(installed: Path) -> Callable[..., None]:
    """`write_distribution` into that folder."""
    return lambda *arguments: write_distribution(installed, *arguments)


@pytest.fixture
def install(installed: Path, request: pytest.FixtureRequest) -> Install:
    """Install a plugin `name` of one module; the module's name is unique, since Python keeps modules."""
    test = "".join(c if c.isalnum() else "_" for c in request.node.name)

    def install_one(name: str, source: str, distribution: str | None = None) -> Path:
        owner = distribution or f"dist-{name}"
        module = f"plugin_{test}_{owner}_{name}".replace("-", "_")
        write_distribution(installed, owner, {module: source}, {name: module})
        return installed / f"{module}.py"

    return install_one
