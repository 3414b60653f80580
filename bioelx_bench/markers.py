"""The pluggy marker with which plugins mark their hook implementations."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT: Final = "bioelx_bench"
"""pluggy project name and entry point group."""

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
