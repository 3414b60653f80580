"""Hard negatives: names of other concepts that the model, as it is, takes for those of a pair.

A batch of random pairs holds few names that anyone could confuse, and none of most of the knowledge base. So every so
many steps the names that are about to be trained on are searched in a sample of the knowledge base, and some of the
nearest names of other concepts join their pairs in the batch, as in approximate nearest neighbour negative
contrastive learning (Xiong et al. 2021, ICLR), but encoded with the batch.
"""

# ruff: noqa: ARG002 - the Trainer fixes the arguments of what it calls

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bioelx_bench.errors import DataError
from bioelx_bench.files import atomic_path
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench_sapbert.training.encoder import NameEncoder, Tokens, encode_names
from bioelx_bench_sapbert.training.order import PairOrder
from bioelx_bench_sapbert.training.pairs import Pairs, language_codes
from bioelx_bench_sapbert.training.settings import TrainingSettings

DEPTH: Final = 8
"""Nearest names of other concepts among which the negatives of a pair are drawn."""

FETCHED: Final = 32
"""Nearest names that are looked at; those of the same concept and those that are spelt like it are left out."""

LEAD: Final = 2
"""Steps before a window at which its negatives are found: the trainer makes a batch while the one before it is
still to be trained on."""

SEARCHED_AT_ONCE: Final = 512
WAIT_TIMEOUT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher:
    """What the search needs of the training.

    Attributes:
        encoder: The model in training.
        tokens: Makes chunks of tokens.
        precision: `fp32`, `bf16` or `fp16`.
        progress: Where the bar is shown.
    """

    encoder: NameEncoder
    tokens: Tokens
    precision: str
    progress: Progress


class HardNegatives:
    """The hard negatives of each position of a training run, found for a window of steps at a time.

    A window's negatives are found `LEAD` steps before it begins and kept in a file, so that a training that continues
    after a stop trains on the same ones. Of several processes the first one searches and the others wait.

    Args:
        kb: The knowledge base.
        pairs: Name rows, shape (pairs, 2).
        order: The order of training.
        length: Positions of the whole run.
        settings: The settings.
        world: Number of processes.
        searcher: The model, in the process that searches; None in the others.
        folder: Where the windows' files are kept.
    """

    def __init__(
        self,
        kb: KnowledgeBase,
        pairs: Pairs,
        order: PairOrder,
        length: int,
        settings: TrainingSettings,
        world: int,
        searcher: Searcher | None,
        folder: Path,
    ) -> None:
        self.kb, self.pairs, self.order, self.length = kb, pairs, order, length
        self.settings, self.searcher, self.folder = settings, searcher, folder
        self.positions = settings.negative_steps * settings.batch_pairs * world
        self.searched = searched_names(kb, settings)
        self._window = lru_cache(maxsize=1)(self.read)

    def __getitem__(self, position: int) -> list[int]:
        """Name rows of the negatives of the pair at a position."""
        window, offset = divmod(position, self.positions)
        rows: list[int] = self._window(window)[offset, : self.wanted(position)].tolist()
        return [row for row in rows if row >= 0]

    def wanted(self, position: int) -> int:
        """How many negatives the pair at a position has: with a half a pair, every second pair has one."""
        each = self.settings.hard_negatives
        return int((position + 1) * each) - int(position * each)

    def prepare(self, step: int) -> None:
        """Find the negatives of all windows that are due after this many steps, in the process that searches."""
        due = (step + LEAD) // self.settings.negative_steps
        for window in range(min(due, (self.length - 1) // self.positions) + 1):
            path = self.path(window)
            if self.searcher is not None and not path.is_file():
                found = self.find(window)
                with atomic_path(path) as temporary, temporary.open("wb") as file:
                    np.save(file, found, allow_pickle=False)

    def path(self, window: int) -> Path:
        """The file of a window's negatives."""
        return self.folder / f"negatives-{window}.npy"

    def read(self, window: int) -> npt.NDArray[np.int32]:
        """The negatives of a window's positions, shape (positions, negatives); -1 where a pair has fewer.

        Raises:
            DataError: The first process wrote none.
        """
        path = self.path(window)
        deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
        while not path.is_file():
            if time.monotonic() > deadline:
                raise DataError("the first process wrote no hard negatives", where=path)
            time.sleep(0.2)
        loaded: npt.NDArray[np.int32] = np.load(path, allow_pickle=False)
        return loaded

    def find(self, window: int) -> npt.NDArray[np.int32]:
        """Search for a window's negatives with the model as it is."""
        assert self.searcher is not None  # noqa: S101 - only the searching process comes here
        generator = np.random.default_rng([self.settings.seed, 13, window])
        first = window * self.positions
        counts = np.array([self.wanted(p) for p in range(first, min(first + self.positions, self.length))])
        chosen = np.full((len(counts), max(counts.max(), 1)), -1, dtype=np.int32)
        searching = np.flatnonzero(counts)
        if not len(searching):
            return chosen
        pairs = np.stack([self.pairs[self.order[first + int(offset)]] for offset in searching])
        anchors, places = np.unique(self.anchors(pairs), return_inverse=True)
        pool = self.pool(generator)
        near = self.nearest(self.searcher, anchors, pool)
        names = ConceptNames(self.kb)
        for offset, place in zip(searching.tolist(), places.tolist(), strict=True):
            drawn = self.draw(int(anchors[place]), near[place], pool, int(counts[offset]), names, generator)
            chosen[offset, : len(drawn)] = drawn
        return chosen

    def draw(
        self,
        anchor: int,
        near: Sequence[int],
        pool: npt.NDArray[np.int64],
        count: int,
        names: ConceptNames,
        generator: np.random.Generator,
    ) -> list[int]:
        """`count` of the near names, filled up with others of the pool; never one of the anchor's concept.

        Where the pool has fewer names of other concepts, there are fewer.
        """
        chosen: list[int] = generator.permutation(near)[:count].tolist() if near else []
        if len(chosen) < count:
            concept = int(self.kb.name_concepts[anchor])
            own = names[concept]
            for row in generator.permutation(pool).tolist():
                if len(chosen) == count:
                    break
                foreign = self.kb.name_concepts[row] != concept and self.kb.name_text(row).lower() not in own
                if foreign and row not in chosen:
                    chosen.append(row)
        return chosen

    def anchors(self, pairs: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The name of each pair that is searched: one in a language not searched in, if either is."""
        foreign = ~self.searched[pairs]
        return pairs[np.arange(len(pairs)), np.where(foreign[:, 0] | ~foreign[:, 1], 0, 1)]

    def pool(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Rows of the names that are searched this time, ascending."""
        rows = np.flatnonzero(self.searched)
        size = self.settings.negative_pool
        if size and size < len(rows):
            rows = np.sort(generator.choice(rows, size, replace=False))
        return rows

    def nearest(
        self, searcher: Searcher, anchors: npt.NDArray[np.int32], pool: npt.NDArray[np.int64]
    ) -> list[list[int]]:
        """For each anchor the nearest names that are none of its concept's, at most `DEPTH`."""
        texts = self.texts(pool)
        concepts = np.asarray(self.kb.name_concepts[pool])
        names = ConceptNames(self.kb)
        anchor_concepts = np.asarray(self.kb.name_concepts[anchors]).tolist()
        found: list[list[int]] = []
        for block in self.search(searcher, self.texts(anchors), texts):
            for row in block:
                concept = anchor_concepts[len(found)]
                own = names[concept]
                others = [i for i in row if concepts[i] != concept and texts[i].lower() not in own]
                found.append(pool[others[:DEPTH]].tolist())
        return found

    def texts(self, rows: npt.NDArray[Any]) -> list[str]:
        """The names of these rows."""
        found: list[str] = self.kb.names.column("text").take(pa.array(rows)).to_pylist()
        return found

    def search(
        self, searcher: Searcher, anchors: Sequence[str], names: Sequence[str]
    ) -> Iterator[list[list[int]]]:
        """Places of the `FETCHED` names nearest to each anchor by cosine, block by block of anchors."""
        with searcher.progress.task(
            "Finding hard negatives", total=len(anchors) + len(names), unit="names"
        ) as bar:
            device = next(searcher.encoder.parameters()).device
            dtype = torch.bfloat16 if searcher.precision == "bf16" else torch.float32
            arguments = (searcher.encoder, searcher.tokens, searcher.precision)
            matrix = encode_names(*arguments, names).to(device, dtype)
            queries = encode_names(*arguments, anchors).to(device, dtype)
            bar.advance(len(anchors) + len(names))
            for part in torch.split(queries, SEARCHED_AT_ONCE):
                scores = part @ matrix.T
                yield scores.topk(min(FETCHED, len(names)), dim=1).indices.tolist()


class NegativesCallback(TrainerCallback):
    """Has the negatives of a window found when they are due."""

    def __init__(self, negatives: HardNegatives) -> None:
        self.negatives = negatives

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Those of the first window, and what a stop left undone."""
        self.negatives.prepare(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Those of the next window, before the step's checkpoint is written."""
        self.negatives.prepare(state.global_step)


def searched_names(kb: KnowledgeBase, settings: TrainingSettings) -> npt.NDArray[np.bool_]:
    """Which name rows are in the languages that hard negatives are looked for in.

    Raises:
        UsageError: The knowledge base has no name in one of these languages.
        DataError: There are fewer names than a pair is to have negatives.
    """
    codes = language_codes(kb, settings.negative_languages or settings.languages, "negative_languages")
    searched = np.isin(kb.names.column("language").to_numpy(), codes)
    size = min(int(searched.sum()), settings.negative_pool or len(searched))
    if size < settings.hard_negatives:
        raise DataError(
            f"there are {size} names to find {settings.hard_negatives:g} hard negatives among",
            where=f"--set hard_negatives={settings.hard_negatives:g}",
            why="the negatives of a pair are different names",
            hint="ask for fewer, raise negative_pool, or give more negative_languages",
        )
    return searched


class ConceptNames:
    """The lowercased names of concepts, of the last few thousand that were asked for."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self._of = lru_cache(maxsize=1 << 14)(self.of)

    def __getitem__(self, concept: int) -> frozenset[str]:
        return self._of(concept)

    def of(self, concept: int) -> frozenset[str]:
        """The names of a concept row."""
        start, stop = int(self.kb.name_offsets[concept]), int(self.kb.name_offsets[concept + 1])
        texts = self.kb.names.column("text").slice(start, stop - start).to_pylist()
        return frozenset(str(text).lower() for text in texts)
