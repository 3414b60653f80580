"""What a ranker's name says about it. Imports nothing heavy: it runs for every command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PREFIX: Final = "local:"


def match_local(name: str) -> Mapping[str, Any] | None:
    """Options for `local:PATH`, or None for other names."""
    return {"model": name} if name.startswith(PREFIX) and len(name) > len(PREFIX) else None
