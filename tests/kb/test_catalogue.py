"""Opening a knowledge base by name or folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import bioelx_bench
from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.plugins import load_plugins

PLUGIN = """
import pyarrow as pa
from bioelx_bench import hookimpl
from bioelx_bench.declarations import KnowledgeBaseSpec
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, fill_folder

@hookimpl
def knowledge_bases():
    factory = "bioelx_bench_local_tiny:build"
    return [KnowledgeBaseSpec(name="tiny", summary="Tiny.", factory=factory, revision="3", licence="CC0-1.0")]

def build(folder, environment):
    batch = pa.record_batch([["C0000001"], ["en"], ["cough"], ["T"], [True]], schema=schemas.NAMES)
    fill_folder(folder, "tiny", Rows(names=[batch]), files=[], filters={}, progress=environment.progress)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "tiny.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture
def environment(tmp_path: Path, plugin: Path) -> Environment:
    return Environment(cache=Cache(tmp_path / "cache"), plugins=load_plugins([plugin]))


def test_a_plugins_knowledge_base_is_built_in_the_cache_under_its_own_key(
    environment: Environment, tmp_path: Path
) -> None:
    kb = open_knowledge_base("tiny", environment)
    assert kb.folder == tmp_path / "cache" / "kb" / "tiny-tiny-3-format2"
    assert kb.concept("C0000001").names[0].text == "cough"
    assert open_knowledge_base("tiny/tiny", environment).folder == kb.folder
    assert sorted(p.name for p in kb.folder.parent.iterdir()) == [
        "tiny-tiny-3-format2",
        "tiny-tiny-3-format2.lock",
    ]


def test_what_an_interrupted_build_left_is_cleared(environment: Environment, tmp_path: Path) -> None:
    partial = tmp_path / "cache" / "kb" / "tiny-tiny-3-format2.partial"
    (partial / "staging").mkdir(parents=True)
    (partial / "staging" / "spill").write_bytes(b"x")
    (partial / "names.arrow").write_bytes(b"torn")
    assert open_knowledge_base("tiny", environment).name_count == 1


@pytest.mark.parametrize("damage", ["missing file", "torn manifest", "other format"])
def test_a_damaged_folder_in_the_cache_is_built_again(environment: Environment, damage: str) -> None:
    folder = open_knowledge_base("tiny", environment).folder
    manifest = folder / "manifest.json"
    if damage == "missing file":
        (folder / "concept_numbers.npy").unlink()
    elif damage == "torn manifest":
        manifest.write_text(manifest.read_text()[:20])
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    assert open_knowledge_base("tiny", environment).concept("C0000001").names[0].text == "cough"


def test_a_users_folder_without_one_of_its_files_is_an_error(
    make_kb: Callable[..., KnowledgeBase], environment: Environment
) -> None:
    kb = make_kb([("C0000002", "en", "fever", "S", True)], "tiny")
    (kb.folder / "concept_numbers.npy").unlink()
    with pytest.raises(DataError, match="damaged") as caught:
        open_knowledge_base(kb.folder, environment)
    assert "concept_numbers.npy" in str(caught.value.why)


def test_a_users_folder_with_a_changed_byte_is_an_error(
    make_kb: Callable[..., KnowledgeBase], environment: Environment
) -> None:
    kb = make_kb([("C0000002", "en", "fever", "S", True)], "tiny")
    names = bytearray((kb.folder / "names.arrow").read_bytes())
    names[names.index(b"fever")] ^= 1
    (kb.folder / "names.arrow").write_bytes(names)
    with pytest.raises(DataError, match="damaged") as caught:
        open_knowledge_base(kb.folder, environment)
    assert "names.arrow was changed" in str(caught.value.why)
    assert "kb build" in str(caught.value.hint)


def test_a_folder_is_opened_and_a_name_wins_over_it(
    environment: Environment,
    make_kb: Callable[..., KnowledgeBase],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kb = make_kb([("C0000002", "en", "fever", "S", True)], "tiny")
    assert open_knowledge_base(kb.folder, environment).sha256 == kb.sha256
    monkeypatch.chdir(tmp_path)
    assert open_knowledge_base("./tiny", environment).sha256 == kb.sha256
    assert open_knowledge_base("tiny", environment).sha256 != kb.sha256


def test_unknown_names_and_folders_say_what_is_known(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'open'"):
        open_knowledge_base("opne", environment)
    for path in ("./nowhere", str(tmp_path / "nowhere"), "~/no-such-kb", f"some{os.sep}Deep{os.sep}folder"):
        with pytest.raises(MissingError, match="no knowledge base folder"):
            open_knowledge_base(path, environment)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="no knowledge base in"):
        open_knowledge_base(tmp_path / "empty", environment)


def test_it_is_the_public_function() -> None:
    assert bioelx_bench.open_knowledge_base is open_knowledge_base
