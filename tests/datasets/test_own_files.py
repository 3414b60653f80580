"""The datasets that read a user's own files: `table` and `bigbio`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.records import Span

CSV = (
    "mention,gold,context,start,end,language,semantic_types\n"
    'Herz,C0018787,"Das Herz, rot",4,8,de,T023\n'
    "heart,C0018787|C1281570,the heart of it,,,,T023|T024\n"
    "a,C0000001,a and a,,,,\n"
    "lung,C0024109,,,,,\n"
)


def write(path: Path, content: str) -> dict[str, str]:
    path.write_text(content, encoding="utf-8")
    return {"path": str(path)}


def test_a_csv_file_gives_its_rows(tmp_path, prepare):
    prepared = prepare("table", "all", options=write(tmp_path / "own.csv", CSV))
    heart, found, ambiguous, bare = prepared.mentions()
    assert (heart.language, heart.spans, heart.gold) == ("de", (Span(4, 8),), ("C0018787",))
    assert heart.document.text == "Das Herz, rot"
    assert (found.language, found.spans, len(found.gold)) == ("en", (Span(4, 9),), 2)
    assert found.semantic_types == ("T023", "T024")
    assert ambiguous.spans == bare.spans == ()
    assert [m.id for m in (heart, bare)] == ["table/de/00000", "table/en/00003"]
    assert prepared.counts == {"position_found": 1, "position_unknown": 1, "several_gold": 1}


def test_a_language_is_a_subset(tmp_path, prepare):
    options = write(tmp_path / "own.csv", CSV)
    assert [m.text for m in prepare("table", "de", options=options).mentions()] == ["Herz"]
    with pytest.raises(UsageError, match="no subset 'dee'; did you mean 'de'"):
        prepare("table", "dee", options=options)


def test_all_kinds_of_files_say_the_same(tmp_path, prepare):
    rows: list[dict[str, Any]] = [
        {"mention": "heart failure", "gold": ["C0018801"], "context": "heart and lung failure"},
        {"mention": "lung", "gold": ["C0024109", "C1"], "context": "heart and lung failure"},
    ]
    rows[0]["spans"] = [{"start": 0, "end": 5}, {"start": 15, "end": 22}]
    rows[1]["spans"] = [{"start": 10, "end": 14}]
    jsonl = write(tmp_path / "own.jsonl", "\n".join(json.dumps(row) for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "own.parquet")
    tsv = write(
        tmp_path / "own.tsv",
        "mention\tcui\tcontext\tspans\n"
        "heart failure\tC0018801\theart and lung failure\t0-5;15-22\n"
        "lung\tC0024109|C1\theart and lung failure\t10-14\n",
    )
    hashes = {
        prepare("table", "all", options=options).sha256
        for options in (jsonl, tsv, {"path": str(tmp_path / "own.parquet")})
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("name", "content", "what", "place"),
    [
        ("a.csv", "", "the table is empty", "a.csv:1"),
        ("a.csv", "mention,gold\n", "no rows", "a.csv"),
        ("a.csv", "mention,gold\nx,C1\ny\n", "row is broken", "a.csv:3"),
        ("a.csv", 'mention,gold\n"x,C1\n', "row is broken", "a.csv:2"),
        ("a.csv", "mention,mention\nx,C1\n", "twice", "a.csv:1"),
        ("a.csv", "mention\nx\n", "no gold", "a.csv:2"),
        ("a.csv", "mention,gold\n,C1\n", "no mention", "a.csv:2"),
        ("a.tsv", "mention\tgold\tstart\tend\tcontext\nx\tC1\t0\t9\tx\n", "the position gives", "a.tsv:2"),
        ("a.tsv", "mention\tgold\tspans\nx\tC1\tone\n", "spans must", "a.tsv:2"),
        ("a.tsv", "mention\tgold\tstart\tend\nx\tC1\tone\t2\n", "whole number", "a.tsv:2"),
        ("a.tsv", "mention\tgold\tlanguage\nx\tC1\tGerman\n", "ISO 639", "a.tsv:2"),
        ("a.jsonl", '{"mention": "x", "gold": "C1"}\n{"mention": 1}\n', "must be text", "a.jsonl:2"),
        ("a.jsonl", '{"mention": "x", "gold": 1}\n[1]\n', "JSON object", "a.jsonl:2"),
        ("a.jsonl", "<!doctype html>", "HTML page", "a.jsonl"),
        ("a.parquet", "not parquet", "cannot be read", "a.parquet"),
    ],
)
def test_a_broken_table_is_named_by_line(name, content, what, place, tmp_path, prepare):
    with pytest.raises(DataError, match=what) as caught:
        prepare("table", "all", options=write(tmp_path / name, content))
    assert caught.value.where == str(tmp_path / place)


def test_wrong_use_is_told(tmp_path, prepare):
    with pytest.raises(UsageError, match="unknown column 'mentoin'; did you mean 'mention'"):
        prepare("table", "all", options=write(tmp_path / "a.csv", "mentoin,gold\nx,C1\n"))
    with pytest.raises(UsageError, match="kind of table"):
        prepare("table", "all", options=write(tmp_path / "a.xlsx", "x"))
    with pytest.raises(MissingError, match="there is no file"):
        prepare("table", "all", options={"path": str(tmp_path / "none.csv")})
    with pytest.raises(UsageError, match="no option 'paht'; did you mean 'path'"):
        prepare("table", "all", options={"paht": "x"})
    with pytest.raises(UsageError, match="Field required"):
        prepare("table", "all")
    with pytest.raises(UsageError, match="no option"):
        prepare("xl-bel", "de", options={"path": "x"})


def document(identifier: str = "d1", **changes: Any) -> dict[str, Any]:
    base = {
        "id": "0",
        "document_id": identifier,
        "passages": [
            {"id": "1", "type": "title", "text": ["Heart failure."], "offsets": [[0, 14]]},
            {"id": "2", "type": "abstract", "text": ["Lungs fail."], "offsets": [[15, 26]]},
        ],
        "entities": [
            entity("T047", ["Heart failure"], [[0, 13]], "C0018801"),
            entity("T046", ["Heart failure"], [[0, 13]], "C0018801"),
            entity("T023", ["Heart", "fail"], [[0, 5], [21, 25]], "UMLS:C0000001"),
            entity("T023", ["Lungs"], [[15, 20]], "D008168", "MESH"),
            {"id": "9", "type": "T000", "text": ["Lungs"], "offsets": [[15, 20]], "normalized": []},
            entity("T023", ["Liver"], [[15, 20]], "C0023884"),
            entity("T023", ["Lungs"], [[90, 95]], "C0024109"),
        ],
        "events": [],
        "coreferences": [],
        "relations": [],
    }
    return {**base, **changes}


def entity(
    kind: str, text: list[str], offsets: list[list[int]], cui: str, database: str = "UMLS"
) -> dict[str, Any]:
    return {
        "id": "e",
        "type": kind,
        "text": text,
        "offsets": offsets,
        "normalized": [{"db_name": database, "db_id": cui}],
    }


def test_a_bigbio_corpus_is_read_and_repeated_entities_are_merged(tmp_path, prepare):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "test.jsonl").write_text(json.dumps(document()), encoding="utf-8")
    prepared = prepare("bigbio", "all", options={"path": str(folder), "language": "en", "database": "UMLS"})
    first, discontinuous, mismatch, outside = prepared.mentions()
    assert first.document.text == "Heart failure. Lungs fail."
    assert first.semantic_types == ("T047", "T046")
    assert (first.id, first.gold) == ("bigbio/d1/0000", ("C0018801",))
    assert discontinuous.gold == ("C0000001",)
    assert discontinuous.spans == (Span(0, 5), Span(21, 25))
    assert mismatch.spans == outside.spans == ()
    assert prepared.counts == {
        "discontinuous": 1,
        "id_rewritten": 1,
        "merged": 1,
        "offset_mismatch": 2,
        "without_gold": 2,
    }
    everything = prepare("bigbio", "all", options={"path": str(folder)})
    assert "D008168" in [concept for mention in everything.mentions() for concept in mention.gold]


def test_splits_are_told_by_file_names(tmp_path, prepare):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for split in ("train", "validation"):
        pq.write_table(pa.Table.from_pylist([document(split)]), folder / f"{split}-00000.parquet")
    options = {"path": str(folder)}
    assert prepare("bigbio", "all", options=options).documents == 2
    (mention, *_) = prepare("bigbio", "all", split="dev", options=options).mentions()
    assert mention.document.id == "bigbio/validation"
    with pytest.raises(MissingError, match="named test"):
        prepare("bigbio", "all", split="test", options=options)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"passages": None}, "no list 'passages'"),
        (
            {"passages": [{"text": ["x"], "offsets": [[0, 1]]}, {"text": ["y"], "offsets": [[0, 1]]}]},
            "overlaps",
        ),
        ({"passages": [{"text": ["x"], "offsets": [[10**9, 1]]}]}, "gap"),
        ({"entities": [{"text": ["x"]}]}, "an entity is not in the schema"),
    ],
)
def test_a_broken_bigbio_document_is_named(changes, what, tmp_path, prepare):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(document()) + "\n" + json.dumps(document("d2", **changes)), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        prepare("bigbio", "all", options={"path": str(path)})
    assert what in str(caught.value)
    assert caught.value.where == f"{path}:2"


def test_a_loading_script_and_an_absent_corpus_are_told_apart(tmp_path, prepare):
    (tmp_path / "corpus.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(MissingError, match="no Parquet, Arrow or JSON lines") as caught:
        prepare("bigbio", "all", options={"path": str(tmp_path)})
    assert "loading script" in str(caught.value)
    with pytest.raises(MissingError, match="there is no folder or file"):
        prepare("bigbio", "all", options={"path": str(tmp_path / "none")})
    with pytest.raises(BenchError, match="cannot be had from the Hub"):
        prepare("bigbio", "all", options={"path": "bigbio/none_such"})
