"""Archives, compressed files and JSON that are damaged or made to do harm."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.datasets.archives import ZipReader, read_maybe_gzip
from bioelx_bench.datasets.json_documents import json_documents
from bioelx_bench.errors import DataError


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/passwd", "a/../../b", "..\\evil.txt", "C:/evil.txt"])
def test_members_outside_the_archive_are_refused(name, write_zip):
    path = write_zip({"fine.txt": "x", name: "y"})
    with pytest.raises(DataError, match="cannot be used") as caught:
        ZipReader(path)
    assert "outside the archive" in str(caught.value)


def test_a_zip_bomb_stops_at_the_limit(write_zip):
    path = write_zip({"bomb.txt": b"0" * (8 << 20), "other.txt": b"0" * 900_000})
    assert path.stat().st_size < 20_000
    reader = ZipReader(path, member_limit=1 << 20)
    with pytest.raises(DataError) as caught:
        reader.read("bomb.txt")
    assert "limit" in str(caught.value)
    together = ZipReader(path, total_limit=1 << 20)
    together.read("other.txt")
    with pytest.raises(DataError):
        together.read("other.txt")


def test_a_damaged_or_cut_off_archive_is_an_error(write_zip, tmp_path: Path):
    path = write_zip({"a.txt": bytes(range(256)) * 400})
    data = bytearray(path.read_bytes())
    cut = tmp_path / "cut.zip"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="archive"):
        ZipReader(cut)
    data[60] ^= 0xFF
    path.write_bytes(data)
    reader = ZipReader(path)
    with pytest.raises(DataError) as caught:
        reader.read("a.txt")
    assert "a.txt" in str(caught.value)


def test_an_encrypted_member_is_an_error(write_zip):
    path = write_zip({"a.txt": "x"})
    data = path.read_bytes().replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00")
    path.write_bytes(
        data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    )
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 1
    with pytest.raises(DataError):
        ZipReader(path).read("a.txt")


def test_gzip_is_unpacked_and_a_truncated_one_is_an_error(tmp_path: Path):
    path = tmp_path / "corpus.txt.gz"
    path.write_bytes(gzip.compress(b"text " * 1000))
    assert read_maybe_gzip(path) == b"text " * 1000
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="cut off"):
        read_maybe_gzip(path)


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"0" * (4 << 20)))
    with pytest.raises(DataError, match="unpacks to more than 1 MiB"):
        read_maybe_gzip(path, limit=1 << 20)


DOCUMENTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.text(max_size=9) | st.integers() | st.none(), max_size=3),
    max_size=4,
)


@given(DOCUMENTS, st.booleans(), st.booleans(), st.integers(1, 40))
def test_json_is_read_in_any_layout_and_blocks(documents, array, indented, size):
    indent = 2 if indented else None
    if array:
        text = json.dumps(documents, ensure_ascii=False, indent=indent)
    else:
        text = "\n".join(json.dumps(d, ensure_ascii=False) for d in documents)
    data = text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "replace")
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [document for _, document in json_documents(blocks, "f")] == documents


@given(st.binary(max_size=60))
def test_any_json_bytes_parse_or_name_their_line(data):
    try:
        list(json_documents([data], "f.json"))
    except DataError as error:
        assert error.where is not None
        assert error.where.startswith("f.json")


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"a": 1}\n{"a": ', 2), ("[\n{},\n{}", 3), ("{}\nnonsense\n", 2), ("[{}]\n{}", 2), ("[" * 100_000, 1)],
)
def test_broken_json_is_named_by_its_line(text, line):
    with pytest.raises(DataError) as caught:
        list(json_documents([text.encode()], "f.json"))
    assert caught.value.where == f"f.json:{line}"


def test_lines_are_counted_for_each_document():
    assert [line for line, _ in json_documents([b'{}\n\n{"a":\n1}\n{}'], "f")] == [1, 3, 5]
