"""Encoding with several processes, one a GPU, launched by torchrun; each does every n-th chunk.

Processes share nothing but the folder: its strings, its vectors (each process writes its own ranges) and a
log for each. So any of them may be killed, and a later call continues.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import BenchError
from bioelx_bench.files import write_json
from bioelx_bench.progress import Progress, Task
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.model_files import ModelFiles
from bioelx_bench_sapbert.name_vectors import NameEncoding, encode_share
from bioelx_bench_sapbert.options import DenseOptions, EncodingOptions
from bioelx_bench_sapbert.vectors import Share, Texts, read_logs, rows_of_chunk

POLL_SECONDS = 1.0


def process_count(options: DenseOptions, chunks: int) -> int:
    """How many processes encode: what the option says, or one for each GPU if the device is left open."""
    import torch

    count = options.processes
    if count == 0:
        count = torch.cuda.device_count() if options.device in ("auto", "cuda") else 1
    return max(1, min(count, chunks))


def encode_in_processes(
    folder: Path, encoding: NameEncoding, environment: Environment, processes: int, task: Task
) -> None:
    """Encode the chunks of a folder with several processes and wait for them.

    Raises:
        BenchError: A process failed; what was done is kept.
    """
    job = folder / "job.json"
    write_json(
        job,
        {
            "model": files_as_json(encoding.files),
            "encoding": encoding.options.model_dump(mode="json", include=set(EncodingOptions.model_fields)),
            "storage": encoding.storage,
            "cache": str(environment.cache.root),
        },
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "bioelx_bench_sapbert.workers", str(job)]
    texts, seen = Texts(folder), set(read_logs(folder))
    with (
        (folder / "processes.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as running,
    ):
        try:
            while running.poll() is None:
                time.sleep(POLL_SECONDS)
                new = set(logged_chunks(folder)) - seen
                task.advance(sum(rows_of_chunk(chunk, texts.rows) for chunk in new))
                seen |= new
        except BaseException:
            running.terminate()
            raise
    if running.returncode:
        tail = (folder / "processes.log").read_text(errors="replace").strip().splitlines()[-12:]
        raise BenchError(
            f"one of {processes} encoding processes failed",
            where=folder / "processes.log",
            why="\n".join(tail),
            hint="run again to continue, with -R processes=1 if it happens again",
        )
    for name in ("job.json", "processes.log"):
        (folder / name).unlink()


def logged_chunks(folder: Path) -> list[int]:
    """Chunks that are logged as done, without touching logs that other processes write."""
    lines = [line for path in folder.glob("chunks-*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    return [int(json.loads(line)["chunk"]) for line in lines]


def files_as_json(files: ModelFiles) -> dict[str, object]:
    """A model's files for a job."""
    base = None if files.base is None else files_as_json(files.base)
    return {
        "reference": files.reference,
        "root": str(files.root),
        "folder": str(files.folder),
        "revision": files.revision,
        "base": base,
    }


def files_from_json(value: dict[str, object]) -> ModelFiles:
    """The model's files that `files_as_json` wrote."""
    base = value["base"]
    return ModelFiles(
        str(value["reference"]),
        Path(str(value["root"])),
        Path(str(value["folder"])),
        str(value["revision"]),
        files_from_json(base) if isinstance(base, dict) else None,
    )


def main(arguments: list[str] | None = None) -> None:
    """One process of a job, started by torchrun."""
    parser = argparse.ArgumentParser(description="Encode the chunks of a folder that fall to this process.")
    parser.add_argument("job", type=Path, help="job.json in the folder")
    path: Path = parser.parse_args(arguments).job
    job = json.loads(path.read_text(encoding="utf-8"))
    options = EncodingOptions.model_validate(job["encoding"])
    state = process_state(options.device)
    if state.device.type == "cuda":
        options = options.model_copy(update={"device": str(state.device)})
    environment = Environment(cache=Cache(Path(job["cache"])), offline=True, progress=Progress(False))
    encoder = Encoder.load(files_from_json(job["model"]), environment, options)
    rank, world = state.process_index, state.num_processes
    encode_share(path.parent, encoder, job["storage"], Share(rank=rank, world=world), Task(None, None))


def process_state(device: str) -> Any:
    """This process's number and device, from torchrun's environment."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=device == "cpu" or not torch.cuda.is_available())


if __name__ == "__main__":
    main()
