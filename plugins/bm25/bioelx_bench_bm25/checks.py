"""What `doctor` says about BM25."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bioelx_bench.base import Check, Environment
from bioelx_bench.errors import BenchError
from bioelx_bench_bm25.analyzers import Analyzers, segments_thai, tokens
from bioelx_bench_bm25.java import find_java, find_library, start_java


def check(environment: Environment, target: Mapping[str, Any]) -> Iterator[Check]:  # noqa: ARG001 - the hook's form
    """Java, the search library, and whether they work together."""
    try:
        runtime = find_java()
        yield Check(
            "bm25: Java",
            "warning" if runtime.passed_over else "ok",
            f"{runtime.version} from {runtime.origin} ({runtime.home})"
            + (f"; passed over: {runtime.passed_over}" if runtime.passed_over else ""),
            "unset JAVA_HOME, or set it to Java 21 or newer" if runtime.passed_over else None,
        )
        library = find_library()
        yield Check("bm25: search library", "ok", f"{library.revision} ({library.jar})")
        start_java()
        found = tokens(Analyzers("error").of("en"), "malignant tumours")
        yield Check("bm25: analysis", "ok", f"'malignant tumours' gives {found}")
    except BenchError as error:
        why = error.why or error.where
        yield Check("bm25", "failed", error.what + (f": {why}" if why else ""), error.hint)
        return
    if not segments_thai():
        yield Check(
            "bm25: Thai",
            "warning",
            "this Java cannot split Thai into words; the option missing_analyzer decides what happens",
            "set JAVA_HOME to a complete Java 21 (a JDK with the module jdk.localedata)",
        )
