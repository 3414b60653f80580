"""The one form in which names and mentions are compared, on both sides of every comparison."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\uffa0\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that Unicode says to ignore by default (DerivedCoreProperties, `Default_Ignorable_Code_Point`): soft
hyphens, zero-width spaces and joiners, direction marks, variation selectors, the byte order mark."""


ARABIC: Final = "[\u0620-\u06ff\u0750-\u077f]"
WORD_BREAK: Final = re.compile(f"(?<={ARABIC})\u200c(?={ARABIC})")
"""The zero-width non-joiner between letters of Arabic script, where Persian writes it or a space (so does Lucene's
`PersianCharFilter` read it); in other scripts it stands within words."""


def normalise_text(text: str) -> str:
    """A text in Unicode's form NFKC, without invisible characters and with each run of white space as one space.

    Decomposed and composed accents, full-width and half-width characters, no-break spaces, soft hyphens and
    zero-width characters look alike to a reader and become alike here. Case and accents stay.
    """
    if not text.isascii():
        # NFKC may bring forth spaces and needs a second look at neighbours once what stood between is gone.
        text = WORD_BREAK.sub(" ", unicodedata.normalize("NFKC", text))
        text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    return " ".join(text.split())


def fold_text(text: str) -> str:
    """`normalise_text` without difference of case: the form in which the surface of a mention equals a name."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = normalise_text(text).casefold()
    # Folding case can undo the composed form (`ΐ`), so that the form is made once more.
    return folded if folded.isascii() else unicodedata.normalize("NFKC", folded)
