"""Options of `cross-encoder`."""

from __future__ import annotations

from pydantic import Field

from bioelx_bench.options import Options, runtime_field


class CrossEncoderOptions(Options):
    """Which model, and what it is shown."""

    model: str = Field(description="Folder, Hub id or <source>:<model> of a CrossEncoder", min_length=1)
    revision: str | None = Field(default=None, description="Revision of a model on the Hub")
    window: int = Field(
        default=120, ge=0, description="Characters of context at each side; 0 for the mention alone"
    )
    aliases: int = Field(default=2, ge=0, description="Further names shown of a candidate")
    batch: int = runtime_field(64, ge=1, description="Pairs scored at once")
    device: str | None = runtime_field(None, description="torch device; by default a GPU where there is one")
