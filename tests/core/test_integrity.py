"""Content of the cache is checked before it is believed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from bioelx_bench import integrity
from bioelx_bench.cache import Cache

CONTENT = {"a.txt": b"one", "deep/b.bin": bytes(range(256)) * 40, "empty": b""}


def fill(folder: Path) -> None:
    for name, data in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in CONTENT}


@pytest.mark.parametrize("path", [*CONTENT, integrity.SEAL])
@pytest.mark.parametrize("attack", ["flip", "truncate", "remove", "append", "folder"])
def test_any_damage_is_made_good_once(
    tmp_path: Path, path: str, attack: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    folder = cache.build("kb", "key", fill)
    file = folder / path
    data = file.read_bytes()
    if attack == "flip" and data:
        file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif attack == "truncate" and data:
        file.write_bytes(data[:-1])
    elif attack == "append":
        file.write_bytes(data + b"x")
    else:
        file.unlink()
        if attack == "folder":
            file.mkdir()
    assert cache.find("kb", "key") is None
    assert content(cache.build("kb", "key", fill)) == CONTENT
    assert "damaged and made again" in caplog.text
    caplog.clear()
    cache.build("kb", "key", fill)
    assert not caplog.records


def test_hashes_are_checked_once_and_again_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    folder = cache.build("kb", "key", fill)
    time.sleep(integrity.SETTLED_SECONDS + 0.05)
    hashed: list[Path] = []
    real = integrity.fast_hash
    monkeypatch.setattr(integrity, "fast_hash", lambda path: hashed.append(path) or real(path))
    cache.build("kb", "key", fill)
    assert len(hashed) == len(CONTENT)
    cache.build("kb", "key", fill)
    assert len(hashed) == len(CONTENT)
    os.utime(folder / "a.txt")
    cache.build("kb", "key", fill)
    assert len(hashed) == 2 * len(CONTENT)
    Cache(tmp_path, verify=True).build("kb", "key", fill)
    assert len(hashed) == 3 * len(CONTENT)
    monkeypatch.setenv(integrity.VERIFY_VARIABLE, "1")
    cache.build("kb", "key", fill)
    assert len(hashed) == 4 * len(CONTENT)


def test_a_change_under_the_same_size_right_after_building_is_seen(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for _ in range(50):
        folder = cache.build("kb", "key", fill)
        (folder / "a.txt").write_bytes(b"two")
        assert content(cache.build("kb", "key", fill)) == CONTENT


def test_large_files_are_hashed_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "CHUNK", 1000)
    data = bytearray(random.Random(0).randbytes(10_500))
    (tmp_path / "x").write_bytes(data)
    before = integrity.fast_hash(tmp_path / "x")
    for at in range(0, len(data), 997):
        changed = data.copy()
        changed[at] ^= 4
        (tmp_path / "x").write_bytes(changed)
        assert integrity.fast_hash(tmp_path / "x") != before


def test_a_cache_that_cannot_be_written_is_still_checked(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    fill(folder)
    integrity.seal(folder)
    memory = tmp_path / "a file"
    memory.write_text("")
    assert integrity.damage(folder, memory) is None
    (folder / "a.txt").write_bytes(b"two")
    assert integrity.damage(folder, memory) == "a.txt was changed after it was written"
