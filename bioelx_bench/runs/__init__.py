"""From a request to a finished run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bioelx_bench.runs.run_result import RunResult


class _Callable(ModuleType):
    """This package, which is the function `bioelx_bench.runs` as well: Python binds one name to both."""

    def __call__(self, folder: str | Path = "runs") -> list[RunResult]:
        """The finished runs in a folder (see `bioelx_bench.runs.run_result.runs`)."""
        from bioelx_bench.runs.run_result import runs

        return runs(folder)


sys.modules[__name__].__class__ = _Callable
