"""Every stage against what a user would otherwise do, in one command, as a table, on a CPU or a GPU.

    python benchmarks/run_all.py FOLDER --names NAMES.txt [--rows 200000] [--dimension 384] [--queries 1000]
        [--only STAGE]...

A stage is a function of `STAGES` that gives rows of the table: stage, ours, the alternative in the same run, their
ratio, and the ratio that is asked for. FOLDER keeps what the stages make.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; rates are per second, and `limit` is the least ratio asked for."""

    stage: str
    ours: float
    alternative: str
    theirs: float
    limit: float | None = None


Stage = Callable[[argparse.Namespace, bool], Iterator[Row]]


def last_json(script: str, *arguments: str) -> list[dict[str, object]]:
    """Run a benchmark of this folder; the JSON objects at the ends of its lines."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if "{" in line]


def encode(options: argparse.Namespace, gpu: bool) -> Iterator[Row]:
    """Names to vectors, against sentence-transformers and the plain loop."""
    (found,) = last_json(
        "dense/encoding.py", str(options.names), "--count", "2000", "--sentence-transformers"
    )
    ours = found["ours_names_per_s"][0]  # type: ignore[index]
    for name, limit in (("sentence_transformers", 5.0 if gpu else 1.3), ("plain", None)):
        theirs = found[f"{name}_names_per_s"][0]  # type: ignore[index]
        yield Row("encode, names", ours, name.replace("_", "-"), theirs, limit)


def search(options: argparse.Namespace, gpu: bool) -> Iterator[Row]:
    """Exact search against FAISS's flat index."""
    size = ("--rows", str(options.rows), "--dimension", str(options.dimension))
    theirs, ours, _ = last_json(
        "dense/search.py", str(options.folder / "vectors"), *size, "--queries", str(options.queries)
    )
    limit = 1.8 if "bf16" in str(ours["engine"]) else 0.9
    rates = [float(str(found["queries_per_s"])) for found in (ours, theirs)]
    yield Row(
        "exact search, queries", rates[0], "FAISS IndexFlatIP on the CPU", rates[1], None if gpu else limit
    )


STAGES: dict[str, Stage] = {"encode": encode, "search": search}


def main() -> None:
    """Run the stages and print the table."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", type=Path, required=True, help="a name a line")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--only", action="append", choices=tuple(STAGES))
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if gpu else f"CPU ({torch.backends.cpu.get_cpu_capability()})"
    print(f"{device}\n\n| stage | ours | alternative | theirs | ratio | limit |\n|---|---|---|---|---|---|")
    for name in options.only or STAGES:
        for row in STAGES[name](options, gpu):
            limit = "" if row.limit is None else f"{row.limit:g}"
            ratio = row.ours / row.theirs
            rates = f"{row.ours:,.0f}/s | {row.alternative} | {row.theirs:,.0f}/s"
            print(f"| {row.stage} | {rates} | {ratio:.2f} | {limit} |", flush=True)


if __name__ == "__main__":
    main()
