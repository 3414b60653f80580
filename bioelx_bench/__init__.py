"""bioelx-bench: an evaluation harness for cross-lingual biomedical entity linking.

`evaluate` runs a retriever and a ranker on a dataset, `link` links mentions in text without gold, `compare`,
`load_run` and `runs` look at finished runs, `load_dataset` and `open_knowledge_base` give data. Plugin authors use
`hookimpl` and the public modules `base`, `declarations`, `errors`, `events`, `metrics`, `options`, `records`,
`results` and `testing`. Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bioelx_bench.markers import hookimpl

if TYPE_CHECKING:
    from bioelx_bench.api import evaluate, link
    from bioelx_bench.base import BaseDataset, BaseRanker, BaseRetriever
    from bioelx_bench.datasets import load_dataset
    from bioelx_bench.kb.catalogue import open_knowledge_base
    from bioelx_bench.runs.comparing import compare
    from bioelx_bench.runs.linking import LinkedMention
    from bioelx_bench.runs.run_config import RunConfig
    from bioelx_bench.runs.run_result import RunResult, load_run, runs
    from bioelx_bench.workspace import Workspace

__all__ = [
    "BaseDataset",
    "BaseRanker",
    "BaseRetriever",
    "LinkedMention",
    "RunConfig",
    "RunResult",
    "Workspace",
    "compare",
    "evaluate",
    "hookimpl",
    "link",
    "load_dataset",
    "load_run",
    "open_knowledge_base",
    "runs",
]

_HOMES: Final = {
    "BaseDataset": "base",
    "BaseRanker": "base",
    "BaseRetriever": "base",
    "LinkedMention": "runs.linking",
    "RunConfig": "runs.run_config",
    "RunResult": "runs.run_result",
    "Workspace": "workspace",
    "compare": "runs.comparing",
    "evaluate": "api",
    "link": "api",
    "load_dataset": "datasets",
    "load_run": "runs.run_result",
    "open_knowledge_base": "kb.catalogue",
    "runs": "runs.run_result",
}
"""Module of each exported name that is imported when it is first used."""


def __getattr__(name: str) -> object:
    """Import what is heavy when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    # `runs` is a package of ours too: importing it sets the attribute, which the function must replace
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The exported names, whether or not they were used before."""
    return sorted({*globals(), *__all__})
