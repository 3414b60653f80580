"""Which part of UMLS a knowledge base takes: the options, and the presets that the field's papers use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field, field_validator

from bioelx_bench.errors import UsageError
from bioelx_bench.kb import schemas
from bioelx_bench.options import Options, did_you_mean, validate_options

LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ARA": "ar",
        "BAQ": "eu",
        "BUL": "bg",
        "CAT": "ca",
        "CHI": "zh",
        "CZE": "cs",
        "DAN": "da",
        "DUT": "nl",
        "ENG": "en",
        "EST": "et",
        "FIN": "fi",
        "FRE": "fr",
        "GER": "de",
        "GRE": "el",
        "HEB": "he",
        "HUN": "hu",
        "ICE": "is",
        "ITA": "it",
        "JPN": "ja",
        "KOR": "ko",
        "LAV": "lv",
        "LIT": "lt",
        "NOR": "no",
        "POL": "pl",
        "POR": "pt",
        "RUM": "ro",
        "RUS": "ru",
        "SCR": "hr",
        "SLO": "sk",
        "SLV": "sl",
        "SPA": "es",
        "SWE": "sv",
        "TUR": "tr",
        "UKR": "uk",
    }
)
"""UMLS language codes (LAT) and the ISO 639-1 codes that knowledge bases use."""

TREE_NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "T005": "A1.1.4",
        "T007": "A1.1.2",
        "T017": "A1.2",
        "T022": "A2.1.4.1",
        "T031": "A1.4.2",
        "T033": "A2.2",
        "T037": "B2.3",
        "T038": "B2.2.1",
        "T058": "B1.3.1",
        "T062": "B1.3.2",
        "T074": "A1.3.1",
        "T082": "A2.1.5",
        "T091": "A2.6.1",
        "T092": "A2.7",
        "T097": "A2.9.1",
        "T098": "A2.9.2",
        "T103": "A1.4.1",
        "T168": "A1.4.3",
        "T170": "A2.4",
        "T201": "A2.3.1",
        "T204": "A1.1.3",
    }
)
"""Semantic network tree numbers (STN) of the 21 types of MedMentions ST21pv, needed where no concept of a
release bears the type itself but concepts bear its descendants. MRSTY gives those of all others."""


class UmlsFilter(Options):
    """What to take from a release. Empty `languages` and `sources` and `semantic_types` take all."""

    languages: tuple[str, ...] = Field((), description="ISO 639 codes of the names' languages; empty: all")
    sources: tuple[str, ...] = Field((), description="UMLS source abbreviations (SAB); empty: all")
    suppressible: tuple[str, ...] = Field(
        (), description="SUPPRESS flags of names to take beside unflagged ones: E, O, Y"
    )
    semantic_types: tuple[str, ...] = Field(
        (), description="TUIs, with + for a type and all its descendants; empty: all"
    )
    trade_names: bool = Field(
        False, description="Add names of trade-name concepts to the generic concept (MRREL)"
    )
    definitions: bool = Field(True, description="Read definitions (MRDEF)")

    @field_validator("suppressible")
    @classmethod
    def _known_flags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for flag in value:
            if flag not in {"E", "O", "Y"}:
                raise ValueError(f"SUPPRESS has the flags E, O and Y, not {flag!r}")
        return tuple(sorted(set(value)))

    @field_validator("semantic_types")
    @classmethod
    def _well_formed_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if why := schemas.validation_error("tui", item.removesuffix("+")):
                raise ValueError(f"{item!r}: {why}")
        return tuple(sorted(set(value)))

    @field_validator("languages")
    @classmethod
    def _well_formed_languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if why := schemas.validation_error("language", item):
                raise ValueError(f"{item!r}: {why}")
        return tuple(sorted(set(value)))

    @field_validator("sources")
    @classmethod
    def _sorted_sources(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(value)))


XL_BEL: Final = UmlsFilter(languages=("de", "en", "es", "fi", "ja", "ko", "ru", "tr", "zh"))
"""XL-BEL (Liu et al. 2021): the whole Metathesaurus in its ten languages, of which UMLS has no Thai."""

MANTRA: Final = UmlsFilter(languages=("en",), sources=("MDR", "MSH", "SNOMEDCT_US"))
"""Mantra GSC: the corpus's three terminologies in English, as its English-only evaluations use them."""

ST21PV: Final = UmlsFilter(
    languages=("en",),
    sources=(
        "CPT",
        "FMA",
        "GO",
        "HGNC",
        "HPO",
        "ICD10",
        "ICD10CM",
        "ICD9CM",
        "MDR",
        "MSH",
        "MTH",
        "NCBI",
        "NCI",
        "NDDF",
        "NDFRT",
        "OMIM",
        "RXNORM",
        "SNOMEDCT_US",
    ),
    semantic_types=tuple(f"{tui}+" for tui in TREE_NUMBERS),
)
"""MedMentions ST21pv (Mohan and Li 2019): 18 sources, 21 semantic types with their descendants."""

SAPBERT: Final = UmlsFilter(languages=("en",), suppressible=("E", "O", "Y"), trade_names=True)
"""SapBERT (Liu et al. 2021): every English row, with trade names. (Lowercasing is the retriever's.)"""

PRESETS: Final[Mapping[str, UmlsFilter]] = MappingProxyType(
    {"xl-bel": XL_BEL, "mantra": MANTRA, "st21pv": ST21PV, "sapbert": SAPBERT}
)
"""Filters by the name that `--preset` takes."""


def choose(preset: str | None, values: Mapping[str, Any]) -> UmlsFilter:
    """A filter from a preset and the options that win over it.

    Raises:
        UsageError: The preset is unknown, or an option's value is not valid.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(
            f"unknown preset {preset!r}{did_you_mean(preset, list(PRESETS))}", where=f"--preset {preset}"
        )
    base = PRESETS[preset] if preset is not None else UmlsFilter()
    return validate_options(UmlsFilter, {**base.model_dump(), **values}, "kb build umls", "option")
