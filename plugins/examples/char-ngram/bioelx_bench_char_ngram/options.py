"""Options of `char-ngram`."""

from __future__ import annotations

from pydantic import Field, model_validator

from bioelx_bench.options import Options, runtime_field


class CharNgramOptions(Options):
    """What is compared, and how."""

    min_n: int = Field(default=1, ge=1, le=8, description="Characters of the shortest pieces")
    max_n: int = Field(default=4, ge=1, le=8, description="Characters of the longest pieces")
    threads: int = runtime_field(2, ge=1, le=256, description="Blocks of mentions that are searched at once")

    @model_validator(mode="after")
    def check_lengths(self) -> CharNgramOptions:
        """Refuse lengths that leave nothing between them."""
        if self.min_n > self.max_n:
            raise ValueError(f"min_n={self.min_n} must not be above max_n={self.max_n}")
        return self
