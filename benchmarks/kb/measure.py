"""Measures building and opening a knowledge base in fresh processes, beside a plain read of the same input.

`measure.py table FILE` or `measure.py umls FOLDER|ZIP`. The alternative that the build time is a ratio of is
DuckDB's `read_csv` of the same text into a table, without merging, sorting, checking or writing.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = """
import sys, time
from pathlib import Path
started = time.perf_counter()
if sys.argv[1] == "table":
    from bioelx_bench.kb.table import build_from_table
    build_from_table(Path(sys.argv[2]), "measured", Path(sys.argv[3]))
else:
    from bioelx_bench.kb.umls.build import build_from_umls
    from bioelx_bench.kb.umls.presets import UmlsFilter
    build_from_umls(Path(sys.argv[2]), "measured", Path(sys.argv[3]), UmlsFilter(trade_names=True))
"""
OPEN = """
import sys, time, random, json
from pathlib import Path
from bioelx_bench.kb.store import KnowledgeBase
started = time.perf_counter()
kb = KnowledgeBase.open(Path(sys.argv[1]))
kb.concept(kb.concept_id(len(kb) // 2))
opened = time.perf_counter() - started
random.seed(7)
cuis = [kb.concept_id(random.randrange(len(kb))) for _ in range(1000)]
times, cpu = [], []
for cui in cuis:
    started, used = time.perf_counter(), time.thread_time()
    kb.concept(cui)
    times.append(time.perf_counter() - started)
    cpu.append(time.thread_time() - used)
times.sort()
print(json.dumps({"concepts": len(kb), "names": kb.name_count, "open_s": round(opened, 4),
    "concept_ms_median": round(times[500] * 1000, 3), "concept_ms_p99": round(times[990] * 1000, 3),
    "concept_ms_worst": round(times[-1] * 1000, 3), "concept_cpu_ms_worst": round(max(cpu) * 1000, 3)}))
"""
PLAIN = """
import sys, duckdb
file, delimiter, header = sys.argv[1], sys.argv[2], sys.argv[3] == "1"
c = duckdb.connect(sys.argv[4])
c.execute(f"CREATE TABLE t AS SELECT * FROM read_csv('{file}', delim='{delimiter}', header={header}, "
          "quote='', all_varchar=true)")
"""


def timed(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds a fresh process takes, and what it prints."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["table", "umls"])
    parser.add_argument("input", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.input.parent) as scratch:
        folder = Path(scratch) / "kb"
        build, _ = timed(BUILD, given.kind, str(given.input), str(folder))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        _, opened = timed(OPEN, str(folder))
        figures = {
            "build_s": round(build, 1),
            "build_cpu_s": round(used.ru_utime + used.ru_stime, 1),
            "build_peak_gb": round(used.ru_maxrss / 1e6, 2),
            **json.loads(opened),
        }
        figures["folder_mb"] = round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6)
        shutil.rmtree(folder)
        text = given.input if given.kind == "table" else next(given.input.rglob("MRCONSO.RRF"), None)
        if text is not None:
            delimiter, header = ("\t", "1") if given.kind == "table" else ("|", "0")
            plain, _ = timed(PLAIN, str(text), delimiter, header, str(Path(scratch) / "plain.duckdb"))
            figures |= {"plain_read_s": round(plain, 1), "build_over_plain_read": round(build / plain, 1)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
