from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from bioelx_bench.cli.main import invoke

KEYS = {
    "schema_version",
    "run_id",
    "dataset",
    "kb",
    "retriever",
    "ranker",
    "protocol",
    "scores",
    "usage",
    "timing",
}


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = invoke(arguments)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    result: dict[str, Any] = json.loads(captured.out)
    return result


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in result.items() if k != "timing"}


def folder_of(arguments: list[str], result: dict[str, Any]) -> Path:
    return Path(arguments[arguments.index("--output") + 1]) / result["run_id"]


def test_a_run_gives_the_documented_result(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run([*run_arguments, "--ranker", "context"], capsys)
    assert result.keys() >= KEYS
    assert list(result["scores"]) == ["de", "th", "macro", "micro"]
    for name, row in result["scores"].items():
        assert row["n"] == (300 if name in {"macro", "micro"} else 150)
        before, after = row["retrieval"]["figures"], row["ranking"]["figures"]
        assert before["recall@1"] <= before["recall@50"] <= row["coverage"]
        # ranking the first ten cannot change what is among the first ten
        assert after["recall@10"] == before["recall@10"]
        for figure, value in after.items():
            low, high = row["ranking"]["ci95"][figure]
            assert low <= value <= high
    assert {"mrr", "map@10", "ndcg@10"} <= result["scores"]["de"]["retrieval"]["figures"].keys()
    assert result["scores"]["de"]["retrieval"]["figures"]["recall@1"] > 0
    assert result["usage"]["calls"] > 0
    assert result["usage"]["cost_usd"] == pytest.approx(result["usage"]["calls"] / 1000)
    assert result["notes"]["retriever"] == {"searched": 300, "matching": "character n-grams"}
    folder = folder_of(run_arguments, result)
    assert {p.name for p in folder.iterdir()} - {".lock"} == {
        *("manifest.json", "candidates.jsonl", "rankings.jsonl", "sessions.jsonl"),
        *("predictions.parquet", "result.json", "seal.json"),
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["run_id"] == result["run_id"]
    assert manifest["software"]["bioelx-bench"]
    assert manifest["kb_manifest"]["files"][0]["sha256"]


def test_predictions_agree_with_the_scores(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run([*run_arguments, "--ranker", "context"], capsys)
    rows = parquet.read_table(folder_of(run_arguments, result) / "predictions.parquet").to_pylist()
    german = [r for r in rows if r["subset"] == "de"]
    right = sum(r["ranking_rank"] == 1 for r in german)
    assert right / len(german) == result["scores"]["de"]["ranking"]["figures"]["recall@1"]
    assert all((r["predicted"] in r["gold"]) == (r["ranking_rank"] == 1) for r in rows)
    assert sum(r["in_kb"] for r in german) / len(german) == result["scores"]["de"]["coverage"]


def test_batch_size_and_the_like_do_not_change_the_run(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(run_arguments, capsys)
    assert run([*run_arguments, "-R", "pause=0.01"], capsys)["run_id"] == first["run_id"]
    other = run([*run_arguments, "-R", "size=4"], capsys)
    assert other["run_id"] != first["run_id"]


def test_a_damaged_index_is_built_again_and_said(
    run_arguments: list[str],
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = run([*run_arguments, "-R", "size=5"], capsys)
    damaged = 0
    for index in (cache / "indexes").glob("*/postings.json"):
        index.write_text(index.read_text()[:-10])
        damaged += 1
    assert damaged
    arguments = [*run_arguments, "-R", "size=5", "--output", str(cache / "other runs")]
    assert invoke(arguments) == 0
    captured = capsys.readouterr()
    assert "is damaged and made again" in caplog.text
    assert json.loads(captured.out)["scores"] == first["scores"]


def test_the_sapbert_protocol_counts_rows_and_parts(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [a.replace("150", "300") for a in run_arguments]
    result = run([*arguments, "--protocol", "sapbert"], capsys)
    assert result["protocol"]["unit"] == "name"
    log = folder_of(run_arguments, result) / "candidates.jsonl"
    ids = [json.loads(line).get("mention_id") for line in log.read_text().splitlines()]
    # the Thai mention in row 290 is "K+": two parts, the second empty
    assert [i for i in ids if i and "#" in i] == ["xl-bel/th/0290#0", "xl-bel/th/0290#1"]
    assert invoke([*run_arguments, "--protocol", "sapbert", "--ranker", "context"]) == 2
    assert "scores the retriever alone" in capsys.readouterr().err


def test_nil_skip_takes_mentions_without_gold_out(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    everything = run(run_arguments, capsys)
    inside = run([*run_arguments, "--policy", "nil=skip"], capsys)
    assert inside["scores"]["de"]["n"] == everything["scores"]["de"]["in_kb"]["n"]
    inner = everything["scores"]["de"]["in_kb"]["retrieval"]
    assert inside["scores"]["de"]["retrieval"]["figures"] == inner["figures"]
    assert inside["protocol"]["name"] == "bioelx[nil=skip]"


def test_logs_cut_anywhere_give_the_same_result(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*run_arguments, "--ranker", "context"]
    whole = run(arguments, capsys)
    folder = folder_of(run_arguments, whole)
    chance = random.Random(5)
    for log in ("candidates.jsonl", "rankings.jsonl", "candidates.jsonl", "rankings.jsonl"):
        content = (folder / log).read_bytes()
        (folder / log).write_bytes(content[: chance.randrange(len(content))])
        if log == "candidates.jsonl":
            (folder / "rankings.jsonl").unlink()
        (folder / "result.json").unlink()
        assert timeless(run(arguments, capsys)) == timeless(whole)


def test_an_interrupted_run_says_how_to_go_on(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*run_arguments, "--ranker", "context"]
    monkeypatch.setenv("WORD_PLUGIN_STOP_AT", "xl-bel/de/0100")
    assert invoke(arguments) == 130
    assert "the same command continues" in capsys.readouterr().err
    monkeypatch.delenv("WORD_PLUGIN_STOP_AT")
    resumed = run(arguments, capsys)
    fresh = run([*arguments, "--fresh"], capsys)
    assert timeless(resumed) == timeless(fresh)


@pytest.mark.slow
def test_kill_9_loses_nothing(run_arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*run_arguments, "--ranker", "context", "-R", "pause=0.2"]
    command = [sys.executable, "-c", "from bioelx_bench.cli.main import main; main()", *arguments]
    chance = random.Random(2)
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 4))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    resumed = run(arguments, capsys)
    fresh = run([*arguments, "--fresh"], capsys)
    assert killed
    assert timeless(resumed) == timeless(fresh)


def test_two_processes_do_not_write_one_run(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    result = run(run_arguments, capsys)
    with FileLock(folder_of(run_arguments, result) / ".lock"):
        assert invoke([*run_arguments, "--fresh"]) == 1
    assert "another process" in capsys.readouterr().err


def test_dry_run_shows_the_plan_and_writes_nothing(
    run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = run([*run_arguments, "--dry-run"], capsys)
    assert plan["retriever"]["options"] == {"size": 3, "pause": 0.0}
    assert plan["dataset"]["subsets"] == ["de", "th"]
    assert not Path(run_arguments[run_arguments.index("--output") + 1]).exists()


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        (["--retriever", "wrods"], 2, "did you mean 'words'"),
        (["--dataset", "xl-bell"], 2, "did you mean 'xl-bel'"),
        (["--dataset", "xl-bel@v9"], 2, "has no revision"),
        (["--subset", "dee"], 2, "did you mean 'de'"),
        (["--ranker", "no-such-ranker"], 2, "unknown ranker"),
        (["--protocol", "sapbret"], 2, "did you mean 'sapbert'"),
        (["--policy", "match=most"], 2, "match must be one of"),
        (["-R", "siez=3"], 2, "did you mean 'size'"),
        (["-R", "size=three"], 2, "size=three"),
        (["--kb", "/no/such/folder"], 3, "there is no knowledge base"),
        (["--k", "0"], 2, "at least 1"),
        (["--no-such-option"], 2, "--no-such-option"),
    ],
)
def test_wrong_usage(
    run_arguments: list[str], change: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([*run_arguments, *change]) == code
    captured = capsys.readouterr()
    assert expected in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_run_imports_no_torch(run_arguments: list[str]) -> None:
    code = (
        "import sys; from bioelx_bench.cli.main import invoke; code = invoke(sys.argv[1:]); "
        "found = {'torch', 'datasets', 'duckdb'} & set(sys.modules); "
        "print('found', found, file=sys.stderr); sys.exit(code or len(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *run_arguments, "--limit", "12"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
