"""Options of `edit-distance`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bioelx_bench.options import Options, runtime_field


class EditDistanceOptions(Options):
    """What is compared, and how."""

    scorer: Literal["ratio", "token_sort_ratio", "WRatio"] = Field(
        default="ratio", description="RapidFuzz's scorer: characters, sorted words, or the best of several"
    )
    cutoff: float = Field(default=40.0, ge=0, le=100, description="Least score of a candidate, of 100")
    threads: int = runtime_field(2, ge=1, le=256, description="Threads that compare")
