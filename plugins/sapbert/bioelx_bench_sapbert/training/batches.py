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
from bioelx_bench_sapbert.training.order import PairOrder


class PairDataset(Dataset[tuple[int, int]]):
    """The pairs of a whole training run in their order; an item is two name rows."""

    def __init__(self, pairs: npt.NDArray[np.int32], order: PairOrder, length: int) -> None:
        self.pairs = pairs
        self.order = order
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> tuple[int, int]:
        first, second = self.pairs[self.order[position]]
        return int(first), int(second)


class PairCollator:
    """Makes a batch of name-row pairs: chunks of tokens, their order, and each name's concept."""

    def __init__(self, kb: KnowledgeBase, tokens: Tokens) -> None:
        self.kb = kb
        self.tokens = tokens

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
        """`chunks`, `order`, `concepts` and `rows`; names of pair i are at 2i and 2i + 1."""
        rows = [row for pair in pairs for row in pair]
        chunks, order = self.tokens.chunks([self.kb.name_text(row) for row in rows])
        concepts = torch.from_numpy(np.asarray(self.kb.name_concepts[rows], dtype=np.int64))
        return {"chunks": chunks, "order": order, "concepts": concepts, "rows": torch.tensor(rows)}
