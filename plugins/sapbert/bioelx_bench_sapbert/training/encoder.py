"""The encoder that is trained: a Hugging Face model with pooling, fed chunks of names sorted by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bioelx_bench.errors import MissingError
from bioelx_bench_sapbert.loading import quiet_transformers
from bioelx_bench_sapbert.training.settings import Pooling, TrainingSettings

Chunk = Mapping[str, torch.Tensor]

LORA_TARGETS: Final = "all-linear"


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
    """Turns names into chunks: normalised, cut to `max_length` tokens, sorted by length, padded to the chunk."""

    def __init__(self, tokenizer: Any, settings: TrainingSettings) -> None:
        self.tokenizer = tokenizer
        self.lowercase = settings.lowercase
        self.prefix = settings.prefix
        self.max_length = settings.max_length
        self.chunk_names = settings.chunk_names
        self.padding = int(tokenizer.pad_token_id or 0)

    def chunks(self, names: Sequence[str]) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        """Chunks of `chunk_names` names, and the place in the batch of each of their rows."""
        texts = [self.prefix + (n.lower() if self.lowercase else n) for n in names]
        ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
        chunks = [
            self.pad([ids[i] for i in order[at : at + self.chunk_names]])
            for at in range(0, len(order), self.chunk_names)
        ]
        return chunks, torch.tensor(order)

    def pad(self, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """One chunk, padded to its longest name."""
        longest = max(map(len, ids))
        rows = torch.tensor([[*row, *[self.padding] * (longest - len(row))] for row in ids])
        lengths = torch.tensor([len(row) for row in ids])
        return {"input_ids": rows, "attention_mask": (torch.arange(longest) < lengths[:, None]).long()}


def load_base(reference: str, folder: Path | None, *, offline: bool) -> tuple[nn.Module, Any]:
    """Load a model and its tokenizer from a folder, or by its id from the Hub.

    Raises:
        MissingError: It cannot be loaded.
    """
    from transformers import AutoModel, AutoTokenizer

    source = str(folder or reference)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=offline)
            model = AutoModel.from_pretrained(source, local_files_only=offline, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"the model {reference} cannot be loaded",
            where=source,
            why=str(error).splitlines()[0],
            mend="give a Hugging Face model folder, an id on the Hub, or offline:e5-small",
        ) from error
    return model, tokenizer


def prepare_model(model: Any, settings: TrainingSettings) -> nn.Module:
    """Apply dropout, freezing, gradient checkpointing and LoRA as the settings say."""
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
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=settings.lora_rank,
            lora_alpha=settings.lora_alpha or settings.lora_rank,
            target_modules=LORA_TARGETS,
            lora_dropout=0.0,
            bias="none",
        )
        adapted: nn.Module = get_peft_model(model, config)
        return adapted
    whole: nn.Module = model
    return whole
