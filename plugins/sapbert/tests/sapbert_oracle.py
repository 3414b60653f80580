"""SapBERT's XL-BEL evaluation, written straightforwardly from its description: the oracle of the protocol.

Facts: the paper (Liu et al. 2021, arXiv 2105.14398) and its evaluation's behaviour: names lowercased, mentions not,
25 tokens, fp32 dot products, places are name rows, parts split on `+` and `|` must all hit, a hit is any shared
CUI, every query counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel, AutoTokenizer

Vectors = npt.NDArray[np.float32]
BATCH = 256
NOTHING = np.empty(0, np.int64)


class PlainEncoder:
    """Fixed order, padded to 25 tokens, fp32, batches of 256, mean over the real tokens or the first one."""

    def __init__(self, folder: Path, pooling: str) -> None:
        self.model: Any = AutoModel.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.pooling = pooling

    def encode(self, texts: list[str]) -> Vectors:
        vectors = []
        for start in range(0, len(texts), BATCH):
            batch = self.tokenizer(
                texts[start : start + BATCH],
                padding="max_length",
                truncation=True,
                max_length=25,
                return_tensors="pt",
                return_token_type_ids=False,
            )
            with torch.no_grad():
                states = self.model(**batch).last_hidden_state
            mask = batch["attention_mask"][:, :, None]
            pooled = states[:, 0] if self.pooling == "cls" else (states * mask).sum(1) / mask.sum(1)
            vectors.append(pooled.numpy())
        return np.concatenate(vectors)


@dataclass
class Accuracy:
    """Mentions that hit at 1 and 5 for certain, and those whose hit an unstable sort leaves open.

    `seconds` is what the procedure itself took: encoding a part, its products, and finding the best five.
    """

    queries: int = 0
    seconds: float = 0.0
    hits: dict[int, int] = field(default_factory=lambda: {1: 0, 5: 0})
    open: dict[int, list[int]] = field(default_factory=lambda: {1: [], 5: []})

    def bounds(self, k: int) -> tuple[float, float]:
        """Least and greatest accuracy, however ties are sorted."""
        return self.hits[k] / self.queries, (self.hits[k] + len(self.open[k])) / self.queries


def evaluate(
    encoder: PlainEncoder,
    dictionary: Mapping[str, npt.NDArray[np.int64]],
    names: Vectors,
    queries: list[tuple[str, str]],
    tolerance: float = 2e-6,
) -> Accuracy:
    """Acc@1 and acc@5.

    Args:
        encoder: The encoder.
        dictionary: Name rows of each CUI.
        names: Vectors of the lowercased names.
        queries: Mentions as (string, CUIs joined by `|`).
        tolerance: Relative difference below which two scores may swap places by the order of summation.
    """
    accuracy = Accuracy(len(queries))
    for number, (mention, gold) in enumerate(queries):
        wanted = set(gold.split("|"))
        certain, possible = {1: True, 5: True}, {1: True, 5: True}
        for part in re.split(r"[+|]", mention):
            start = time.perf_counter()
            scores = (encoder.encode([part]) @ names.T)[0]
            best = np.argpartition(-scores, 5)[:5] if len(scores) > 5 else np.arange(len(scores))
            edges = np.sort(scores[best])[::-1]
            accuracy.seconds += time.perf_counter() - start
            right = np.zeros(len(scores), bool)
            for cui in wanted:
                right[dictionary.get(cui, NOTHING)] = True
            for k in (1, 5):
                edge = edges[min(k, len(edges)) - 1]
                slack = tolerance * abs(float(edge))
                ahead = np.flatnonzero(scores > edge + slack)
                close = np.flatnonzero(np.abs(scores - edge) <= slack)
                sure = bool(right[ahead].any()) or bool(right[close].all())
                certain[k] &= sure
                possible[k] &= sure or bool(right[close].any())
        for k in (1, 5):
            accuracy.hits[k] += certain[k]
            if possible[k] and not certain[k]:
                accuracy.open[k].append(number)
    return accuracy
