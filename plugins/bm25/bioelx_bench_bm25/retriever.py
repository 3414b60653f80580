"""The retriever `bm25`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioelx_bench.base import BaseRetriever, Environment, Notes
from bioelx_bench.errors import BenchError, DataError, UsageError
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_bm25.analyzers import Analyzers, make_folding_analyzer, segments_thai, unsupported
from bioelx_bench_bm25.gather import texts_at
from bioelx_bench_bm25.indexing import FORMAT, LUCENE_FOLDER, build_index, field_names, read_meta
from bioelx_bench_bm25.java import explain_java_errors, find_library, java_in_use, start_java
from bioelx_bench_bm25.options import Bm25Options
from bioelx_bench_bm25.searching import Hits, Searcher, TextQuery

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase


class Bm25Retriever(BaseRetriever):
    """BM25 (Robertson and Zaragoza 2009, as Lucene computes it) over names, collapsed to concepts.

    A concept's score is that of its best name. Equal scores are ordered by concept id, and within a concept
    by the knowledge base's order of names. Not for use from several Python threads at once.

    Args:
        options: The options.
        environment: Gives the progress display.
    """

    options: Bm25Options

    def __init__(self, options: Bm25Options, environment: Environment) -> None:
        self.options = options
        self._environment = environment
        self._library = find_library()
        start_java()
        self._process = os.getpid()
        self._analyzers = Analyzers(options.missing_analyzer)
        thai = "found" if segments_thai() else "not found"
        self.model_revision = f"{self._library.revision}, thai words {thai}"
        self._searcher: Searcher | None = None
        self._kb: KnowledgeBase | None = None
        self._name_languages: dict[str, int] = {}
        self._mention_languages: Counter[str] = Counter()

    def index_identity(self) -> Mapping[str, Any]:
        """What the index depends on; k1 and b are not part of it."""
        return {
            "format": FORMAT,
            "engine": self.model_revision,
            "fields": self.options.fields,
            "normalization": self.options.normalization,
            "missing_analyzer": self.options.missing_analyzer,
        }

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """See `bioelx_bench.base.BaseRetriever.index`."""
        self._refuse_fork()
        build_index(
            kb,
            folder,
            self.options,
            Analyzers(self.options.missing_analyzer),
            self._library.revision,
            self._environment.progress,
        )

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """See `bioelx_bench.base.BaseRetriever.open`.

        Raises:
            DataError: The index is damaged or belongs to another knowledge base.
        """
        self._refuse_fork()
        try:
            self._open(kb, folder)
        except UsageError:  # a language without an analyzer: the index is not to blame
            self.close()
            raise
        except (BenchError, ValueError) as error:
            self.close()
            raise DataError(
                "the BM25 index is damaged or belongs to another knowledge base",
                where=folder,
                why=error.why if isinstance(error, BenchError) else str(error),
                hint=f"remove the folder {folder}; the next run builds it again",
            ) from error

    def _open(self, kb: KnowledgeBase, folder: Path) -> None:
        meta = read_meta(folder)
        if (meta.kb, meta.names) != (kb.sha256, kb.name_count):
            raise ValueError(f"it was built for the knowledge base {meta.kb[:12]}, not {kb.sha256[:12]}")
        if not (folder / LUCENE_FOLDER).is_dir():
            raise ValueError(f"the folder {LUCENE_FOLDER} is missing")
        fields = field_names(self.options.fields)
        folding = make_folding_analyzer()
        with explain_java_errors("the index cannot be read", folder, "build it again"):
            self._searcher = Searcher(
                folder,
                fields,
                self._analyzers,
                folding,
                (self.options.k1, self.options.b),
                self.options.thread_count,
            )
            self._searcher.check()
        if self._searcher.names != kb.name_count:
            raise ValueError(f"it holds {self._searcher.names} names, the knowledge base {kb.name_count}")
        self._kb, self._name_languages = kb, meta.languages
        for language in meta.languages:
            self._analyzers.of(language)

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """See `bioelx_bench.base.BaseRetriever.search`.

        Raises:
            UsageError: `k` is below 1, or a mention's language has no analyzer and the policy is `error`.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}", where="--k")
        if unit not in ("concept", "name"):
            raise UsageError(f"bm25 gives concepts or names, not {unit!r}")
        self._refuse_fork()
        if self._searcher is None or self._kb is None:
            raise RuntimeError("search needs an open index: call open first")
        kb, searcher = self._kb, self._searcher
        with explain_java_errors(
            "BM25 search failed", kb.folder, "repeat; if it stays, run `bioelx-bench doctor`"
        ):
            found = self._search_rows(searcher, kb, mentions, k, unit)
        self._mention_languages.update(mention.language for mention in mentions)
        return to_candidates(kb, found)

    def _search_rows(
        self, searcher: Searcher, kb: KnowledgeBase, mentions: Sequence[Mention], k: int, unit: Unit
    ) -> list[Hits]:
        """The rows of each mention; for the unit `concept`, names are fetched until there are k concepts."""
        normalize = self.options.normalize
        queries = [TextQuery(normalize(mention.text), mention.language) for mention in mentions]
        count = k if unit == "name" else k * self.options.over_fetch
        concepts = np.asarray(kb.name_concepts)
        found: list[Hits] = [Hits(np.empty(0, np.int64), np.empty(0))] * len(queries)
        pending = list(range(len(queries)))
        while pending:
            short = []
            for place, hits in zip(
                pending, searcher.search([queries[i] for i in pending], count), strict=True
            ):
                best = hits if unit == "name" else best_names(hits, concepts, k)
                found[place] = best
                if len(best.rows) < k and len(hits.rows) == count < searcher.names:
                    short.append(place)
            pending, count = short, count * 4
        return found

    def notes(self) -> Notes:
        """What a reader of the result must know about languages.

        `mentions_without_analyzer_<language>` counts what this retriever searched; `names_without_analyzer` is
        the index's, by language.
        """
        mentions = unsupported(self._analyzers, self._mention_languages)
        return Notes(
            counts={f"mentions_without_analyzer_{language}": count for language, count in mentions.items()},
            facts={
                "java": java_in_use(),
                "names_analysed_by": ", ".join(
                    f"{language} {self._analyzers.used[language]}"
                    for language in sorted(self._name_languages)
                ),
                "names_without_analyzer": unsupported(self._analyzers, Counter(self._name_languages)),
            },
        )

    def close(self) -> None:
        """Close the index."""
        if self._searcher is not None:
            self._searcher.close()
            self._searcher = None

    def _refuse_fork(self) -> None:
        if os.getpid() != self._process:
            raise BenchError(
                "BM25 does not work in a forked process",
                why="the Java machine's threads do not survive a fork",
                hint="start worker processes with the method 'spawn', or use the option threads",
            )


def best_names(hits: Hits, concepts: npt.NDArray[np.int32], k: int) -> Hits:
    """The first hit of each concept, at most `k`, in the order of the hits.

    Since hits are ordered by score, then row, and rows by concept id, so are the concepts.
    """
    _, first = np.unique(concepts[hits.rows], return_index=True)
    first.sort()
    return Hits(hits.rows[first[:k]], hits.scores[first[:k]])


def to_candidates(kb: KnowledgeBase, found: Sequence[Hits]) -> list[list[Candidate]]:
    """Candidates from name rows; texts are read once for the whole batch."""
    rows = np.concatenate([hits.rows for hits in found]) if found else np.empty(0, np.int64)
    names = iter(texts_at(kb.names.column("text"), rows))
    concepts = iter(texts_at(kb.concepts.column("id"), kb.name_concepts[rows].astype(np.int64)))
    return [
        [Candidate(next(concepts), score, next(names)) for score in hits.scores.tolist()] for hits in found
    ]
