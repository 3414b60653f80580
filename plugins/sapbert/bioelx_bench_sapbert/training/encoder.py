"""The encoder that is trained: a Hugging Face model with pooling, fed chunks of names sorted by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bioelx_bench.errors import MissingError
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.model_files import ModelFiles
from bioelx_bench_sapbert.model_loading import quiet_transformers
from bioelx_bench_sapbert.options import EncodingOptions
from bioelx_bench_sapbert.tokenization import Tokenization, pool
from bioelx_bench_sapbert.training.adapter import add_adapter, train_linear_layers_only
from bioelx_bench_sapbert.training.settings import Pooling, TrainingSettings

Chunk = Mapping[str, torch.Tensor]

EVALUATION_BATCH: Final = 128
"""Names encoded at once where nothing is trained."""

CPU_PASS_COST: Final = 48
CPU_BF16_PASS_COST: Final = 400
GPU_PASS_COST: Final = 16_384
"""Tokens that take as long as a pass through the model costs beside its tokens: on a CPU adding up every weight's
gradient, which in bf16 takes longer beside faster products (`benchmarks/training`), on a GPU starting kernels (an
estimate, not measured)."""


class NameEncoder(nn.Module):
    """Encodes chunks of names into one matrix, in the order of the batch.

    Args:
        model: A model whose output has `last_hidden_state`.
        pooling: `cls`, `mean` (masked) or `mean_all_tok` (unmasked).
        chunk_names: Names encoded at once at most, whose activations are not kept: each chunk is encoded again in
            the backward pass, with the same random numbers. This is gradient caching (Gao et al. 2021): the memory is
            one chunk's, for any batch. 0 keeps all activations.
    """

    def __init__(self, model: nn.Module, pooling: Pooling, *, chunk_names: int = 0) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.chunk_names = chunk_names

    def forward(self, chunks: Sequence[Chunk], order: torch.Tensor) -> torch.Tensor:
        """Vectors of all names, shape (names, dimensions), fp32; `order[i]` is the i-th vector's place."""
        parts = []
        for chunk in chunks:
            size = self.chunk_names or len(chunk["input_ids"])
            for ids, mask in zip(
                torch.split(chunk["input_ids"], size), torch.split(chunk["attention_mask"], size), strict=True
            ):
                if self.chunk_names and torch.is_grad_enabled():
                    parts.append(checkpoint(self.encode, ids, mask, use_reentrant=False))
                else:
                    parts.append(self.encode(ids, mask))
        vectors = torch.cat(parts)
        return torch.zeros_like(vectors).index_copy(0, order, vectors)

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors of one chunk, fp32."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return pool(output.last_hidden_state, attention_mask, self.pooling)


class Tokens:
    """Turns names into chunks sorted by length, with the tokens and padding that search has.

    Args:
        tokenizer: The model's tokenizer.
        settings: Lowercasing, prefix, length and pooling.
        pass_cost: Tokens that take as long to encode as a further pass through the model costs.
    """

    def __init__(self, tokenizer: Any, settings: TrainingSettings, pass_cost: int) -> None:
        self.tokenization = Tokenization(tokenizer, encoding_options(settings), lowercase=settings.lowercase)
        self.pass_cost = pass_cost

    def chunks(self, names: Sequence[str]) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        """Chunks, and the place in the batch of each of their rows."""
        ids = self.tokenization.ids(names)
        lengths = np.array([self.tokenization.places(len(row)) for row in ids])
        order = np.lexsort((np.arange(len(ids)), np.array([len(row) for row in ids])))
        chunks = []
        start = 0
        for end in chunk_ends(lengths[order].tolist(), self.pass_cost):
            padded, mask = self.tokenization.pad([ids[i] for i in order[start:end]])
            chunks.append({"input_ids": torch.from_numpy(padded), "attention_mask": torch.from_numpy(mask)})
            start = end
        return chunks, torch.from_numpy(order)


def encoding_options(settings: TrainingSettings) -> EncodingOptions:
    """How names become vectors in this training, as search's options."""
    return EncodingOptions(
        pooling=settings.pooling, normalize=True, max_length=settings.max_length, prefix=settings.prefix
    )


@torch.no_grad()
def encode_names(encoder: NameEncoder, tokens: Tokens, precision: str, names: Sequence[str]) -> torch.Tensor:
    """Normalised vectors of names with the model as it is, by search's encoder; fp32, on the CPU."""
    device = next(encoder.parameters()).device
    tokenization = tokens.tokenization
    options = EncodingOptions(
        pooling=encoder.pooling,
        normalize=True,
        max_length=tokenization.max_length,
        prefix=tokenization.prefix,
    )
    reduced = torch.float16 if precision == "fp16" else torch.bfloat16
    files = ModelFiles("the model in training", Path(), Path(), "")
    search = Encoder(
        files,
        options,
        encoder.model,
        tokenization.tokenizer,
        device,
        torch.float32,
        EVALUATION_BATCH,
        autocast=None if precision == "fp32" else reduced,
    )
    was_training = encoder.training
    encoder.eval()
    try:
        return torch.from_numpy(
            search.encode([name.lower() if tokenization.lowercase else name for name in names])
        )
    finally:
        encoder.train(was_training)


def chunk_ends(lengths: Sequence[int], pass_cost: int) -> list[int]:
    """Where chunks end so that padded tokens and passes through the model cost least together.

    Args:
        lengths: Tokens of each name, in ascending order.
        pass_cost: What a chunk costs beside its tokens, in tokens.
    """
    if not lengths:
        return []
    edges = [i for i in range(1, len(lengths)) if lengths[i] != lengths[i - 1]] + [len(lengths)]
    starts = [0, *edges[:-1]]
    best, came_from = [0], [0]
    for last, end in enumerate(edges):
        width = lengths[end - 1]
        costs = [best[i] + pass_cost + width * (end - starts[i]) for i in range(last + 1)]
        best.append(min(costs))
        came_from.append(costs.index(best[-1]))
    ends = []
    at = len(edges)
    while at:
        ends.append(edges[at - 1])
        at = came_from[at]
    return ends[::-1]


def pass_cost(device: torch.device, precision: str) -> int:
    """What a pass through the model costs beside its tokens, in tokens."""
    if device.type == "cuda":
        return GPU_PASS_COST
    return CPU_BF16_PASS_COST if precision == "bf16" else CPU_PASS_COST


def load_base(reference: str, folder: Path | None, *, offline: bool) -> tuple[nn.Module, Any]:
    """Load a model and its tokenizer from a folder, or by its id from the Hub.

    Raises:
        MissingError: It cannot be loaded.
    """
    from transformers import AutoModel, AutoTokenizer

    source = str(folder or reference)
    # torch's fused attention on a CPU is made for long texts: its backward pass takes a third of a step on names.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=offline)
            model = AutoModel.from_pretrained(
                source, local_files_only=offline, dtype=torch.float32, attn_implementation=attention
            )
    except (OSError, ValueError) as error:
        raise MissingError(
            f"the model {reference} cannot be loaded",
            where=source,
            why=str(error).splitlines()[0],
            hint="give a Hugging Face model folder, an id on the Hub, or offline:e5-small",
        ) from error
    return model, tokenizer


def prepare_model(model: Any, settings: TrainingSettings) -> nn.Module:
    """Apply dropout, freezing and adapters as the settings say."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its weights get no gradient, which several processes would stumble over
    if settings.dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
    if settings.freeze_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    if settings.lora_rank:
        adapted: nn.Module = add_adapter(model, settings.lora_rank)
        return adapted
    if settings.adapter_rank:
        train_linear_layers_only(model)
    whole: nn.Module = model
    return whole


def save_model(model: Any, tokenizer: Any, folder: Path, *, adapter: bool) -> None:
    """Write a trained model with its tokenizer, or an adapter alone, in Hugging Face's form."""
    with quiet_transformers():
        if adapter:
            model.save_pretrained(folder, save_embedding_layers=False)  # none is trained
            return
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
