"""A complete plugin in one file: a retriever that matches words and a ranker that reads the context.

Both are real, if simple: the retriever scores names by the words (and parts of words) they share with the
mention, the ranker prefers candidates whose names share words with the context.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bioelx_bench import hookimpl
from bioelx_bench.base import BaseRanker, BaseRetriever, Environment, Notes
from bioelx_bench.declarations import RankerSpec, RetrieverSpec
from bioelx_bench.errors import DataError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.options import Options, runtime_field
from bioelx_bench.records import Candidate, Mention, Ranking, Unit, Usage


class WordOptions(Options):
    """Options of the retriever."""

    size: int = 3
    pause: float = runtime_field(0.0, description="seconds to wait for each batch", ge=0)


def pieces(text: str, size: int) -> set[str]:
    padded = f" {' '.join(text.casefold().split())} "
    return {padded[i : i + size] for i in range(max(1, len(padded) - size + 1))}


class WordRetriever(BaseRetriever):
    """Scores a name by the Dice coefficient of its character n-grams with the mention's."""

    model_revision = "1"
    units = ("concept", "name")

    def __init__(self, options: WordOptions, environment: Environment) -> None:
        self.options = options
        self.searched = 0

    def index_identity(self) -> Mapping[str, Any]:
        return {"size": self.options.size}

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        postings: dict[str, list[int]] = defaultdict(list)
        row = 0
        for batch in kb.name_batches(["text"]):
            for text in batch.column(0).to_pylist():
                for piece in pieces(text, self.options.size):
                    postings[piece].append(row)
                row += 1
        (folder / "postings.json").write_text(json.dumps(postings))

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        self.kb = kb
        path = folder / "postings.json"
        try:
            self.postings = json.loads(path.read_text())
        except ValueError as error:
            raise DataError("the index of words is damaged", where=path, why=str(error)) from error

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        time.sleep(self.options.pause)
        self.searched += len(mentions)
        return [self.one(m.text, k, unit) for m in mentions]

    def one(self, text: str, k: int, unit: Unit) -> list[Candidate]:
        asked = pieces(text, self.options.size)
        shared: dict[int, int] = defaultdict(int)
        for piece in asked:
            for row in self.postings.get(piece, ()):
                shared[row] += 1
        found: list[tuple[float, str, int]] = []
        for row, count in shared.items():
            name = self.kb.name_text(row)
            score = 2 * count / (len(asked) + len(pieces(name, self.options.size)))
            found.append((-score, self.kb.concept_id(int(self.kb.name_concepts[row])), row))
        candidates: list[Candidate] = []
        seen: set[str] = set()
        for score, concept, row in sorted(found):
            if unit == "concept" and concept in seen:
                continue
            seen.add(concept)
            candidates.append(Candidate(concept, -score, self.kb.name_text(row)))
            if len(candidates) == k:
                break
        return candidates

    def notes(self) -> Notes:
        return Notes(counts={"searched": self.searched}, facts={"matching": "character n-grams"})


class ContextRanker(BaseRanker):
    """Orders candidates by the words their names share with the context, then by the retriever's order."""

    model_revision = "1"

    def __init__(self, options: Options, environment: Environment) -> None:
        self.environment = environment

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        stop = os.environ.get("WORD_PLUGIN_STOP_AT")
        if stop and mention.id >= stop:
            raise KeyboardInterrupt
        words = set(mention.document.text.casefold().split())
        shared = [len(words & set(c.name.casefold().split())) for c in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -shared[i])
        fallbacks = {} if any(shared) or not candidates else {"no_overlap": 1}
        return Ranking(
            mention.id,
            tuple(candidates[i] for i in order),
            evidence=tuple(float(shared[i]) for i in order),
            status="partial" if fallbacks else "ok",
            usage=Usage(1, len(words), 1, 0.001),
            fallbacks=fallbacks,
        )


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    here = __name__
    return [
        RetrieverSpec(
            name="words",
            summary="Character n-grams",
            factory=f"{here}:WordRetriever",
            options=f"{here}:WordOptions",
            units=("concept", "name"),
        )
    ]


@hookimpl
def rankers() -> list[RankerSpec]:
    return [RankerSpec(name="context", summary="Words of the context", factory=f"{__name__}:ContextRanker")]
