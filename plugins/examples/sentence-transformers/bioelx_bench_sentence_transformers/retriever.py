"""Cosine similarity of embeddings, exact, over any model that sentence-transformers loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.errors import MissingError
from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.models import resolve_model
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_sentence_transformers.options import SentenceTransformersOptions

FILE: Final = "embeddings.npy"
NAME_ROWS: Final = 65_536
"""Names that are compared at once, which bounds memory."""

DECIMALS: Final = 4
"""Scores are rounded to what does not depend on the shape of a batch, so that ties are ties."""


class SentenceTransformersRetriever(BaseRetriever):
    """Finds the names whose embeddings are nearest to the mention's."""

    units: tuple[Unit, ...] = ("concept", "name")

    def __init__(self, options: SentenceTransformersOptions, environment: Environment) -> None:
        from sentence_transformers import SentenceTransformer

        self._options = options
        self._progress = environment.progress
        folder = resolve_model(options.model, environment)
        if folder is None and environment.offline:
            raise MissingError(
                f"the model {options.model!r} would have to be downloaded",
                where="-R model=",
                why="--offline allows no connection",
                hint="give the folder of a model, or run once without --offline",
            )
        self._model = SentenceTransformer(
            str(folder or options.model), revision=options.revision, device=options.device
        )
        self.model_revision = options.revision if folder is None else hash_folder(folder)

    def index_identity(self) -> Mapping[str, Any]:
        """What is put before names."""
        return {"name_prefix": self._options.name_prefix}

    def encode(self, texts: Sequence[str], prefix: str) -> npt.NDArray[np.float32]:
        """Unit vectors of texts, shape (texts, dimension)."""
        whole = [prefix + text[:1000].encode("utf-8", "replace").decode("utf-8") for text in texts]
        vectors: npt.NDArray[np.float32] = self._model.encode(
            whole, batch_size=self._options.batch, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Encode every name."""
        size = self.encode([""], "").shape[1]
        vectors = np.lib.format.open_memmap(
            folder / FILE, mode="w+", dtype=np.float32, shape=(kb.name_count, size)
        )
        done = 0
        with self._progress.task("Encoding names", total=kb.name_count, unit="names") as task:
            for batch in kb.name_batches(["text"]):
                vectors[done : done + len(batch)] = self.encode(
                    batch.column("text").to_pylist(), self._options.name_prefix
                )
                done += len(batch)
                task.advance(len(batch))
        vectors.flush()

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Map the embeddings into memory."""
        self._kb = kb
        self._concepts = np.asarray(kb.name_concepts)
        self._vectors = np.load(folder / FILE, mmap_mode="r")

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """The `k` best of each mention."""
        if not mentions:
            return []
        queries = self.encode([mention.text for mention in mentions], self._options.query_prefix)
        scores = np.concatenate(
            [queries @ self._vectors[i : i + NAME_ROWS].T for i in range(0, len(self._vectors), NAME_ROWS)],
            axis=1,
        )
        return [self._best(row, k, unit) for row in np.round(scores, DECIMALS)]

    def _best(self, scores: npt.NDArray[np.float32], k: int, unit: Unit) -> list[Candidate]:
        """The best of one mention; name rows are in order of concept id, as ties must be."""
        wanted = k if unit == "name" else 4 * k
        while True:
            least = np.partition(scores, -wanted)[-wanted] if wanted < len(scores) else -np.inf
            rows = np.flatnonzero(scores >= least)
            rows = rows[np.lexsort((rows, -scores[rows]))]
            if unit == "concept":
                _, first = np.unique(self._concepts[rows], return_index=True)
                rows = rows[np.sort(first)]
            if len(rows) >= k or wanted >= len(scores):
                break
            wanted *= 4
        return [
            Candidate(
                self._kb.concept_id(int(self._concepts[row])),
                float(scores[row]),
                self._kb.name_text(int(row)),
            )
            for row in rows[:k]
        ]


def hash_folder(folder: Path) -> str:
    """Hash of the files of a model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hash_json({str(path.relative_to(folder)): hash_file(path) for path in files})
