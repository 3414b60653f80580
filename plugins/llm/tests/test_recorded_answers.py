"""Answers are exported, replayed without a server, and tuned on; other questions and other files are refused."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_llm.answer_cache import Answer, Position
from bioelx_bench_llm.recorded_answers import RecordedAnswers, decode, encode, write_recorded
from protocol_server import Running
from samples import items

from bioelx_bench.errors import BenchError, DataError, MissingError


@pytest.mark.parametrize("strategy", ["pointwise", "setwise", "listwise"])
def test_a_run_is_repeated_from_its_recorded_answers_alone(make: Any, tmp_path: Path, strategy: str) -> None:
    file = tmp_path / "answers.jsonl.gz"
    with Running() as server:
        asked = make(api_base=server.base, strategy=strategy)
        first = {r.mention_id: r for r in asked.rank_many(items(5))}
        requests = server.requests
        written, lacking = asked.export(items(5), file)
        assert written == requests == server.requests and lacking == 0
    replay = make({"offline": True}, model=f"replay:{file}", replay=file)
    assert replay.options.model == "openai/test" and replay.options.strategy == strategy
    for ranking in replay.rank_many(items(5)):
        before = first[ranking.mention_id]
        told = dict(zip((c.concept_id for c in ranking.candidates), ranking.evidence, strict=True))
        said = dict(zip((c.concept_id for c in before.candidates), before.evidence, strict=True))
        assert told == pytest.approx(said, abs=0.003)
        assert ranking.evidence == pytest.approx(before.evidence, abs=0.01)
        assert (ranking.status, ranking.usage.calls) == (before.status, before.usage.calls)
    text = gzip.decompress(file.read_bytes()).decode()
    assert "Herzinfarkt" not in text and "concept 0" not in text and "127.0.0.1" not in text


def test_a_question_that_is_not_recorded_is_counted_and_stops_the_run(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl.gz"
    with Running() as server:
        asked = make(api_base=server.base)
        list(asked.rank_many(items(3)))
        asked.export(items(3), file)
    options = {"model": f"replay:{file}", "replay": file}
    with pytest.raises(BenchError, match="no answer to this question is recorded"):
        list(make({"offline": True}, **options, max_errors=0).rank_many(items(4)))
    rankings = list(make({"offline": True}, **options, max_errors=1).rank_many(items(4)))
    (failed,) = (r for r in rankings if r.status == "failed")
    assert failed.fallbacks == {"not_recorded": 10} and "recorded" in failed.error


def test_the_file_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    answers = {
        f"{number:064x}": Answer(
            positions=(Position("yes", -number / 22_000, (("yes", -number / 22_000), ("no", -3.0))),),
            prompt_tokens=250,
            completion_tokens=1,
        )
        for number in range(0, 22_000 * 2**200, 2**200)
    }
    paths = [tmp_path / "a.gz", tmp_path / "b.gz"]
    for path in paths:
        write_recorded(path, answers, lambda answer: answer, {"model": "m"})
    assert paths[0].read_bytes() == paths[1].read_bytes() and paths[0].stat().st_size < 5_000_000
    assert len(RecordedAnswers(paths[0]).get(list(answers))) == 22_000


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"{}\n"), gzip.compress(b'{"format": "bioelx-bench answers 1"}\n[]\n')],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.gz"
    file.write_bytes(content)
    if content:
        with pytest.raises(DataError):
            RecordedAnswers(file)
    with pytest.raises(MissingError, match="no file of recorded answers"):
        RecordedAnswers(tmp_path / "absent.gz")


def test_an_answer_survives_its_recorded_form() -> None:
    for answer in (
        Answer(text='{"ranking": [1]}', finish_reason="length", cost_usd=0.0),
        Answer(positions=(Position("yes", -0.5, (("yes", -0.5),)),), finish_reason="stop", cost_usd=0.0),
        Answer(scores=((0, 0.5),), prompt_tokens=3, finish_reason="stop", cost_usd=0.0),
    ):
        assert decode(json.loads(json.dumps(encode(answer)))) == answer


def command(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BIOELX_BENCH_CACHE": str(work / "cache"), "XDG_CONFIG_HOME": str(work)}
    return subprocess.run(
        [sys.executable, "-c", "from bioelx_bench.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=work,
        env=environment,
        timeout=300,
    )


def test_the_commands_export_replay_and_tune(tmp_path: Path) -> None:
    rows = ["cui\tlang\tname", *(f"C{n:07}\ten\talpha {word}" for n, word in enumerate("abcdefghij", 1))]
    (tmp_path / "kb.tsv").write_text("\n".join(rows) + "\n")
    table = [
        "id,mention,gold,context",
        *(f"m{n},alpha {w},C{n:07},the alpha {w} was {n}" for n, w in enumerate("abcdef", 1)),
    ]
    (tmp_path / "m.csv").write_text("\n".join(table) + "\n")
    assert (
        command(tmp_path, "kb", "build", "table", "kb.tsv", "--name", "ten", "--output", "kb").returncode == 0
    )
    base = ("run", "--dataset", "table", "-D", "path=m.csv", "--kb", "./kb", "--retriever", "bm25", "--json")
    with Running() as server:
        done = command(tmp_path, *base, "--ranker", "openai/test", "-K", f"api_base={server.base}")
        assert done.returncode == 0, done.stderr
        first = json.loads(done.stdout)
        run = first["run_id"]
        exported = command(
            tmp_path, "answers", "export", run, "--output", "a.jsonl.gz", "-D", "path=m.csv", "--kb", "./kb"
        )
        assert exported.returncode == 0, exported.stderr
    assert "mentions that lack one: 0" in exported.stdout
    again = command(tmp_path, *base, "--offline", "--ranker", "replay:a.jsonl.gz")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["scores"] == first["scores"]
    tuned = command(tmp_path, "tune", run, "--output", "mix.toml")
    assert tuned.returncode == 0, tuned.stderr
    assert "best weight" in tuned.stdout and "evidence_temperature" in (tmp_path / "mix.toml").read_text()
