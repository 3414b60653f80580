"""Tables as people have them."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.io.tables import open_table


def read(path: Path, content: bytes | str) -> list[tuple[int, dict[str, Any]]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_table(path).rows())


PLAIN = [(2, {"cui": "C0000001", "name": "fièvre"}), (3, {"cui": "C0000002", "name": "x"})]
TEXT = "cui\tname\nC0000001\tfièvre\nC0000002\tx\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.removesuffix("\n").encode(),
        TEXT.replace("cui\tname", " CUI \tName").encode(),
        gzip.compress(TEXT.encode(), mtime=0),
        bz2.compress(TEXT.encode()),
        lzma.compress(TEXT.encode()),
        gzip.compress(TEXT.encode("utf-16"), mtime=0),
    ],
)
def test_encodings_and_compressions(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "t.tsv", content) == PLAIN


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "index", "__index_level_0__", "level_0"])
def test_index_columns_are_left_out(tmp_path: Path, header: str) -> None:
    text = f"{header},cui,name\n0,C0000001,fièvre\n1,C0000002,x\n"
    assert read(tmp_path / "t.csv", text) == PLAIN


def test_a_cell_of_any_size(tmp_path: Path) -> None:
    long = "x " * 1_000_000
    assert read(tmp_path / "t.csv", f'a,b\n1,"{long}"\n') == [(2, {"a": "1", "b": long})]
    assert read(tmp_path / "t.tsv", f"a\tb\n1\t{long}\n") == [(2, {"a": "1", "b": long})]


def test_lines_are_counted_over_line_breaks_in_cells(tmp_path: Path) -> None:
    text = 'a{0}b\n1{0}"x\ny"\n\n2{0}z\n'
    expected = [(2, {"a": "1", "b": "x\ny"}), (5, {"a": "2", "b": "z"})]
    assert read(tmp_path / "t.csv", text.format(",")) == expected
    assert read(tmp_path / "t.tsv", text.format("\t")) == expected


@pytest.mark.parametrize(
    ("line", "cell"),
    [
        ('"needle, ""sharp"""', 'needle, "sharp"'),
        ('5" needle', '5" needle'),
        ('"sharp" needle', '"sharp" needle'),
        ('"', '"'),
        ('"open', '"open'),
        ('"a\tb"', "a\tb"),
    ],
)
def test_quotes_in_a_tsv(tmp_path: Path, line: str, cell: str) -> None:
    assert read(tmp_path / "t.tsv", f"a\tb\n1\t{line}\n2\tplain\n") == [
        (2, {"a": "1", "b": cell}),
        (3, {"a": "2", "b": "plain"}),
    ]


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS.filter(str.strip)), min_size=1, max_size=5), st.sampled_from(",\t"))
@settings(max_examples=150)
def test_what_csv_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    if delimiter == "\t":  # a tab beside a line break in one cell could also be two rows
        rows = [(a.replace("\t", " "), b.replace("\t", " ")) for a, b in rows]
    path = tmp_path_factory.mktemp("t") / ("t.csv" if delimiter == "," else "t.tsv")
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("aa", "bb"), *rows])
    assert [tuple(row.values()) for _, row in open_table(path).rows()] == rows


def test_dictionaries(tmp_path: Path) -> None:
    assert read(tmp_path / "d.txt", "C1||fever\n\nC2||a||b\n") == [
        (1, {"id": "C1", "name": "fever"}),
        (3, {"id": "C2", "name": "a||b"}),
    ]


def test_json_and_parquet_keep_their_types(tmp_path: Path) -> None:
    rows = [{"id": 101, "gold": ["C1"]}, {"id": 102, "gold": None}]
    lines = "\n".join(map(json.dumps, rows))
    assert read(tmp_path / "t.jsonl", lines) == [(1, rows[0]), (2, rows[1])]
    assert read(tmp_path / "t.json", json.dumps(rows)) == [(1, rows[0]), (1, rows[1])]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    assert list(table.rows()) == [(1, rows[0]), (2, rows[1])]
    assert table.place(2) == f"{tmp_path / 't.parquet'} row 2"


@pytest.mark.parametrize(
    ("name", "content", "where", "what"),
    [
        ("t.csv", "a,b\n1\n", ":2", "row is broken"),
        ("t.csv", 'a,b\n1,"x\n2,y\n', ":2", "row is broken"),
        ("t.csv", "a,A\n1,2\n", ":1", "twice"),
        ("t.csv", "", ":1", "empty"),
        ("t.csv", "\n\n", ":1", "empty"),
        ("t.csv", b"a,b\n1,\xff\n", ":2", "not UTF-8"),
        ("t.csv", "<!DOCTYPE html><html>", "t.csv", "HTML"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "t.csv.gz", "damaged"),
        ("t.csv.xz", lzma.compress(b"a,b\n1,2\n" * 99)[:-9], "t.csv.xz", "damaged"),
        ("t.csv.bz2", bz2.compress(b"a,b\n1,2\n" * 99)[:-9], "t.csv.bz2", "damaged"),
        ("t.jsonl", "{", ":1", "not JSON"),
        ("t.jsonl", "[1]", ":1", "JSON object"),
        ("t.parquet", "x", "t.parquet", "Parquet"),
        ("d.txt", "C1||x\nC2\n", ":2", "C1||x".replace("C1", "id").replace("x", "name")),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, content: bytes | str, where: str, what: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / name, content)
    assert where in str(caught.value.where)
    assert what in caught.value.what


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        open_table(tmp_path / "none.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(UsageError):
        open_table(tmp_path / "t.xlsx")


@given(
    st.binary(max_size=300), st.sampled_from(["t.csv", "t.tsv", "t.txt", "t.jsonl", "t.parquet", "t.csv.gz"])
)
@settings(max_examples=200)
def test_any_bytes_give_rows_or_an_error_that_a_user_can_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    try:
        read(tmp_path_factory.mktemp("t") / name, content)
    except BenchError as error:
        assert error.where
