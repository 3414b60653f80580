"""Archives that lie."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from bioelx_bench.errors import DataError
from bioelx_bench.io.archives import Limits, ZipReader, open_bytes

TIGHT = Limits(size=1000, total=1500, members=3, ratio=10, ratio_from=100)


def make(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_members_are_read(tmp_path: Path) -> None:
    with ZipReader(make(tmp_path / "a.zip", {"x/a.txt": b"one", "b": b"two"})) as archive:
        assert archive.names == ["x/a.txt", "b"]
        assert archive.read("x/a.txt") == b"one"


@pytest.mark.parametrize(
    "members",
    [
        {"../a": b""},
        {"/a": b""},
        {"a/../../b": b""},
        {"C:\\a": b""},
        {"\\\\host\\a": b""},
        {"bomb": b"0" * 5000},
        {"a": b"", "b": b"", "c": b"", "d": b""},
    ],
)
def test_unsafe_archives_are_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(DataError):
        ZipReader(make(tmp_path / "a.zip", members), TIGHT)


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="archive"):
        ZipReader(tmp_path / "a.zip")


def test_limits_hold_while_reading(tmp_path: Path) -> None:
    text = bytes(range(256)) * 3
    with ZipReader(make(tmp_path / "a.zip", {"a": text, "b": text}), TIGHT) as archive:
        archive.read("a")
        with pytest.raises(DataError):
            archive.read("b")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"0" * 1001))
    with pytest.raises(DataError), open_bytes(tmp_path / "x.gz", TIGHT) as stream:
        stream.read()


def test_damage_is_told(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", {"a": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError), ZipReader(path) as archive:
        archive.read("a")
    (tmp_path / "page.zip").write_text("<!DOCTYPE html>")
    with pytest.raises(DataError) as caught:
        ZipReader(tmp_path / "page.zip")
    assert "login page" in str(caught.value)
