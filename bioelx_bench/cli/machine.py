"""What `doctor` finds on the machine: cache, disk, memory, GPU, and whether a model is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioelx_bench.base import Check
from bioelx_bench.errors import BenchError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bioelx_bench.cli.session import Session

ENOUGH_DISK: Final = 5e9
"""Bytes free below which an index of UMLS may not fit."""

ENOUGH_MEMORY: Final = 4e9
"""Bytes free below which encoding and large indexes get slow."""


def machine_checks(cache: Path) -> list[Check]:
    """Cache folder, disk, memory and GPU."""
    return [cache_check(cache), memory_check(), gpu_check()]


def cache_check(cache: Path) -> Check:
    """Whether the cache can be written, and how much room it has."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if not os.access(cache, os.W_OK):
            raise PermissionError(f"{cache} cannot be written")
        free = shutil.disk_usage(cache).free
    except OSError as error:
        return Check("cache", "failed", str(error), "set BIOELX_BENCH_CACHE to a folder you can write")
    found = f"{cache}, {free / 1e9:.0f} GB free"
    if free < ENOUGH_DISK:
        return Check("cache", "warning", found, "bioelx-bench cache prune, or BIOELX_BENCH_CACHE=FOLDER")
    return Check("cache", "ok", found)


def memory_check() -> Check:
    """How much memory is free; unknown where the system does not say."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        free, total = page * os.sysconf("SC_AVPHYS_PAGES"), page * os.sysconf("SC_PHYS_PAGES")
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), free)
    except (AttributeError, OSError, ValueError):
        return Check(
            "memory", "ok", f"{os.cpu_count()} cores; the system does not say how much memory is free"
        )
    found = f"{free / 1e9:.0f} of {total / 1e9:.0f} GB free, {os.cpu_count()} cores"
    if free < ENOUGH_MEMORY:
        return Check(
            "memory", "warning", found, "end other programs, or use smaller batches (-R batch_size=)"
        )
    return Check("memory", "ok", found)


def gpu_check() -> Check:
    """Which GPU there is, asked of its driver, since importing torch takes seconds."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("GPU", "ok", "none found (no nvidia-smi): everything runs on the CPU")
    command = [program, "--query-gpu=name,memory.free,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("GPU", "warning", f"nvidia-smi fails: {error}", "nvidia-smi")
    return Check("GPU", "ok", "; ".join(done.stdout.strip().splitlines()))


def model_checks(options: BaseModel, session: Session) -> list[Check]:
    """Whether the model of a retriever is at hand, without loading it."""
    model = getattr(options, "model", None)
    if not isinstance(model, str) or not model:
        return []
    source, colon, name = model.partition(":")
    if Path(model).expanduser().exists():
        return [Check("model", "ok", model)]
    if colon and "/" not in source:
        try:
            spec = session.plugins.get("model_sources", source).spec
        except BenchError as error:
            return [Check("model", "failed", error.what, error.hint)]
        if spec.models and name not in spec.models:
            hint = f"one of {', '.join(f'{source}:{known}' for known in spec.models)}"
            return [Check("model", "failed", f"{source} has no model {name!r}", hint)]
        return [Check("model", "ok", model)]
    return [hub_check(model, session)]


def hub_check(model: str, session: Session) -> Check:
    """Whether a model of the Hub is in its cache."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(model, "config.json")
    except ValueError:
        return Check(
            "model", "failed", f"there is no model folder {model}", "give a folder, or a name of the Hub"
        )
    if isinstance(found, str):
        return Check("model", "ok", f"{model}, in the cache of the Hub")
    if session.offline:
        return Check("model", "failed", f"{model} is not on this machine", f"hf download {model}")
    return Check("model", "warning", f"{model} will be downloaded", f"hf download {model}")
