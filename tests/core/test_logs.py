from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioelx_bench.base import Notes
from bioelx_bench.errors import DataError
from bioelx_bench.records import Candidate, Ranking, Usage
from bioelx_bench.runs.logs import CandidateLog, RankingLog, candidate_line, candidates_of
from bioelx_bench.runs.ranking import forget_failed

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
candidates = st.builds(Candidate, texts, st.floats(allow_nan=False, allow_infinity=False), texts)
batches = st.lists(st.lists(st.tuples(texts, st.lists(candidates, max_size=4)), max_size=4), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches, st.data())
def test_a_log_cut_anywhere_holds_whole_batches_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, batches: list, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "candidates.jsonl"

    def write(from_batch: int, log: CandidateLog) -> None:
        for batch in batches[from_batch:]:
            log.append_batch([candidate_line(m, c) for m, c in batch], Notes(counts={"n": len(batch)}))
        log.close()

    write(0, CandidateLog(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    log = CandidateLog(path)
    kept = list(log.lines())
    assert [(line.mention_id, candidates_of(line)) for line in kept] == [
        pair for batch in batches[: log.batches] for pair in batch
    ]
    write(log.batches, log)
    assert path.read_bytes() == whole
    assert CandidateLog(path, writable=False).notes().counts.get("n", 0) == sum(map(len, batches))


def test_a_ranking_comes_back_as_it_was(tmp_path: Path) -> None:
    log = RankingLog(tmp_path / "rankings.jsonl")
    pair = (Candidate("C1", 0.5, "a"), Candidate("C2", 0.25, "b"))
    log.append(Ranking("m/1", pair, (1.5, None), "partial", Usage(1, 20, 3, 0.5), {"unlisted": 1}, True))
    log.append(Ranking("m/2", pair))
    log.close()
    first, second = RankingLog(tmp_path / "rankings.jsonl", writable=False).lines()
    assert first == (
        "m/1",
        ["C1", "C2"],
        [0.5, 0.25],
        [1.5, None],
        "partial",
        {"unlisted": 1},
        True,
        (1, 20, 3, 0.5),
    )
    assert second.evidence is None
    assert second.status == "ok"
    assert RankingLog(tmp_path / "rankings.jsonl").mention_ids() == {"m/1", "m/2"}


def test_a_torn_last_ranking_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rankings.jsonl"
    log = RankingLog(path)
    log.append(Ranking("m/1", ()))
    log.close()
    path.write_bytes(path.read_bytes() + b'{"mention_id":"m/2","conc')
    log = RankingLog(path)
    log.append(Ranking("m/3", ()))
    assert [line.mention_id for line in log.lines()] == ["m/1", "m/3"]


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"mention_id":"a"}', b'{"mention_id":"a","concepts":["x"],"scores":[]}']
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rankings.jsonl"
    path.write_bytes(b'{"mention_id":"a","concepts":[],"scores":[]}\n' + line + b"\n")
    with pytest.raises(DataError) as error:
        list(RankingLog(path, writable=False).lines())
    assert error.value.where == f"{path}:2"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_changed_byte_costs_the_batches_from_there_on(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "candidates.jsonl"
    log = CandidateLog(path)
    sizes = []
    for number in range(3):
        log.append_batch(
            [candidate_line(f"m{number}", [Candidate("C1", 0.75, "a")])], Notes(counts={"searched": 12})
        )
        sizes.append(path.stat().st_size)
    log.close()
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    log = CandidateLog(path)
    assert log.batches == sum(size <= at for size in sizes)
    assert [line.mention_id for line in log.lines()] == [f"m{number}" for number in range(log.batches)]


def test_changed_and_foreign_rankings_are_asked_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rankings.jsonl"
    log = RankingLog(path)
    pair = (Candidate("C1", 0.5, "a"), Candidate("C2", 0.25, "b"))
    for mention in ("m/1", "m/2"):
        log.append(Ranking(mention, pair, (1.5, 0.5)))
    log.close()
    path.write_bytes(path.read_bytes().replace(b"1.5", b"9.5", 1) + b"garbage\n")
    forget_failed(path)
    assert RankingLog(path).mention_ids() == {"m/2"}
    assert "rankings.jsonl:1 was changed after it was written" in caplog.text
