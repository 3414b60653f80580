"""From strings to padded tokens and from token vectors to one: the same for search and for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

    from bioelx_bench_sapbert.options import EncodingOptions, Pooling

Ids = npt.NDArray[np.int64]


class Tokenization:
    """Turns strings into token ids, and these into padded matrices.

    Args:
        tokenizer: The model's fast tokenizer.
        options: Prefix, length and pooling.
        lowercase: Whether strings are lowercased first.
    """

    def __init__(self, tokenizer: Any, options: EncodingOptions, *, lowercase: bool = False) -> None:
        self.tokenizer = tokenizer
        self.prefix = options.prefix
        self.max_length = options.max_length
        self.lowercase = lowercase
        self.all_places = options.pooling == "mean_all_tok"
        self.padding = int(tokenizer.pad_token_id or 0)

    def ids(self, texts: Sequence[str], prefix: str | None = None) -> list[list[int]]:
        """The token ids of each string, special ones included, cut to `max_length`; a batch is one call.

        Args:
            texts: Any number of strings; what UTF-8 cannot hold becomes a question mark.
            prefix: Put before each, in place of the options' prefix.
        """
        if not texts:
            return []
        before = self.prefix if prefix is None else prefix
        encoded = self.tokenizer(
            [
                before + (text.lower() if self.lowercase else text).encode("utf-8", "replace").decode()
                for text in texts
            ],
            add_special_tokens=True,
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def places(self, length: int, bucket: int = 1) -> int:
        """Places of a string of a length: `mean_all_tok` averages over all `max_length`, as SapBERT does.

        Args:
            length: Tokens of the string.
            bucket: Lengths are rounded up to a multiple of this, so that there are few shapes.
        """
        return self.max_length if self.all_places else min(-(-length // bucket) * bucket, self.max_length)

    def pad(self, ids: Sequence[Sequence[int]], bucket: int = 1) -> tuple[Ids, Ids]:
        """Ids and attention mask of some strings, padded to the places of the longest, both (strings, places)."""
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        mask = np.arange(self.places(int(lengths.max()), bucket)) < lengths[:, None]
        padded = np.full(mask.shape, self.padding, np.int64)
        padded[mask] = np.concatenate([np.asarray(row, np.int64) for row in ids])
        return padded, mask.astype(np.int64)


def pool(states: torch.Tensor, mask: torch.Tensor | None, pooling: Pooling) -> torch.Tensor:
    """One fp32 vector for each string.

    Args:
        states: Vectors of its tokens, shape (strings, places, dimension).
        mask: 1 for tokens and 0 for padding, shape (strings, places); None where nothing is padded.
        pooling: `cls`: the first place; `mean`: over tokens; `mean_all_tok`: over all places, padding too.
    """
    if pooling == "cls":
        return states[:, 0].float()
    states = states.float()
    if pooling == "mean_all_tok" or mask is None:
        return states.mean(1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)
