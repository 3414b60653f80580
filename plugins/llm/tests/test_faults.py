"""2,000 real mentions against a server that misbehaves, killed in the middle: nothing is lost or asked twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from protocol_server import CONTENT, TRANSPORT, Behaviour, Running, Server

from bioelx_bench.testing import make_knowledge_base

HERE = Path(__file__).parent
MENTIONS = 2000


def command(work: Path, kb: Path, base: str) -> list[str]:
    return [
        *(sys.executable, "-c", "from bioelx_bench.cli.main import main; main()"),
        *("run", "--plugin", str(HERE / "fixed_retriever.py"), "--offline", "--json"),
        *("--dataset", "xl-bel", "--subset", "en,de", "--kb", str(kb), "--output", str(work / "runs")),
        *("--retriever", "fixed", "--k", "10", "--ranker", "openai/test", "-K", f"api_base={base}"),
        *("-K", "strategy=listwise", "-K", "timeout=2", "-K", "concurrency=32", "-K", "attempts=10"),
    ]


def environment(work: Path) -> dict[str, str]:
    own = {"BIOELX_BENCH_CACHE": str(work / "cache"), "XDG_CONFIG_HOME": str(work), "OMP_NUM_THREADS": "1"}
    own["BIOELX_BENCH_DISABLE_PLUGINS"] = "bm25,sapbert,offline"
    return {**os.environ, **own}


def start(work: Path, kb: Path, base: str) -> subprocess.Popen[str]:
    work.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(work, kb, base),
        env=environment(work),
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return dict(json.loads(out))


def logged(work: Path) -> list[dict[str, Any]]:
    (path,) = work.glob("runs/*/rankings.jsonl")
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def stored(work: Path) -> int:
    with sqlite3.connect(work / "cache" / "answers" / "answers-2.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def reset(server: Server) -> None:
    server.answered.clear()
    server.tried.clear()
    server.faults.clear()


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_answered_is_asked_again(tmp_path: Path) -> None:
    kb = make_knowledge_base(tmp_path / "kb").folder
    with Running(Behaviour(faults=0.3, stall=30.0)) as server:
        whole = finish(start(tmp_path / "whole", kb, server.base))
        assert set(server.faults) == {*TRANSPORT, *CONTENT}, "every kind of fault took place"
        assert max(server.answered.values()) == 1, "no answered question is asked again"
        rankings = logged(tmp_path / "whole")
        assert len({r["mention_id"] for r in rankings}) == len(rankings) == MENTIONS
        check_counts(rankings, server, whole)

        reset(server)
        process = start(tmp_path / "killed", kb, server.base)
        wait_for(lambda: logged_count(tmp_path / "killed") >= 700, process)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.communicate()
        before, kept = settled(server), stored(tmp_path / "killed")
        assert logged_count(tmp_path / "killed") < MENTIONS
        resumed = finish(start(tmp_path / "killed", kb, server.base))
        assert server.answered.total() - before + kept == len(server.answered), (
            "what was stored is not asked again"
        )
    key = {r["mention_id"]: r for r in logged(tmp_path / "whole")}
    assert {r["mention_id"]: r for r in logged(tmp_path / "killed")} == key
    assert stable(resumed) == stable(whole)


def settled(server: Server) -> int:
    """How much was answered, once the requests that were under way at the kill are through."""
    last = -1
    while last != (now := server.requests):
        last = now
        time.sleep(0.5)
    return server.answered.total()


def check_counts(rankings: list[dict[str, Any]], server: Server, result: dict[str, Any]) -> None:
    """Every spoiled answer shows as a repair, in the rankings and summed up in the result."""
    statuses = Counter(r.get("status", "ok") for r in rankings)
    assert statuses["failed"] == 0
    spoiled = sum(server.faults[kind] for kind in CONTENT)
    assert MENTIONS - statuses["ok"] >= spoiled > 150
    summed: Counter[str] = Counter()
    for ranking in rankings:
        summed.update(ranking.get("fallbacks", {}))
    assert summed["out_of_range"] >= server.faults["out_of_range"]
    assert summed["empty"] >= server.faults["empty"]
    assert result["usage"]["fallbacks"] == dict(sorted(summed.items()))


def stable(result: dict[str, Any]) -> dict[str, Any]:
    """The result without what says when and how it was computed."""
    return {k: result[k] for k in ("run_id", "scores", "usage", "subsets", "summary") if k in result}


def logged_count(work: Path) -> int:
    paths = list(work.glob("runs/*/rankings.jsonl"))
    return paths[0].read_bytes().count(b"\n") if paths else 0


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
