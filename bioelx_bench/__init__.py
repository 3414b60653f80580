"""bioelx-bench: an evaluation harness for cross-lingual biomedical entity linking.

The public API: `load_dataset`, `open_knowledge_base`, `hookimpl`, and the modules `records`, `declarations`,
`protocols`, `options`, `errors` and `testing` for plugin authors. Importing it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bioelx_bench.markers import hookimpl

if TYPE_CHECKING:
    from bioelx_bench.datasets import load_dataset
    from bioelx_bench.kb.catalogue import open_knowledge_base

__all__ = ["hookimpl", "load_dataset", "open_knowledge_base"]


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is first used (PEP 562)."""
    if name == "load_dataset":
        from bioelx_bench.datasets import load_dataset

        return load_dataset
    if name == "open_knowledge_base":
        from bioelx_bench.kb.catalogue import open_knowledge_base

        return open_knowledge_base
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
