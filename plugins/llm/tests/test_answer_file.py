"""The file of answers: several processes, hostile content, damage."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from bioelx_bench_llm.answer_cache import Answer, AnswerFile, Position
from bioelx_bench_llm.requests import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import DataError

LOGPROBS = st.floats(-100, 0)
PAIRS = st.lists(st.tuples(st.text(max_size=5), LOGPROBS), max_size=4).map(tuple)
ANSWERS = st.builds(
    Answer,
    text=st.text(max_size=50),
    positions=st.none()
    | st.lists(st.builds(Position, st.text(max_size=5), LOGPROBS, PAIRS), max_size=3).map(tuple),
    scores=st.none() | st.lists(st.tuples(st.integers(-5, 50), st.floats(-1e6, 1e6)), max_size=4).map(tuple),
    prompt_tokens=st.integers(0, 10**6),
    cost_usd=st.none() | st.floats(0, 10),
    finish_reason=st.text(max_size=8),
)


@given(ANSWERS)
@settings(max_examples=100, deadline=None)
def test_an_answer_survives_its_json_form(answer: Answer) -> None:
    assert Answer.from_json(answer.to_json()) == answer


def write(path: str, number: int) -> None:
    file = AnswerFile(Path(path))
    for i in range(100):
        file.put({f"{i}": Answer(text=f"{i}"), f"{number}-{i}": Answer(text="x")})
        assert file.get([f"{i}"])[f"{i}"].text == f"{i}"
    file.close()


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write, args=(str(path), n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [w.exitcode for w in workers] == [0, 0, 0]
    file = AnswerFile(path)
    assert len(file.get([f"{i}" for i in range(100)])) == 100
    assert len(file.get([f"{n}-{i}" for n in range(3) for i in range(100)])) == 300
    file.close()
    assert not path.with_name(path.name + "-wal").exists()


def test_the_first_answer_stays(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "a.sqlite")
    file.put({"k": Answer(text="one")})
    file.put({"k": Answer(text="two")})
    assert file.get(["k", "k2"]) == {"k": Answer(text="one")}
    file.close()


def test_hostile_keys_and_texts_are_data(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "a.sqlite")
    text = "'); DROP TABLE answers; -- \x00 \u202e"
    file.put({text: Answer(text=text)})
    assert file.get([text])[text].text == text
    file.close()


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("this is no database, but it is long enough to be looked at" * 50)
    with pytest.raises(DataError):
        AnswerFile(tmp_path / "text.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(DataError, match="not a file of answers"):
        AnswerFile(tmp_path / "other.sqlite")


@pytest.mark.parametrize("stored", ["[]", "{", '{"positions": [[1]]}', "[" * 2000, '{"scores": 5}'])
def test_a_changed_answer_is_an_error(tmp_path: Path, stored: str) -> None:
    path = tmp_path / "a.sqlite"
    AnswerFile(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO answers VALUES ('k', ?)", [stored])
    connection.close()
    file = AnswerFile(path)
    with pytest.raises(DataError, match="damaged"):
        file.get(["k"])
    file.close()


def test_a_key_covers_all_an_answer_depends_on() -> None:
    request = Request(messages=[{"role": "user", "content": "a"}], max_tokens=1, top_logprobs=20)
    keys = {
        request.key("m", "e", {"temperature": 0}),
        request.key("m2", "e", {"temperature": 0}),
        request.key("m", "e2", {"temperature": 0}),
        request.key("m", "e", {"temperature": 1}),
        Request(messages=request.messages, max_tokens=2, top_logprobs=20).key("m", "e", {"temperature": 0}),
        Request(messages=request.messages, max_tokens=1).key("m", "e", {"temperature": 0}),
        Request(messages=request.messages, max_tokens=1, top_logprobs=20, seed=1).key(
            "m", "e", {"temperature": 0}
        ),
        Request(query="a", documents=["b"]).key("m", "e", {"temperature": 0}),
        Request(query="a", documents=["c"]).key("m", "e", {"temperature": 0}),
    }
    assert len(keys) == 9
