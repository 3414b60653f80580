"""Names of the averages in a result's `scores`, apart from the code that computes them, which is slow to import."""

from __future__ import annotations

from typing import Final

MACRO: Final = "macro"
MICRO: Final = "micro"
AVERAGES: Final = (MACRO, MICRO)
