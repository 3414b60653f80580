"""How many mentions each corpus holds, as its publication or repository says, to verify what was parsed.

Sources: XL-BEL's paper (1,000 a language); the Mantra corpus's files, whose sum is the 5,530 of its paper;
MedMentions' README files; the README of the repository with the WikiMed-DE queries; for `wikimed-de`, its paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EMEA: Final = {"en": 433, "fr": 431, "de": 425, "es": 432, "nl": 434}
PATENT: Final = {"en": 353, "fr": 342, "de": 348}
MEDLINE: Final = {"en": 1177, "fr": 279, "de": 309, "es": 324, "nl": 243}
XL_BEL: Final = dict.fromkeys(("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th"), 1000)

MENTIONS: Final[Mapping[tuple[str, str, str], Mapping[str, int]]] = {
    ("xl-bel", "v1.0", "test"): XL_BEL,
    ("xl-bel", "v0.0", "test"): XL_BEL,
    ("emea", "2015", "test"): EMEA,
    ("patent", "2015", "test"): PATENT,
    ("mantra", "2015", "test"): {
        **{f"emea-{language}": count for language, count in EMEA.items()},
        **{f"patent-{language}": count for language, count in PATENT.items()},
        **{f"medline-{language}": count for language, count in MEDLINE.items()},
    },
    ("medmentions", "full", "all"): {"en": 352_496},
    ("medmentions", "st21pv", "all"): {"en": 203_282},
    ("medmentions", "st21pv", "test"): {"en": 40_157},
    ("medmentions", "sample", "all"): {"en": 760},
    ("medmentions", "token-per-line", "dev"): {"en": 67_030},
    ("wikimed-de", "bel", "all"): {"de": 413_913},
    ("wikimed-de", "queries", "train"): {"de": 79_904},
    ("wikimed-de", "queries", "dev"): {"de": 19_561},
    ("wikimed-de", "queries", "test"): {"de": 19_203},
}
"""Mentions by dataset, revision and split, then by subset."""


def expected_mentions(dataset: str, revision: str, split: str, subset: str) -> int | None:
    """The number of mentions that a subset must have, or None where no publication says it."""
    return MENTIONS.get((dataset, revision, split), {}).get(subset)
