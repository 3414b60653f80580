"""Options of `sentence-transformers`."""

from __future__ import annotations

from pydantic import Field

from bioelx_bench.options import Options, runtime_field


class SentenceTransformersOptions(Options):
    """Which model, and how texts are put to it."""

    model: str = Field(
        description="Folder, Hub id or <source>:<model>, such as offline:e5-small", min_length=1
    )
    revision: str | None = Field(default=None, description="Revision of a model on the Hub")
    query_prefix: str = Field(default="", description="Before each mention, such as 'query: '")
    name_prefix: str = Field(default="", description="Before each name, such as 'query: '")
    batch: int = runtime_field(256, ge=1, description="Texts encoded at once")
    device: str | None = runtime_field(None, description="torch device; by default a GPU where there is one")
