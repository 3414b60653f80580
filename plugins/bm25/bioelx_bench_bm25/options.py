"""Options of the retriever `bm25`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from bioelx_bench.options import Options, runtime_field
from bioelx_bench.text import normalise_text

MissingAnalyzer = Literal["standard", "error"]
Fields = Literal["language", "folded", "both"]
Normalization = Literal["nfkc", "none"]


def usable_cores() -> int:
    """Cores this process may use, at most eight: beyond that, the crossing to Java is the limit."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


class Bm25Options(Options):
    """Options of BM25. The defaults of `k1` and `b` are Pyserini's."""

    k1: float = Field(
        0.9, ge=0, le=100, allow_inf_nan=False, description="BM25: how soon repetition saturates"
    )
    b: float = Field(0.4, ge=0, le=1, description="BM25: how much long names are held back")
    fields: Fields = Field(
        "language",
        description="what is matched: words as the language's analyzer gives them, words in lower case "
        "without accents whatever the language, or the sum of both",
    )
    normalization: Normalization = Field(
        "nfkc",
        description="what is done to names and mentions alike before they are analysed: Unicode's form NFKC without "
        "invisible characters (soft hyphens, zero-width spaces), or nothing",
    )
    missing_analyzer: MissingAnalyzer = Field(
        "standard",
        description="for a language Lucene has no analyzer for: take the language-independent one and report "
        "it, or stop",
    )
    over_fetch: int = runtime_field(
        4,
        ge=1,
        le=1000,
        description="names fetched at first for each wanted concept; more are fetched as needed",
    )
    threads: int = runtime_field(
        0, ge=0, le=256, description="threads that search; 0 takes the cores that are there, at most eight"
    )

    @property
    def normalize(self) -> Callable[[str], str]:
        """What is done to names and mentions before they are analysed."""
        return normalise_text if self.normalization == "nfkc" else str

    @property
    def thread_count(self) -> int:
        """Threads to search with."""
        return self.threads or usable_cores()
