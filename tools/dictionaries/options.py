"""Options of the source `dictionary`."""

from __future__ import annotations

from bioelx_bench_aliases.options import LanguageOptions
from pydantic import Field


class DictionaryOptions(LanguageOptions):
    """Options of `dictionary`."""

    files: str = Field(
        description="Dictionaries, commas between: dictd's NAME.index (FreeDict), EDICT's edict, hanja.txt."
    )
    kb: str = Field("open", description="Knowledge base whose names join the entries: NAME or FOLDER.")
    source_language: str | None = Field(
        None, description="Language of the headwords; by default told by each file's name."
    )
    target_language: str | None = Field(
        None, description="Language of the translations; by default told by each file's name."
    )
    source: str | None = Field(None, description="Name of the source; by default each file's own.")
    max_concepts: int = Field(1, ge=1, description="A name that more concepts bear joins nothing.")
    max_senses: int = Field(
        1, ge=1, description="A name that a dictionary has with more senses joins nothing."
    )
    max_words: int = Field(4, ge=1, description="Longer translations are descriptions, not names.")
    compose: bool = Field(
        True, description="Read Japanese names as several words of hanja.txt, where it has not the whole."
    )
