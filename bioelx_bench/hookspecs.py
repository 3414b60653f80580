"""Hooks a plugin may implement. Every hook is optional; all but the run events return declarations.

A plugin is a module (or object) whose functions carry `@bioelx_bench.hookimpl`; its distribution names
it in the entry point group `bioelx_bench`. `docs/plugins.md` documents each hook, and a test checks that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bioelx_bench.declarations import (
    AliasSourceSpec,
    CheckSpec,
    CommandSpec,
    DatasetSpec,
    KnowledgeBaseSpec,
    MetricSpec,
    ModelSourceSpec,
    PresetSpec,
    RankerFamilySpec,
    RankerSpec,
    RetrieverSpec,
)
from bioelx_bench.markers import hookspec

if TYPE_CHECKING:
    from bioelx_bench.events import RunInfo, StageName
    from bioelx_bench.results import Result


@hookspec
def datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Declare benchmarks. Version added: 0.1."""


@hookspec
def knowledge_bases() -> Sequence[KnowledgeBaseSpec]:  # type: ignore[empty-body]
    """Declare knowledge bases that are built by name. Version added: 0.1."""


@hookspec
def alias_sources() -> Sequence[AliasSourceSpec]:  # type: ignore[empty-body]
    """Declare sources of aliases for `aliases fetch`. Version added: 0.1."""


@hookspec
def retrievers() -> Sequence[RetrieverSpec]:  # type: ignore[empty-body]
    """Declare retrievers. Version added: 0.1."""


@hookspec
def rankers() -> Sequence[RankerSpec | RankerFamilySpec]:  # type: ignore[empty-body]
    """Declare rankers, or families of rankers named by pattern. Version added: 0.1."""


@hookspec
def metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Declare metrics. Version added: 0.1."""


@hookspec
def presets() -> Sequence[PresetSpec]:  # type: ignore[empty-body]
    """Declare named combinations of components for `run --preset`. Version added: 0.1."""


@hookspec
def commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]
    """Declare commands of the command line. Version added: 0.1."""


@hookspec
def model_sources() -> Sequence[ModelSourceSpec]:  # type: ignore[empty-body]
    """Declare places that models come from, such as `offline:`. Version added: 0.1."""


@hookspec
def checks() -> Sequence[CheckSpec]:  # type: ignore[empty-body]
    """Declare checks for `doctor`. Version added: 0.1."""


@hookspec
def run_started(run: RunInfo) -> None:
    """Called once when a run starts or continues. Version added: 0.1.

    Args:
        run: What runs, with every default resolved.
    """


@hookspec
def stage_finished(run: RunInfo, stage: StageName, seconds: float) -> None:
    """Called after each stage. Version added: 0.1.

    Args:
        run: What runs.
        stage: `load`, `index`, `retrieve`, `rank` or `score`.
        seconds: Wall time the stage took in this process.
    """


@hookspec
def run_finished(run: RunInfo, result: Result) -> None:
    """Called once after the result is written. Version added: 0.1.

    Args:
        run: What ran.
        result: The content of `result.json`.
    """
