"""LoRA adapters: trained as such, or taken from linear layers that were trained whole."""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
from torch import nn

LORA_TARGETS: Final = "all-linear"


def add_adapter(model: Any, rank: int) -> Any:
    """Put a LoRA adapter beside every linear layer; only the adapter is trainable afterwards.

    Args:
        model: A transformers model, which is changed.
        rank: Rank of each layer's two factors, and LoRA's alpha, so that their product is what is added.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_TARGETS, lora_dropout=0.0, bias="none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about names between peft and transformers
        return get_peft_model(model, config)


def train_linear_layers_only(model: nn.Module) -> None:
    """Leave only the matrices of linear layers trainable: what an adapter can hold."""
    model.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.requires_grad_(True)


@torch.no_grad()
def extract_adapter(base: Any, trained: nn.Module, rank: int) -> tuple[Any, float]:
    """The best adapter of a rank for the change of linear layers that were trained whole.

    The truncated singular value decomposition is the nearest matrix of that rank (Eckart and Young 1936). Training
    the layers whole and cutting afterwards is quicker than training an adapter, whose small products cost more
    than the gradients they spare on names.

    Args:
        base: The model before training, which is changed.
        trained: The same model after training.
        rank: Rank of each layer's two factors.

    Returns:
        The base with the adapter, and the share of the squared change that it keeps.
    """
    from peft.tuners.lora import LoraLayer

    adapted = add_adapter(base, rank)
    after = dict(trained.named_modules())
    kept = total = 0.0
    for name, module in adapted.base_model.model.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        layer: Any = module
        whole: Any = after[name]
        change = (whole.weight.cpu() - layer.get_base_layer().weight.cpu()).double()
        left, sizes, right = torch.linalg.svd(change, full_matrices=False)
        at_most = min(rank, len(sizes))
        root = sizes[:at_most].sqrt()
        first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        first.zero_()
        second.zero_()
        first[:at_most] = (root[:, None] * right[:at_most]).to(first)
        second[:, :at_most] = (left[:, :at_most] * root).to(second)
        kept += float((sizes[:at_most] ** 2).sum())
        total += float((sizes**2).sum())
    return adapted, kept / total if total else 1.0
