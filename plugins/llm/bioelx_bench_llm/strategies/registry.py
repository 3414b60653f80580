"""Finding a strategy by its name, or one of another package by its import path."""

from __future__ import annotations

import sys
from pathlib import Path

from bioelx_bench.errors import UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.options import did_you_mean, load_object
from bioelx_bench_llm.strategies import STRATEGIES
from bioelx_bench_llm.strategies.base import Strategy


def find_strategy(name: str) -> Strategy:
    """A built-in strategy by name, or that of `package.module:NAME`.

    Raises:
        UsageError: There is no such strategy, or the import path leads to something else.
        MissingError: The import path leads nowhere.
    """
    path = STRATEGIES.get(name, name if ":" in name else "")
    if not path:
        raise UsageError(
            f"unknown strategy {name!r}{did_you_mean(name, list(STRATEGIES))}",
            where=f"-K strategy={name}",
            hint=f"use one of {', '.join(STRATEGIES)}, or package.module:NAME for one of another package",
        )
    found = load_object(path, f"the strategy {name!r}")
    if not isinstance(found, Strategy):
        raise UsageError(
            f"{path} is no strategy but a {type(found).__name__}",
            where=f"-K strategy={name}",
            hint="it must be a bioelx_bench_llm.strategies.base.Strategy; see docs/ranking.md",
        )
    return found


def foreign_code(name: str) -> str | None:
    """sha256 of the module that holds another package's strategy, since results depend on it."""
    if name in STRATEGIES:
        return None
    source = getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)
    return hash_file(Path(source)) if source else None
