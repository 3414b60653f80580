"""The strategies. A new one is a module with a `Strategy`, a template of its name, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STRATEGIES: Final[Mapping[str, str]] = {
    "pointwise": "bioelx_bench_llm.strategies.pointwise:POINTWISE",
    "listwise": "bioelx_bench_llm.strategies.listwise:LISTWISE",
    "setwise": "bioelx_bench_llm.strategies.setwise:SETWISE",
    "rerank": "bioelx_bench_llm.strategies.rerank:RERANK",
}
"""Import path of each strategy by name."""
