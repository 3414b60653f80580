"""Training runs for tests: in this process, and in one that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bioelx_bench_sapbert.training.run import TrainingRequest
from bioelx_bench_sapbert.training.settings import TrainingSettings
from safetensors.torch import load_file

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.store import KnowledgeBase

SETTINGS: dict[str, Any] = {
    "pooling": "mean",
    "batch_pairs": 16,
    "learning_rate": 1e-3,
    "steps": 20,
    "save_steps": 5,
    "logging_steps": 1,
    "chunk_names": 8,
    "threads": 1,
}


@dataclass(frozen=True, slots=True)
class Started:
    """A training in a process of its own."""

    process: subprocess.Popen[str]
    model: Path

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.model / "training.json").read_text())
        return found


def environment(folder: Path) -> Environment:
    return Environment(cache=Cache(folder / "cache"), offline=True)


def request(model: Path, kb: KnowledgeBase, output: Path, **changes: Any) -> TrainingRequest:
    development = changes.pop("development", ())
    return TrainingRequest(
        model=str(model),
        kb=kb,
        output=output,
        settings=TrainingSettings(**{**SETTINGS, **changes}),
        development=development,
        command="bioelx-bench train sapbert-x",
        keep_checkpoints=True,
    )


def losses(report: dict[str, Any]) -> list[float]:
    return [entry["loss"] for entry in report["log"] if "loss" in entry]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / "checkpoint-20" / "trained.safetensors")


def start_training(
    folder: Path, launcher: list[str], model: Path, kb: KnowledgeBase, **changes: Any
) -> Started:
    """Start a training of `request`'s settings by the launcher's arguments, such as torchrun's."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "model"
    given = {
        "model": str(model),
        "kb": str(kb.folder),
        "output": str(output),
        "settings": {**SETTINGS, **changes},
    }
    (folder / "given.json").write_text(json.dumps(given))
    script = str(Path(__file__).with_name("two_ranks.py"))
    command = [sys.executable, *launcher, script, str(folder / "given.json")]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environ, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    return Started(process, output)


def stop_after_checkpoint(started: Started, step: int) -> None:
    """Kill a training once it has written the checkpoint of a step."""
    checkpoint = started.model / "checkpoints" / f"checkpoint-{step}" / "trainer_state.json"
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and started.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(started.process.pid, signal.SIGKILL)
    started.process.wait()
    assert started.report()["status"] == "running"
