"""Names with the endings that words have in running text.

Aliases are names in their dictionary form, and mentions are words of sentences: "enkefaliittiin" (Finnish, "into
encephalitis"), "astımdan" (Turkish, "from asthma"), "뇌염으로" (Korean, "by encephalitis"). Without a morphological
generator for every language, a name's last word gets one of its language's frequent endings, after up to two of its
letters were cut where stems change. The result is often no word, and often the right one; what it teaches is that an
ending does not make another concept. English has none here: its names are the dictionary that is searched.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

ENDINGS: Final = MappingProxyType(
    {
        "de": "e em en er es n s",
        "es": "es s",
        "fi": "a an en ia iden ien iin iksi illa in issa ista itä ja jen ksen ksesta ksi lla lle lta llä ltä n sen"
        " ssa ssä sta stä t ta tä ä",
        "ko": "가 과 나 는 도 로 를 에 에서 와 으로 은 을 의 이 이나 인",
        "ru": "а ам ами ах ая е ей ем и ией ии ию ный ного ной ные ным ных о ов ого ой ом у ы ый ые ых ю я",
        "tr": "a da dan de den dır e i ı in ın la lar ları le ler leri li lı lik lık nin nın sı si ta tan te ten u"
        " ü ya ye yi yı",
    }
)
"""Endings of cases, of the plural and of adjectives made of nouns, by language, with spaces between."""

MOST_CUT: Final = 2
SHORTEST_STEM: Final = 4
"""Letters that a stem keeps where letters are cut."""


def with_ending(name: str, language: str, generator: np.random.Generator) -> str:
    """The name with an ending of its language, or as it is where the language has none here.

    Args:
        name: A name.
        language: Its language, a two-letter code.
        generator: Decides the ending and how many letters are cut.
    """
    endings = ENDINGS.get(language, "").split()
    if not endings or not name or not name[-1].isalpha():
        return name
    cut = 0 if language == "ko" else int(generator.integers(MOST_CUT + 1))
    word = len(name) - name.rfind(" ") - 1
    stem = name[: len(name) - min(cut, max(word - SHORTEST_STEM, 0))]
    return stem + endings[int(generator.integers(len(endings)))]
