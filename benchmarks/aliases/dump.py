"""Read a synthetic Wikidata dump through `wikidata-dump` and compare with the decompressor alone.

    python benchmarks/aliases/dump.py --entities 1000000 --folder SCRATCH [--kinds gz,bz2]

Entities have the shape and size of real ones (labels, descriptions, aliases, sitelinks and statements in several
languages, 2 to 12 KB); one in 150 bears a P2892. For gz and bz2 it prints: MB/s of uncompressed JSON through the
source and through the decompressor alone with the same threads, the ratio by wall time and by CPU time (on a shared
machine the latter is what to look at), the greatest resident memory, and whether a pass that is killed half-way and
continued gives the same aliases.
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
from collections.abc import Callable
from contextlib import ExitStack
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
STREAM, STREAMS = 2000, 12
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, compresslevel=6),
    "bz2": lambda data: bz2.compress(data, compresslevel=9),
}


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


def generate(folder: Path, count: int, kinds: list[str]) -> dict[str, int]:
    """Write the dump in each kind as a file of many streams, as pigz -i and lbzip2 do; gives its uncompressed size.

    Compressing several GB anew would take longer than everything that is measured. So a stream of entities without
    a P2892 is one of a few that were compressed once, and each is followed by a stream of those that bear one.
    """
    note = folder / "size.json"
    if note.is_file():
        return dict(json.loads(note.read_text()))
    source = random.Random(1)
    pool = [entity(n, source).replace(b'"P2892"', b'"P2893"') for n in range(1, 2000)]
    plain = [b"".join(source.choice(pool) + b",\n" for _ in range(STREAM)) for _ in range(STREAMS)]
    packed = {kind: [PACK[kind](lines) for lines in plain] for kind in kinds}
    size = number = 0
    with ExitStack() as stack:
        files = {kind: stack.enter_context((folder / f"dump.json.{kind}").open("wb")) for kind in kinds}
        for kind, file in files.items():
            file.write(PACK[kind](b"[\n"))
        while number < count:
            chosen = source.randrange(STREAMS)
            first = -(-number // SHARE) * SHARE
            number += STREAM
            bearing = b"".join(entity(n, source) + b",\n" for n in range(first, number, SHARE))
            number += bearing.count(b"\n")
            size += len(plain[chosen]) + len(bearing)
            for kind, file in files.items():
                file.write(packed[kind][chosen] + PACK[kind](bearing))
        for kind, file in files.items():
            file.write(PACK[kind](b"]\n"))
    made = {"bytes": size + 4, "entities": number}
    note.write_text(json.dumps(made))
    return made


def child(file: str, cache: str, out: str) -> None:
    """Read the dump in a process of its own; write seconds, digest and memory."""
    from bioelx_bench_aliases.options import DumpOptions
    from bioelx_bench_aliases.wikidata_dump import WikidataDump

    from bioelx_bench.base import Environment
    from bioelx_bench.cache import Cache

    started, cpu = time.perf_counter(), time.process_time()
    source = WikidataDump(DumpOptions(file=file), Environment(cache=Cache(Path(cache))))
    digest, count = hashlib.sha256(), 0
    for alias in source:
        digest.update(f"{alias.item}|{alias.language}|{alias.text}\n".encode())
        count += 1
    answer = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
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


def decompress_only(file: Path) -> tuple[float, float]:
    """Seconds and CPU seconds the decompressor alone takes."""
    from bioelx_bench_aliases.wikidata_dump import BLOCK, open_dump

    started, cpu = time.perf_counter(), time.process_time()
    with open_dump(file, 0) as stream:
        while stream.read(BLOCK):
            pass
    return time.perf_counter() - started, time.process_time() - cpu


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

    alone, alone_cpu = decompress_only(file)
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
        "mb_per_cpu_s": round(size / 1e6 / answer["cpu"], 1),
        "decompressor_mb_per_cpu_s": round(size / 1e6 / alone_cpu, 1),
        "ratio_to_decompressor_by_cpu": round(alone_cpu / answer["cpu"], 2),
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
    parser.add_argument("--kinds", default="gz,bz2")
    parser.add_argument("--child", nargs=3)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    kinds = given.kinds.split(",")
    made = generate(given.folder, given.entities, kinds)
    found = [measure(given.folder / f"dump.json.{kind}", given.folder, made["bytes"]) for kind in kinds]
    print(json.dumps({**made, "processors": len(os.sched_getaffinity(0)), "results": found}, indent=2))


if __name__ == "__main__":
    main()
