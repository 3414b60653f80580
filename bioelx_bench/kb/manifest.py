"""The manifest of a knowledge base folder: what it holds and where it comes from."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from bioelx_bench.schemes import UMLS

FORMAT: Final = 2


class SourceFile(BaseModel):
    """A file a knowledge base was made from."""

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    release: str | None = None
    licence: str | None = None


class KbManifest(BaseModel):
    """What a knowledge base holds and where it comes from.

    Attributes:
        id_scheme: Scheme of the concept ids, or the pattern that they match.
        sha256: Hash of the content (concepts, names, definitions, types), whatever the layout of files.
        counts: Names by `language:<code>` and `source:<name>`, and whatever the builder dropped or merged.
        filters: The options it was built with.
        definition_order: Sources whose definitions come first within a concept, best first.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    id_scheme: str = UMLS.name
    sha256: str
    concepts: int
    names: int
    definitions: int
    languages: list[str]
    sources: list[str]
    files: list[SourceFile]
    filters: dict[str, Any]
    definition_order: list[str] = []
    counts: dict[str, int]
    software: dict[str, str]
