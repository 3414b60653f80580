from __future__ import annotations

import bz2
import gzip
import io
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_aliases import wikidata_dump
from bioelx_bench_aliases.dump_lines import Lines, read_ahead, scan_block
from bioelx_bench_aliases.options import DumpOptions
from bioelx_bench_aliases.wikidata_dump import WikidataDump
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.records import Alias


def entity(number: int, cui: str | None = None, **more: Any) -> bytes:
    """An entity as the dump writes it."""
    claims: dict[str, Any] = {"P31": [statement("P31", {"entity-type": "item", "id": "Q5"})]}
    if cui:
        claims["P2892"] = [statement("P2892", cui)]
    value = {
        "type": "item",
        "id": f"Q{number}",
        "labels": {
            "en": {"language": "en", "value": f"thing {number}"},
            "de": {"language": "de", "value": f"Ding {number}"},
        },
        "aliases": {
            "mul": [{"language": "mul", "value": f"T{number}"}],
            "de": [{"language": "de", "value": "Ä\n"}],
        },
        "claims": claims,
        **more,
    }
    return json.dumps(value, ensure_ascii=False).encode()


def statement(name: str, value: Any, rank: str = "normal") -> dict[str, Any]:
    return {
        "mainsnak": {"snaktype": "value", "property": name, "datavalue": {"value": value, "type": "string"}},
        "rank": rank,
    }


def dump(lines: list[bytes]) -> bytes:
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


CONTENT = dump(
    [
        entity(1),
        entity(2, "C0000002"),
        b'{"id": "Q3", "claims": {"P2892": [',
        b"not json at all",
        entity(4, "C0000004", labels=[], aliases=[]),
        entity(5, claims={"P2892": [statement("P2892", "C0000005", "deprecated")]}),
        entity(6, claims={"P486": [statement("P486", "D006261")]}),
        entity(7, "C0000007"),
    ]
)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(cache=Cache(tmp_path / "cache"))


PACK: dict[str, Callable[[bytes], bytes]] = {
    "json": bytes,
    "json.gz": gzip.compress,
    "json.bz2": lambda data: bz2.compress(data[: len(data) // 2]) + bz2.compress(data[len(data) // 2 :]),
}


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("block", [7, 100, 8 << 20])
def test_every_kind_of_dump_gives_the_same_aliases(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch, kind: str, block: int
) -> None:
    monkeypatch.setattr(wikidata_dump, "BLOCK", block)
    file = tmp_path / f"dump.{kind}"
    file.write_bytes(PACK[kind](CONTENT))
    source = WikidataDump(DumpOptions(file=str(file), threads=2), environment)
    found = list(source)
    assert [(a.item, a.concept_id, a.language, a.text, a.preferred) for a in found if a.item == "Q2"] == [
        ("Q2", "C0000002", "en", "thing 2", True),
        ("Q2", "C0000002", "de", "Ding 2", True),
        ("Q2", "C0000002", "mul", "T2", False),
        ("Q2", "C0000002", "de", "Ä\n", False),
    ]
    assert {a.item for a in found} == {"Q2", "Q7"}
    assert source.counts == {"items": 2, "lines": 8, "malformed_lines": 2}
    source.close()
    assert source.work is not None
    assert not source.work.exists()


def test_standard_input_is_read_as_a_stream(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream:
        buffer = io.BytesIO(CONTENT)

    monkeypatch.setattr(sys, "stdin", Stream())
    source = WikidataDump(DumpOptions(file="-", languages="de"), environment)
    assert {a.text for a in source} == {"Ding 2", "Ding 7", "Ä\n"}


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("stop", [1, 90, 333])
def test_an_interrupted_pass_continues_and_loses_nothing(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch, kind: str, stop: int
) -> None:
    monkeypatch.setattr(wikidata_dump, "BLOCK", 1000)
    monkeypatch.setattr(wikidata_dump, "COMMIT_BLOCKS", 2)
    file = tmp_path / f"dump.{kind}"
    file.write_bytes(PACK[kind](dump([entity(i, f"C{i:07d}" if i % 3 else None) for i in range(200)])))
    options = DumpOptions(file=str(file), threads=1)
    whole = list(WikidataDump(options, Environment(cache=Cache(tmp_path / "other"))))
    first = WikidataDump(options, environment)
    stream = iter(first)
    head: list[Alias] = [next(stream) for _ in range(stop)]
    stream.close()  # type: ignore[attr-defined]
    again = WikidataDump(options, environment)
    assert list(again) == whole
    assert head == whole[:stop]
    assert again.counts["lines"] == 200
    assert list(WikidataDump(options, environment)) == whole  # finished: only the log is read


def test_other_properties_join_through_a_crosswalk(tmp_path: Path, environment: Environment) -> None:
    file = tmp_path / "dump.json"
    file.write_bytes(CONTENT)
    with pytest.raises(UsageError, match="needs a crosswalk"):
        WikidataDump(DumpOptions(file=str(file), properties="P2892,P486"), environment)
    with pytest.raises(UsageError, match="did you mean 'P486'"):
        WikidataDump(DumpOptions(file=str(file), properties="P4866"), environment)
    walk = tmp_path / "walk.tsv"
    walk.write_text("vocabulary\tid\tcui\nmesh\tD006261\tC0018681\n")
    options = DumpOptions(file=str(file), properties="P2892,P486", crosswalk=walk)
    found = {(a.item, a.concept_id, a.joined_by) for a in WikidataDump(options, environment)}
    assert found == {("Q2", "C0000002", "P2892"), ("Q6", "C0018681", "P486"), ("Q7", "C0000007", "P2892")}


def test_a_cut_off_or_missing_dump_is_an_error_that_keeps_what_was_read(
    tmp_path: Path, environment: Environment
) -> None:
    with pytest.raises(MissingError, match="no dump"):
        WikidataDump(DumpOptions(file=str(tmp_path / "none.json")), environment)
    data = gzip.compress(dump([entity(i, f"C{i:07d}") for i in range(5000)]))
    file = tmp_path / "dump.json.gz"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="damaged or cut off"):
        list(WikidataDump(DumpOptions(file=str(file), threads=1), environment))


LINES = st.lists(
    st.sampled_from(
        [
            b'{"id":"Q1","claims":{"P2892":[]}},',
            b'{"id":"Q2"},',
            b'  {"id":"Q3","claims":{"P2892": 1}} , ',
            b'{"id":"Q4","claims":{"P28921":[]}},',
            b'{"P2892" cut off',
            b'"P2892"},',
            b"{},",
            b"",
            b"[",
            b"]",
            b",",
            b"{}}",
            b'{"P486":1,"P2892":2}',
            b"\xff\xfe{}",
        ]
    ),
    max_size=12,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]))
def test_looking_through_a_block_is_looking_at_each_line(lines: list[bytes], ending: bytes) -> None:
    block = ending.join(lines)
    marks = (b'"P2892"', b'"P486"')
    counted = malformed = 0
    marked = []
    for line in block.split(b"\n"):
        bare = line.strip().rstrip(b",")
        if len(bare) < 3:
            continue
        counted += 1
        if not (bare.startswith(b"{") and bare.endswith(b"}")):
            malformed += 1
        elif any(mark in bare for mark in marks):
            marked.append(bare)
    assert scan_block(block, marks, 0, len(block)) == Lines(counted, malformed, marked)
    inner = scan_block(b"{xx}\n" + block + b'\n{"P486":1}', marks, 5, 5 + len(block))
    assert inner == Lines(counted, malformed, marked)


def test_reading_ahead_gives_all_blocks_passes_errors_on_and_stops() -> None:
    blocks = iter([b"a", b"b", b"c", b""])
    assert list(read_ahead(lambda: next(blocks))) == [b"a", b"b", b"c"]

    def failing() -> bytes:
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        next(read_ahead(failing))
    threads = threading.active_count()
    endless = read_ahead(lambda: b"x")
    assert next(endless) == b"x"
    endless.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize("kind", ["json.gz", "json.bz2"])
def test_compressed_standard_input_is_refused(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    class Stream:
        buffer = io.BytesIO(PACK[kind](CONTENT))

    monkeypatch.setattr(sys, "stdin", Stream())
    with pytest.raises(UsageError, match="compressed"):
        list(WikidataDump(DumpOptions(file="-"), environment))
