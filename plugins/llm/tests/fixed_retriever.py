"""A plugin in one file: a retriever that gives every mention ten candidates at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bioelx_bench import hookimpl
from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.declarations import RetrieverSpec
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.options import NoOptions
from bioelx_bench.records import Candidate, Mention, Unit


class FixedRetriever(BaseRetriever):
    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        self._kb = kb

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        return [self._some(mention, k) for mention in mentions]

    def _some(self, mention: Mention, k: int) -> list[Candidate]:
        first = int(hashlib.sha256(mention.id.encode()).hexdigest()[:8], 16)
        rows = [(first + i) % len(self._kb) for i in range(min(k, len(self._kb)))]
        return [
            Candidate(self._kb.concept_id(row), 1.0 - place / 100, self._kb.names_of(row)[0].text)
            for place, row in enumerate(rows)
        ]


def make(options: NoOptions, environment: Environment) -> FixedRetriever:
    return FixedRetriever()


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    return [
        RetrieverSpec(
            name="fixed", summary="Ten candidates at once", factory="bioelx_bench_local_fixed_retriever:make"
        )
    ]
