"""Knowledge bases from plain tables: every format, and every mistake with its place."""

from __future__ import annotations

import gzip
import lzma
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.kb.table import build_from_table, read_table
from bioelx_bench.records import Name

HEADER = "cui\tlang\tname\tsource\tpreferred\n"
GOOD = HEADER + 'C0000001\ten\tCough "dry"\tMSH\t1\nC0000001\tde\tHusten\t\t0\nC0000002\ten\tfever\tMSH\t\n'
NAMES = (Name('Cough "dry"', "en", "MSH", preferred=True), Name("Husten", "de", "mine"))


def write(tmp_path: Path, text: str | bytes, name: str = "t.tsv") -> Path:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def rows_of(file: Path) -> list[dict[str, object]]:
    return [row for batch in read_table(file, "mine") for row in batch.to_pylist()]


def test_a_tsv_is_taken_as_it_is(tmp_path: Path) -> None:
    kb = build_from_table(write(tmp_path, GOOD), "mine", tmp_path / "kb", licence="CC0-1.0")
    assert kb.concept("C0000001").names == NAMES
    assert kb.manifest.files[0].path == "t.tsv"
    assert kb.manifest.files[0].licence == "CC0-1.0"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_blank_lines_and_a_byte_order_mark(tmp_path: Path, ending: str) -> None:
    text = "\ufeff" + GOOD.replace("\n", "\n\n").rstrip("\n").replace("\n", ending)
    if ending == "\r":
        text = text.replace("\r", "\n", 1)
    assert len(rows_of(write(tmp_path, text))) == 3


def test_other_column_order_and_columns(tmp_path: Path) -> None:
    file = write(tmp_path, "note\tname\tcui\tlang\nx\tcough\tC0000001\ten\n")
    assert rows_of(file) == [
        {"cui": "C0000001", "language": "en", "name": "cough", "source": "mine", "preferred": False}
    ]


@pytest.mark.parametrize("name", ["t.tsv.gz", "t.tsv.xz", "t.TSV"])
def test_compressed_tables(tmp_path: Path, name: str) -> None:
    data = GOOD.encode()
    packed = (
        gzip.compress(data) if name.endswith("gz") else lzma.compress(data) if name.endswith("xz") else data
    )
    assert len(rows_of(write(tmp_path, packed, name))) == 3


def test_a_csv_has_quotes(tmp_path: Path) -> None:
    file = write(tmp_path, 'cui,lang,name\nC0000001,en,"cough, ""dry"""\n', "t.csv")
    assert rows_of(file)[0]["name"] == 'cough, "dry"'


@pytest.mark.parametrize(
    "preferred", [[True, False, None], [1, 0, None], ["1", "0", None], ["true", "No", ""]]
)
def test_parquet(tmp_path: Path, preferred: list[object]) -> None:
    columns = {
        "cui": ["C0000001"] * 3,
        "lang": pa.array(["en"] * 3).dictionary_encode(),
        "name": ["a", "b", "c"],
        "source": ["S", None, ""],
        "preferred": preferred,
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    rows = rows_of(tmp_path / "t.parquet")
    assert [r["preferred"] for r in rows] == [True, False, False]
    assert [r["source"] for r in rows] == ["S", "mine", "mine"]


BROKEN = {
    "missing column": ("cui\tname\nC0000001\tx\n", "no column 'lang'", ":1"),
    "doubled column": ("cui\tlang\tname\tname\nC0000001\ten\tx\ty\n", "'name' twice", ":1"),
    "too few cells": (GOOD + "C0000001\ten\n", "2 cells", ":5"),
    "too many cells": (GOOD + "C0000001\ten\tx\tS\t1\t\n", "6 cells", ":5"),
    "bad CUI": (GOOD + "C12\ten\tx\tS\t1\n", "'C12' is not an id of the scheme umls", ":5 (field cui)"),
    "CUI with more": (GOOD + "C00000012\ten\tx\tS\t1\n", "seven digits", ":5 (field cui)"),
    "bad language": (GOOD + "C0000001\tENG\tx\tS\t1\n", "UMLS writes ENG", ":5 (field lang)"),
    "empty name": (GOOD + "C0000001\ten\t\tS\t1\n", "'' is not a name", ":5 (field name)"),
    "blank name": (GOOD + "C0000001\ten\t  \tS\t1\n", "not empty", ":5 (field name)"),
    "bad preferred": (GOOD + "C0000001\ten\tx\tS\tmaybe\n", "'maybe' is neither", ":5 (field preferred)"),
    "bad source": (GOOD + "C0000001\ten\tx\tA|B\t1\n", "'A|B' is not a source", ":5 (field source)"),
    "empty file": ("", "empty", ":1"),
    "only a header": (HEADER, "no rows", ":2"),
    "bad line after blank lines": (GOOD + "\n\nC12\ten\tx\tS\t1\n", "C12", ":7 (field cui)"),
}


@pytest.mark.parametrize(("text", "says", "where"), BROKEN.values(), ids=BROKEN.keys())
def test_mistakes_name_file_and_line_and_leave_nothing(
    tmp_path: Path, text: str, says: str, where: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        build_from_table(file, "mine", tmp_path / "kb")
    assert says in str(caught.value)
    assert caught.value.where == f"{file}{where}"
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [file]


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.encode() + "C0000003\tde\tM\xfcdigkeit\tS\t0\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8") as caught:
        build_from_table(file, "mine", tmp_path / "kb")
    assert caught.value.where == f"{file}:5"
    assert "iconv" in (caught.value.hint or "")
    header = write(tmp_path, b"cui\tlang\tname\t\xff\n", "h.tsv")
    with pytest.raises(DataError, match="not UTF-8") as caught:
        rows_of(header)
    assert caught.value.where == f"{header}:1"


@pytest.mark.parametrize(
    ("row", "says"),
    [('C0000001,en,"open\n', "broken"), ('C0000001,en,"a\nb"\n', "line break"), ("C1,en,x\n", "C1")],
)
def test_mistakes_in_a_csv(tmp_path: Path, row: str, says: str) -> None:
    file = write(tmp_path, "cui,lang,name\nC0000001,en,x\n" + row, "t.csv")
    with pytest.raises(DataError, match=says) as caught:
        rows_of(file)
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{file}:3")


def test_mistakes_in_parquet_name_the_row(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"cui": ["C0000001", None], "lang": ["en", "en"], "name": ["x", "y"]}), file)
    with pytest.raises(DataError) as caught:
        rows_of(file)
    assert "row 2" in str(caught.value.where)
    pq.write_table(pa.table({"cui": ["C0000001"], "name": ["x"]}), file)
    with pytest.raises(DataError, match="no column 'lang'"):
        rows_of(file)
    pq.write_table(pa.table({"cui": [], "lang": [], "name": []}), file)
    with pytest.raises(DataError, match="no rows"):
        rows_of(file)
    file.write_bytes(b"<html>not Parquet</html>")
    with pytest.raises(DataError, match="Parquet file cannot be read"):
        rows_of(file)


@pytest.mark.parametrize("name", ["t.tsv.gz", "t.tsv.xz"])
def test_a_compressed_file_that_is_cut_off(tmp_path: Path, name: str) -> None:
    text = HEADER + "".join(f"C{i:07d}\ten\tname {i * 7919 % 10007}\tS\t0\n" for i in range(20_000))
    packed = gzip.compress(text.encode()) if name.endswith("gz") else lzma.compress(text.encode())
    for data in (packed[: len(packed) // 2], b"<html>login</html>"):
        file = write(tmp_path, data, name)
        with pytest.raises(DataError, match=r"damaged, cut off|HTML") as caught:
            build_from_table(file, "mine", tmp_path / "kb")
        assert caught.value.where == str(file)
        assert list(tmp_path.iterdir()) == [file]


def test_files_that_cannot_be_tables(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no file"):
        build_from_table(tmp_path / "no.tsv", "mine", tmp_path / "kb")
    with pytest.raises(UsageError, match="unknown"):
        build_from_table(write(tmp_path, GOOD, "t.xlsx"), "mine", tmp_path / "kb")
    with pytest.raises(UsageError, match="source"):
        build_from_table(write(tmp_path, GOOD), "mine", tmp_path / "kb", source="a|b")


cell = st.one_of(
    st.sampled_from(["C0000001", "C000000", "en", "ENG", "x", "", "1", "S", '"', "\r", "\x00", " ", "é"]),
    st.text(max_size=3),
)
line = st.lists(cell, min_size=1, max_size=6).map("\t".join)
good_line = st.just("C0000001\ten\tname\tS\t0")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(good_line, line), max_size=6), st.sampled_from(["\n", "\r\n"]), st.binary(max_size=2)
)
@example(["C0000001\ten\tname\tS\t0\x0b"], "\n", b"")
@example(["C0000001\ten\tna\u2028me\tS\t0"], "\n", b"")
def test_any_tsv_parses_or_names_file_and_line(lines: list[str], ending: str, tail: bytes) -> None:
    data = HEADER.encode() + ending.join(lines).encode("utf-8", "surrogatepass") + tail
    with tempfile.TemporaryDirectory() as scratch:
        file = write(Path(scratch), data)
        try:
            rows = rows_of(file)
        except DataError as error:
            assert error.where is not None
            assert error.where.removeprefix(f"{file}:").split(" ")[0].isdecimal()
        else:
            filled = [x for x in data[len(HEADER) :].decode().replace("\r", "\n").split("\n") if x]
            assert len(rows) == len(filled)


csv_cell = st.one_of(
    st.sampled_from(["C0000001", "en", "x", "", '"x"', '"', '""', 'a"b', "\r", ",", "\n", '"a,b"', '"a""b"']),
    st.text(max_size=2),
)
csv_line = st.one_of(
    st.just('C0000001,en,"a,b",S,0'), st.lists(csv_cell, min_size=1, max_size=6).map(",".join)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(csv_line, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_any_csv_parses_or_names_file_and_line(lines: list[str], ending: str) -> None:
    data = HEADER.replace("\t", ",").encode() + ending.join(lines).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as scratch:
        file = write(Path(scratch), data, "t.csv")
        try:
            rows_of(file)
        except DataError as error:
            assert error.where is not None
            assert error.where.removeprefix(f"{file}:").split(" ")[0].isdecimal()
