"""LoRA adapters that come in this package; each folder is what `bioelx-bench train sapbert-x` wrote."""

from __future__ import annotations

from pathlib import Path

from bioelx_bench.base import Environment
from bioelx_bench.errors import MissingError


def sapbert_x_mini(_environment: Environment) -> Path:
    """The folder of `offline:sapbert-x-mini`, an adapter of `offline:e5-small`.

    Raises:
        MissingError: This installation lacks it.
    """
    folder = Path(__file__).parent / "sapbert_x_mini"
    if not (folder / "adapter_model.safetensors").is_file():
        raise MissingError(
            "this installation lacks the embedded adapter",
            where=folder,
            hint="pip install --force-reinstall bioelx-bench-offline, or -R model=offline:e5-small -R pooling=mean",
        )
    return folder
