"""The index folder: kills, two builders, a full disk, damage, Ctrl-C and forks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bioelx_bench_bm25.retriever import Bm25Retriever

from bioelx_bench.errors import DataError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.testing import make_knowledge_base, make_mention

Opened = Callable[..., Bm25Retriever]

SETUP = """
import sys
from pathlib import Path
from bioelx_bench.cache import Cache
from bioelx_bench.errors import BenchError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.base import Environment
from bioelx_bench.testing import make_mention
from bioelx_bench_bm25.options import Bm25Options
from bioelx_bench_bm25.retriever import Bm25Retriever

kb, cache = KnowledgeBase.open(Path(sys.argv[1])), Cache(Path(sys.argv[2]))
retriever = Bm25Retriever(Bm25Options(), Environment(cache=cache, progress=Progress(enabled=False), kb=kb))
build = lambda folder: retriever.index(kb, folder)
print("ready", flush=True)
"""
"""A process that is about to build the index of sys.argv[1] in the cache sys.argv[2]."""

INTERRUPTIBLE = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""Where a shell started the tests in the background, every process that it starts ignores Ctrl-C."""

ANSWER = """
retriever.open(kb, cache.build("index", "bm25", build))
found = retriever.search([make_mention("word7 word77")], 5)
print([(c.concept_id, c.score, c.name) for c in found[0]])
"""

FAILING = """
try:
    cache.build("index", "bm25", build)
except BenchError as error:
    print(repr(str(error)))
"""


@pytest.fixture(scope="module")
def answer(large: KnowledgeBase, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a process says that nobody disturbs."""
    return finish(start(ANSWER, large, tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """So many names that there is time to disturb the build: more than a second on a quick machine."""
    names = [(f"C{i // 2:07d}", "en", f"word{i % 97} word{i % 89} of {i}") for i in range(200_000)]
    return make_knowledge_base(tmp_path_factory.mktemp("large") / "kb", names)


def start(code: str, kb: KnowledgeBase, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SETUP + code, str(kb.folder), str(cache)],
        env={
            **os.environ,
            "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",
        },  # short lives need little compiling
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must succeed; gives its last line."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.splitlines()[-1]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a build has begun to write."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_that_build_at_once_end_with_one_good_index(
    large: KnowledgeBase, answer: str, tmp_path: Path
) -> None:
    first, second = (start(ANSWER, large, tmp_path) for _ in range(2))
    assert {finish(first), finish(second)} == {answer}
    assert "word7" in answer
    assert sorted(p.name for p in (tmp_path / "index").iterdir()) == ["bm25", "bm25.lock"]


def test_a_build_that_is_killed_is_done_anew(large: KnowledgeBase, answer: str, tmp_path: Path) -> None:
    partial = tmp_path / "index" / "bm25.partial"
    killed = start(ANSWER, large, tmp_path)
    wait_for(partial / "lucene", killed)
    killed.kill()
    killed.communicate()
    assert partial.is_dir()
    assert not partial.with_suffix("").exists()
    assert finish(start(ANSWER, large, tmp_path)) == answer
    assert not partial.exists()


def test_ctrl_c_reaches_python_and_leaves_nothing_half_written(large: KnowledgeBase, tmp_path: Path) -> None:
    code = "try:\n    cache.build('index', 'bm25', build)\nexcept KeyboardInterrupt:\n    print('stopped')\n"
    process = start(INTERRUPTIBLE + code, large, tmp_path)
    wait_for(tmp_path / "index" / "bm25.partial" / "lucene", process)
    process.send_signal(signal.SIGINT)
    assert finish(process) == "stopped"
    assert not (tmp_path / "index" / "bm25").exists()
    assert list((tmp_path / "index" / "bm25.partial").iterdir()) == []


def test_a_full_disk_is_an_error_and_frees_what_was_written(large: KnowledgeBase, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write fails in the middle of the index."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    said = finish(start(limit + FAILING, large, tmp_path))
    assert "the BM25 index cannot be written" in said
    assert "IOException" in said
    assert "free space" in said
    assert not (tmp_path / "index" / "bm25").exists()
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_a_full_file_system_is_the_same(large: KnowledgeBase, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("skipped: a small file system cannot be mounted here")
    try:
        said = finish(start(FAILING, large, small))
        assert "the BM25 index cannot be written" in said
        assert "No space left" in said
        assert sum(p.stat().st_size for p in small.rglob("*") if p.is_file()) < 1000
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_forked_process_is_refused_not_hung(large: KnowledgeBase, tmp_path: Path) -> None:
    code = """
import os
retriever.open(kb, cache.build("index", "bm25", build))
child = os.fork()
if child == 0:
    try:
        retriever.search([make_mention("word7")], 1)
    except BenchError as error:
        os._exit(7 if "fork" in str(error) else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert finish(start(code, large, tmp_path)) == "7"


class TestDamage:
    @pytest.fixture
    def index(self, opened: Opened, kb: KnowledgeBase, tmp_path: Path) -> Path:
        """A finished index."""
        opened(kb).close()
        return next(tmp_path.glob("index-*"))

    @pytest.fixture
    def fails(self, make: Opened, kb: KnowledgeBase, index: Path) -> Callable[[], str]:
        """Opening it fails, says how to fix it, and the hint works."""

        def check() -> str:
            retriever = make()
            with pytest.raises(DataError, match="damaged or belongs to another") as caught:
                retriever.open(kb, index)
            assert caught.value.where == str(index)
            assert f"remove the folder {index}" in str(caught.value.hint)
            retriever.index(kb, index)
            retriever.open(kb, index)
            assert retriever.search([make_mention("asthma")], 1)[0][0].concept_id == "C0004096"
            return str(caught.value.why)

        return check

    @pytest.mark.parametrize("suffix", ["doc", "tim", "nvd", "si", "fnm", "tip"])
    @pytest.mark.parametrize("how", ["cut", "flip", "gone", "empty"])
    def test_a_damaged_file_is_found_when_opened(
        self, index: Path, fails: Callable[[], str], suffix: str, how: str
    ) -> None:
        path = next((index / "lucene").glob(f"*.{suffix}"))
        data = bytearray(path.read_bytes())
        if how == "gone":
            path.unlink()
        elif how == "flip":
            data[len(data) // 2] ^= 0x10
            path.write_bytes(data)
        else:
            path.write_bytes(data[: len(data) // 2] if how == "cut" else b"")
        assert fails()

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99}', "\x00"])
    def test_a_damaged_description_is_found(self, index: Path, fails: Callable[[], str], text: str) -> None:
        (index / "meta.json").write_text(text)
        assert "meta.json" in fails()

    def test_missing_parts_are_found(self, index: Path, fails: Callable[[], str]) -> None:
        for path in (index / "lucene").iterdir():
            path.unlink()
        (index / "lucene").rmdir()
        assert "lucene" in fails()
        assert not (index / "lucene" / "write.lock").exists()

    def test_an_index_of_another_knowledge_base_is_refused(
        self, index: Path, kb: KnowledgeBase, fails: Callable[[], str]
    ) -> None:
        meta = json.loads((index / "meta.json").read_text())
        (index / "meta.json").write_text(json.dumps({**meta, "kb": "0" * 64}))
        assert kb.sha256[:12] in fails()


def test_an_index_holds_no_lock_and_opens_where_nothing_may_be_written(
    opened: Opened, make: Opened, kb: KnowledgeBase, tmp_path: Path
) -> None:
    opened(kb)
    folder = next(tmp_path.glob("index-*"))
    assert "write.lock" not in [p.name for p in folder.rglob("*")]
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    retriever = make()
    retriever.open(kb, folder)
    assert retriever.search([make_mention("asthma")], 1)[0]
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    assert os.access(folder, os.W_OK)
