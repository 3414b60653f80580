"""From a configuration to a plan: every name and option resolved and checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioelx_bench.base import BaseDataset, BaseRanker, BaseRetriever
from bioelx_bench.config import Config
from bioelx_bench.declarations import DatasetSpec, PresetSpec
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.plugins import RegisteredSpec
from bioelx_bench.runs.components import (
    ResolvedComponent,
    live_component,
    resolve_ranker,
    resolve_retriever,
)
from bioelx_bench.runs.run_config import FIELDS, Layer, RunConfig, combine, is_runtime
from bioelx_bench.scoring.protocols import ScoringProtocol, find_protocol

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveParts:
    """What was given as an object in place of a name."""

    dataset: BaseDataset | None = None
    retriever: BaseRetriever | None = None
    ranker: BaseRanker | None = None
    kb: KnowledgeBase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPlan:
    """Which part of a declared dataset is read."""

    declared: RegisteredSpec
    revision: str
    split: str
    subsets: tuple[str, ...]
    data_root: Path | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run before anything is loaded.

    Attributes:
        config: Every option, with defaults.
        dataset: Which part of a declared dataset; None for a live one.
        retriever: The retriever.
        ranker: The ranker, or None.
        protocol: How candidates are counted.
        rerank_depth: Candidates ranked, at most `config.k`; None without a ranker.
        live: What was given as an object.
    """

    config: RunConfig
    dataset: DatasetPlan | None
    retriever: ResolvedComponent
    ranker: ResolvedComponent | None
    protocol: ScoringProtocol
    rerank_depth: int | None
    live: LiveParts = field(default_factory=LiveParts)

    def describe(self) -> dict[str, Any]:
        """What `--dry-run` shows: every option of `RunConfig`, names and components resolved."""
        shown = self.config.model_dump(mode="json")
        data = self.dataset
        return {
            "dataset": None
            if data is None
            else {
                "name": data.declared.spec.name,
                "revision": data.revision,
                "split": data.split,
                "subsets": list(data.subsets),
                "limit": self.config.limit,
                "options": dict(data.options),
            },
            "retriever": self.retriever.described(),
            "ranker": None if self.ranker is None else self.ranker.described(),
            "protocol": self.protocol.describe(),
            "rerank_depth": self.rerank_depth,
            **{name: shown[name] for name in FIELDS if name in PLAIN},
            "runtime": {name: shown[name] for name in FIELDS if is_runtime(name)},
        }


RESOLVED = (
    *("dataset", "subset", "split", "dataset_options", "retriever", "retriever_options"),
    *("ranker", "ranker_options", "rerank_depth", "protocol", "policies", "limit"),
)
"""Options that a plan shows in resolved form; every other one is shown as it is."""

PLAIN = tuple(name for name in FIELDS if name not in RESOLVED and not is_runtime(name))


def file_layers(config: Config) -> list[Layer]:
    """The run options that configuration files give."""
    given = {n: s for n, s in config.settings.items() if n in FIELDS and s.origin != "default"}
    return [
        Layer({n: s.value for n, s in given.items()}, {n: f"{n} in {s.origin}" for n, s in given.items()})
    ]


def preset_layer(preset: PresetSpec | None) -> Layer:
    """The run options that a preset gives; its options of components are gathered with those of files."""
    if preset is None:
        return Layer({}, {})
    values = {
        "retriever": preset.retriever,
        "ranker": preset.ranker,
        "k": preset.k,
        "rerank_depth": preset.rerank_depth,
    }
    given: dict[str, object] = {name: value for name, value in values.items() if value is not None}
    return Layer(given, dict.fromkeys(given, f"the preset {preset.name}"))


def plan_run(
    workspace: Workspace, layer: Layer, live: LiveParts | None = None, *, with_dataset: bool = True
) -> Plan:
    """Resolve names and options; precedence: what was given, then preset, configuration files, defaults.

    Args:
        workspace: Gives plugins and settings.
        layer: Options as they were given.
        live: What was given as an object.
        with_dataset: Whether there is a dataset; linking text without gold has none.

    Raises:
        UsageError: Something is unknown or does not fit together.
        MissingError: A plugin that is needed is broken.
    """
    live = live or LiveParts()
    plugins, settings = workspace.plugins, workspace.config
    files = file_layers(settings)
    early = combine([*files, layer])
    preset: PresetSpec | None = plugins.get("presets", early.preset).spec if early.preset else None
    config = combine([*files, preset_layer(preset), layer])
    retriever = plan_retriever(workspace, config, preset, live)
    ranker = (
        live_component("ranker", live.ranker)
        if live.ranker is not None
        else resolve_ranker(plugins, settings, config.ranker, config.ranker_options, preset)
    )
    protocol = find_protocol(config.protocol, config.policies)
    check_fit(retriever, ranker, protocol)
    for metric in config.metrics:
        plugins.get("metrics", metric)
    if live.kb is None:
        check_knowledge_base(workspace, config.kb)
    return Plan(
        config=config,
        dataset=plan_dataset(workspace, config) if with_dataset and live.dataset is None else None,
        retriever=retriever,
        ranker=ranker,
        protocol=protocol,
        rerank_depth=None if ranker is None else min(config.rerank_depth, config.k),
        live=live,
    )


def plan_retriever(
    workspace: Workspace, config: RunConfig, preset: PresetSpec | None, live: LiveParts
) -> ResolvedComponent:
    """The retriever.

    Raises:
        UsageError: None was chosen, or its name or an option is unknown.
    """
    if live.retriever is not None:
        return live_component("retriever", live.retriever)
    if config.retriever is None:
        raise UsageError(
            f"no retriever is chosen{did_you_mean('', workspace.plugins.names('retrievers'))}",
            hint="add --retriever NAME; bioelx-bench list retrievers shows them",
        )
    return resolve_retriever(
        workspace.plugins, workspace.config, config.retriever, config.retriever_options, preset
    )


def plan_dataset(workspace: Workspace, config: RunConfig) -> DatasetPlan:
    """Which part of the declared dataset is read; options: given ones over those of `[datasets.NAME]`.

    Raises:
        UsageError: The dataset, revision, split or a subset is unknown.
    """
    from bioelx_bench.datasets.prepare import parse_dataset_name
    from bioelx_bench.datasets.samples import find_revision

    name, revision = parse_dataset_name(config.dataset)
    declared = workspace.plugins.get("datasets", name)
    spec: DatasetSpec = declared.spec
    chosen = find_revision(spec, revision)
    splits = spec.splits_of(chosen.upstream)
    return DatasetPlan(
        declared=declared,
        revision=chosen.name,
        split=validate_choice(config.split, splits, f"split of {name}@{chosen.name}", "--split"),
        subsets=chosen_subsets(config.subset, spec),
        data_root=None if config.data_root is None else config.data_root.expanduser(),
        options={**workspace.config.component("datasets", spec.name), **config.dataset_options},
    )


def check_knowledge_base(workspace: Workspace, name: str) -> None:
    """Refuse an unknown knowledge base before data is prepared; builds nothing.

    Raises:
        UsageError: The name is unknown.
        MissingError: There is no such folder.
    """
    from bioelx_bench.kb.catalogue import find, open_knowledge_base

    if find(workspace.plugins, name) is None:
        open_knowledge_base(name, workspace.environment())


def chosen_subsets(subsets: Sequence[str], spec: DatasetSpec) -> tuple[str, ...]:
    """The subsets asked for, each once and in their order; all the declared ones where none is asked for."""
    if spec.open_subsets:
        return tuple(dict.fromkeys(subsets)) or spec.subsets
    known = [
        validate_choice(s, spec.subsets, f"subset of {spec.name}", "--subset") for s in dict.fromkeys(subsets)
    ]
    return tuple(known) or spec.subsets


def validate_choice(value: str | None, known: Sequence[str], what: str, flag: str) -> str:
    """The value if it is known, the first known one if it is None."""
    if value is None:
        return known[0]
    if value not in known:
        raise UsageError(f"unknown {what}: {value!r}{did_you_mean(value, known)}", where=flag)
    return value


def check_fit(
    retriever: ResolvedComponent, ranker: ResolvedComponent | None, protocol: ScoringProtocol
) -> None:
    """Refuse combinations that cannot mean anything."""
    if protocol.unit not in retriever.units:
        raise UsageError(
            f"the protocol {protocol.name!r} counts {protocol.unit} rows, which {retriever.name!r} cannot return",
            hint="choose --protocol bioelx or another retriever",
        )
    if ranker is not None and not protocol.ranked:
        raise UsageError(
            f"the protocol {protocol.name!r} scores the retriever alone",
            why="it counts name rows, of which several stand for one concept; a ranker orders concepts",
            hint="add --ranker none, or choose --protocol bioelx",
        )
