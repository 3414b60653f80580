"""Batches of pairs for the trainer: read from the mapped name table, tokenised when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench_sapbert.training.encoder import Tokens
from bioelx_bench_sapbert.training.endings import with_ending
from bioelx_bench_sapbert.training.negatives import HardNegatives
from bioelx_bench_sapbert.training.order import PairOrder
from bioelx_bench_sapbert.training.settings import TrainingSettings


class PairDataset(Dataset[tuple[int, ...]]):
    """The pairs of a whole training run in their order.

    An item is its position, the rows of a pair's two names, and those of its hard negatives.
    """

    def __init__(
        self,
        pairs: npt.NDArray[np.int32],
        order: PairOrder,
        length: int,
        negatives: HardNegatives | None = None,
    ) -> None:
        self.pairs = pairs
        self.order = order
        self.length = length
        self.negatives = negatives

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> tuple[int, ...]:
        first, second = self.pairs[self.order[position]]
        return (position, int(first), int(second), *(self.negatives[position] if self.negatives else ()))


class PairCollator:
    """Makes a batch of items: chunks of tokens, their order, and each name's concept.

    Args:
        kb: The knowledge base.
        tokens: Makes chunks of tokens.
        settings: The share of a pair's names that get an ending, and the seed of these.
    """

    def __init__(self, kb: KnowledgeBase, tokens: Tokens, settings: TrainingSettings) -> None:
        self.kb = kb
        self.tokens = tokens
        self.share, self.seed = settings.endings_share, settings.seed
        self.languages = kb.names.column("language").to_numpy()

    def __call__(self, items: Sequence[tuple[int, ...]]) -> dict[str, Any]:
        """`chunks`, `order`, `concepts` and `rows`; the names of an item are together, its pair first."""
        rows = [row for _, *rows in items for row in rows]
        texts = [text for position, *rows in items for text in self.texts(position, rows)]
        chunks, order = self.tokens.chunks(texts)
        concepts = torch.from_numpy(np.asarray(self.kb.name_concepts[rows], dtype=np.int64))
        return {"chunks": chunks, "order": order, "concepts": concepts, "rows": torch.tensor(rows)}

    def texts(self, position: int, rows: Sequence[int]) -> list[str]:
        """The names of an item; which of its pair's names get an ending follows from the position alone."""
        names = [self.kb.name_text(row) for row in rows]
        if self.share:
            generator = np.random.default_rng([self.seed, 17, position])
            for place in range(2):
                if generator.random() < self.share:
                    language = self.kb.languages[self.languages[rows[place]]]
                    names[place] = with_ending(names[place], language, generator)
        return names
