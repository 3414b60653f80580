"""Text of others as it may be shown on a terminal."""

from __future__ import annotations

import re
from typing import Final

# C0 (tab and line feed excepted), DEL, C1, soft hyphen, direction marks and isolates, zero-width characters that
# move or hide text, line and paragraph separators, lone surrogates, tags, interlinear annotation
UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with each control character, escape, direction mark and lone surrogate as a visible code.

    `ESC` becomes `<U+001B>`, so that nothing in data can move the cursor, recolour or reorder what is shown.
    """
    return UNSAFE.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)
