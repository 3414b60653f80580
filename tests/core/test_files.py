from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.cache import Cache
from bioelx_bench.errors import BenchError
from bioelx_bench.files import JsonLines, atomic_path, write_json


@given(records=st.lists(st.dictionaries(st.text(), st.text()), max_size=5), data=st.data())
def test_a_log_cut_anywhere_keeps_its_whole_lines(
    records: list[dict[str, str]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    log = JsonLines(path)
    log.append(records)
    log.close()
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    again = JsonLines(path)
    whole = content[:cut].count(b"\n")
    assert list(again) == records[:whole]
    again.append([{"after": "the cut"}])
    assert list(again) == [*records[:whole], {"after": "the cut"}]
    again.close()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\nnot json\n')
    with pytest.raises(BenchError) as caught:
        list(JsonLines(path))
    assert f"{path}:2" in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"old": True})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stopped")
    assert json.loads(path.read_text()) == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_a_full_disk_is_explained_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(BenchError) as caught:
            write_json(path, {"long": "x" * 5000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "cannot write" in str(caught.value)
    assert "free space" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_builds_once_and_hands_an_interrupted_build_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    calls = []

    def interrupted(folder: Path) -> None:
        calls.append("first")
        (folder / "half").write_text("done so far")
        raise KeyboardInterrupt

    def finishing(folder: Path) -> None:
        calls.append((folder / "half").read_text())
        (folder / "whole").write_text("x")

    with pytest.raises(KeyboardInterrupt):
        cache.build("indexes", "key", interrupted)
    assert cache.find("indexes", "key") is None
    folder = cache.build("indexes", "key", finishing)
    assert cache.build("indexes", "key", finishing) == folder
    assert calls == ["first", "done so far"]
    assert sorted(p.name for p in folder.iterdir()) == ["half", "seal.json", "whole"]


@pytest.mark.parametrize("key", ["../out", "a/b", "", ".hidden"])
def test_the_cache_takes_only_plain_names(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="plain folder name"):
        Cache(tmp_path).folder("indexes", key)
