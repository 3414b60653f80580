"""Where a figure comes from: versions, machine, revision of the code, command."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from bioelx_bench.runs.portable import portable_command

LIBRARIES: Final = (
    "bioelx-bench",
    "bioelx-bench-bm25",
    "bioelx-bench-sapbert",
    "bioelx-bench-llm",
    "bioelx-bench-offline",
    "accelerate",
    "datasets",
    "duckdb",
    "evaluate",
    "faiss-cpu",
    "litellm",
    "numpy",
    "pyarrow",
    "pyserini",
    "torch",
    "transformers",
)


def software() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a figure, as far as installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the figures were computed on; no host or user name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "architecture": platform.machine(), "cores": cores}


def code_revision() -> dict[str, Any] | None:
    """Commit of the checkout this code runs from and whether it was changed, or None outside a checkout."""
    git = shutil.which("git")
    folder = Path(__file__).resolve().parent
    if git is None:
        return None
    base = [git, "-C", str(folder)]
    commit = subprocess.run([*base, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    tracked = subprocess.run(
        [*base, "ls-files", "--error-unmatch", str(Path(__file__).resolve())],
        capture_output=True,
        check=False,
    )
    if commit.returncode != 0 or tracked.returncode != 0:
        return None
    status = subprocess.run(
        [*base, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    )
    return {"commit": commit.stdout.strip(), "dirty": bool(status.stdout.strip())}


def command_line() -> list[str]:
    """The arguments after the program's name, without folders and whatever may be a secret."""
    return portable_command(sys.argv[1:])
