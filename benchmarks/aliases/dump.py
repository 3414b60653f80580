"""Read a synthetic Wikidata dump through `wikidata-dump` and compare with the decompressor alone.

    python benchmarks/aliases/dump.py --entities 1000000 --folder SCRATCH

Entities have the shape and size of real ones (labels, descriptions, aliases, sitelinks and statements in several
languages, 2 to 12 KB); one in 150 bears a P2892. For gz and bz2 it prints: MB/s of uncompressed JSON through the
source and through the decompressor alone with the same threads, the ratio, the greatest resident memory, and
whether a pass that is killed half-way and continued gives the same aliases.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LANGUAGES = [
    "en",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "pt",
    "ru",
    "ja",
    "zh",
    "ko",
    "fi",
    "tr",
    "sv",
    "pl",
    "cs",
    "ar",
]
SHARE = 150


def entity(number: int, random_source: random.Random) -> bytes:
    """One entity line."""
    few = random_source.sample(LANGUAGES, random_source.randint(3, len(LANGUAGES)))
    words = [f"{random_source.getrandbits(40):x}" for _ in range(40)]
    claims: dict[str, Any] = {}
    for _ in range(random_source.randint(3, 18)):
        name = f"P{random_source.choice([31, 279, 361, 527, 646, 6366, 18, 373, 910, 1417, 2671])}"
        claims.setdefault(name, []).append(statement(name, random_source.choice(words)))
    if number % SHARE == 0:
        claims["P2892"] = [statement("P2892", f"C{number % 10_000_000:07d}")]
    value = {
        "type": "item",
        "id": f"Q{number}",
        "labels": {x: {"language": x, "value": f"{random_source.choice(words)} {x}"} for x in few},
        "descriptions": {x: {"language": x, "value": " ".join(words[:6])} for x in few},
        "aliases": {x: [{"language": x, "value": random_source.choice(words)}] for x in few[:4]},
        "claims": claims,
        "sitelinks": {f"{x}wiki": {"site": f"{x}wiki", "title": words[0], "badges": []} for x in few},
        "lastrevid": number,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def statement(name: str, value: str) -> dict[str, Any]:
    """One statement with a qualifier and a reference, as the dump writes it."""
    snak = {
        "snaktype": "value",
        "property": name,
        "hash": hashlib.md5(value.encode(), usedforsecurity=False).hexdigest(),
    }
    snak_value = {**snak, "datavalue": {"value": value, "type": "string"}, "datatype": "string"}
    return {
        "mainsnak": snak_value,
        "type": "statement",
        "id": f"Q0${value}",
        "rank": "normal",
        "references": [{"hash": snak["hash"], "snaks": {"P248": [snak_value]}, "snaks-order": ["P248"]}],
    }


def generate(folder: Path, count: int) -> dict[str, int]:
    """Write the dump as gz and bz2; gives the number of uncompressed bytes."""
    size = 0
    gz, bz = folder / "dump.json.gz", folder / "dump.json.bz2"
    note = folder / "size.json"
    if note.is_file():
        return dict(json.loads(note.read_text()))
    source = random.Random(1)
    pool = [entity(n, source) for n in range(1, 2000)]
    with gzip.open(gz, "wb", compresslevel=2) as first, bz2.open(bz, "wb", compresslevel=1) as second:
        for lines in blocks(pool, count):
            size += len(lines)
            first.write(lines)
            second.write(lines)
    note.write_text(json.dumps({"bytes": size, "entities": count}))
    return {"bytes": size, "entities": count}


def blocks(pool: list[bytes], count: int) -> Iterator[bytes]:
    """The dump in blocks: entities of a pool in changing order with their own numbers."""
    source = random.Random(2)
    yield b"[\n"
    for start in range(0, count, 1000):
        part = []
        for number in range(start, min(start + 1000, count)):
            if number % SHARE == 0:
                part.append(entity(number, source))
            else:
                part.append(source.choice(pool).replace(b'"P2892"', b'"P2893"'))
        yield b",\n".join(part) + (b",\n" if start + 1000 < count else b"\n")
    yield b"]\n"


def child(file: str, cache: str, out: str) -> None:
    """Read the dump in a process of its own; write seconds, digest and memory."""
    from bioelx_bench.aliases.sources.options import DumpOptions
    from bioelx_bench.aliases.sources.wikidata_dump import make_dump
    from bioelx_bench.cache import Cache
    from bioelx_bench.protocols import Environment

    started = time.perf_counter()
    source = make_dump(DumpOptions(file=file), Environment(cache=Cache(Path(cache))))
    digest, count = hashlib.sha256(), 0
    for alias in source:
        digest.update(f"{alias.item}|{alias.language}|{alias.text}\n".encode())
        count += 1
    answer = {
        "seconds": time.perf_counter() - started,
        "aliases": count,
        "sha256": digest.hexdigest(),
        "peak_mb": peak_mb(),
        "counts": source.counts,
    }
    Path(out).write_text(json.dumps(answer))


def peak_mb() -> float:
    """Greatest resident memory of this program alone; getrusage would count that of the parent before exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell")


def decompress_only(file: Path) -> float:
    """Seconds the decompressor alone takes."""
    from bioelx_bench.aliases.sources.wikidata_dump import BLOCK, open_dump

    started = time.perf_counter()
    with open_dump(file, 0) as stream:
        while stream.read(BLOCK):
            pass
    return time.perf_counter() - started


def measure(file: Path, folder: Path, size: int) -> dict[str, Any]:
    """Speed, ratio, memory, and the killed and continued pass."""

    def start(cache: str) -> subprocess.Popen[bytes]:
        arguments = [
            sys.executable,
            __file__,
            "--child",
            str(file),
            str(folder / cache),
            str(folder / f"{cache}.json"),
        ]
        return subprocess.Popen(arguments, start_new_session=True)

    alone = decompress_only(file)
    whole = f"whole-{file.suffix}-{time.time_ns()}"
    start(whole).wait()
    answer = json.loads((folder / f"{whole}.json").read_text())
    killed = f"killed-{file.suffix}-{time.time_ns()}"
    process = start(killed)
    time.sleep(max(1.0, answer["seconds"] / 2))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    log = next((folder / killed / "aliases-dump").glob("*/aliases.jsonl"), None)
    kept = log.read_bytes().count(b"\n") if log else 0
    start(killed).wait()
    again = json.loads((folder / f"{killed}.json").read_text())
    return {
        "file": file.name,
        "mb_per_s": round(size / 1e6 / answer["seconds"], 1),
        "decompressor_mb_per_s": round(size / 1e6 / alone, 1),
        "ratio_to_decompressor": round(alone / answer["seconds"], 2),
        "peak_mb": round(answer["peak_mb"]),
        "aliases": answer["aliases"],
        "commits_before_kill": kept,
        "same_after_kill": again["sha256"] == answer["sha256"],
    }


def main() -> None:
    """Generate, measure, print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", nargs=3)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    made = generate(given.folder, given.entities)
    found = [
        measure(given.folder / f"dump.json.{kind}", given.folder, made["bytes"]) for kind in ("gz", "bz2")
    ]
    print(json.dumps({**made, "processors": len(os.sched_getaffinity(0)), "results": found}, indent=2))


if __name__ == "__main__":
    main()
