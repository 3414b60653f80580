"""The encoder that is trained: a Hugging Face model with pooling, fed chunks of names sorted by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bioelx_bench.errors import MissingError
from bioelx_bench.progress import Task
from bioelx_bench_sapbert.loading import quiet_transformers
from bioelx_bench_sapbert.training.adapter import add_adapter, train_linear_layers_only
from bioelx_bench_sapbert.training.settings import Pooling, TrainingSettings

Chunk = Mapping[str, torch.Tensor]

ENCODED_AT_ONCE: Final = 2048
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
        recompute: Keep no activations and encode each chunk again in the backward pass, with the same random
            numbers. This is gradient caching (Gao et al. 2021): the memory is one chunk's, for any batch.
    """

    def __init__(self, model: nn.Module, pooling: Pooling, *, recompute: bool = False) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.recompute = recompute

    def forward(self, chunks: Sequence[Chunk], order: torch.Tensor) -> torch.Tensor:
        """Vectors of all names, shape (names, dimensions), fp32; `order[i]` is the i-th vector's place."""
        if self.recompute and torch.is_grad_enabled():
            parts = [
                checkpoint(self.encode, c["input_ids"], c["attention_mask"], use_reentrant=False)
                for c in chunks
            ]
        else:
            parts = [self.encode(c["input_ids"], c["attention_mask"]) for c in chunks]
        vectors = torch.cat(parts)
        return torch.zeros_like(vectors).index_copy(0, order, vectors)

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors of one chunk, fp32."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        hidden: torch.Tensor = output.last_hidden_state.float()
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "mean_all_tok":
            return hidden.mean(1)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1)


class Tokens:
    """Turns names into chunks: normalised, cut to `max_length` tokens, sorted by length, padded to the chunk.

    Args:
        tokenizer: The model's tokenizer.
        settings: Lowercasing, prefix, length and the greatest chunk.
        pass_cost: Tokens that take as long to encode as a further pass through the model costs.
    """

    def __init__(self, tokenizer: Any, settings: TrainingSettings, pass_cost: int) -> None:
        self.tokenizer = tokenizer
        self.lowercase = settings.lowercase
        self.prefix = settings.prefix
        self.max_length = settings.max_length
        self.chunk_names = settings.chunk_names
        self.padding = int(tokenizer.pad_token_id or 0)
        self.pass_cost = pass_cost

    def chunks(self, names: Sequence[str]) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        """Chunks of at most `chunk_names` names, and the place in the batch of each of their rows."""
        texts = [self.prefix + (n.lower() if self.lowercase else n) for n in names]
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
        chunks = []
        start = 0
        for end in chunk_ends([len(ids[i]) for i in order], self.pass_cost):
            step = self.chunk_names or end - start
            chunks += [
                self.pad([ids[i] for i in order[at : min(at + step, end)]]) for at in range(start, end, step)
            ]
            start = end
        return chunks, torch.tensor(order)

    def pad(self, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """One chunk, padded to its longest name."""
        longest = max(map(len, ids))
        rows = torch.tensor([[*row, *[self.padding] * (longest - len(row))] for row in ids])
        lengths = torch.tensor([len(row) for row in ids])
        return {"input_ids": rows, "attention_mask": (torch.arange(longest) < lengths[:, None]).long()}


@torch.no_grad()
def encode_names(
    encoder: NameEncoder, tokens: Tokens, precision: str, names: Sequence[str], bar: Task | None = None
) -> torch.Tensor:
    """Normalised vectors of names with the model as it is, shape (names, dimensions), fp32, on the CPU."""
    device = next(encoder.parameters()).device
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    order = sorted(range(len(names)), key=lambda i: len(names[i]))
    parts = []
    was_training = encoder.training
    encoder.eval()
    with torch.autocast(device.type, dtype=dtype, enabled=precision != "fp32"):
        for start in range(0, len(order), ENCODED_AT_ONCE):
            part = order[start : start + ENCODED_AT_ONCE]
            chunks, places = tokens.chunks([names[i] for i in part])
            moved = [{key: value.to(device) for key, value in chunk.items()} for chunk in chunks]
            parts.append(encoder(moved, places.to(device)).float().cpu())
            if bar is not None:
                bar.advance(len(part))
    encoder.train(was_training)
    vectors = torch.nn.functional.normalize(torch.cat(parts), dim=-1)
    return torch.zeros_like(vectors).index_copy(0, torch.tensor(order), vectors)


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
    """Apply dropout, freezing, gradient checkpointing and adapters as the settings say."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its weights get no gradient, which several processes would stumble over
    if settings.dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
    if settings.freeze_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if settings.lora_rank:
            model.enable_input_require_grads()
    if settings.lora_rank:
        adapted: nn.Module = add_adapter(model, settings.lora_rank, settings.lora_alpha)
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
