"""Turning what the user asked for into a run: datasets, knowledge base, components, policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioelx_bench.declarations import DatasetSpec, PresetSpec
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.runs.components import ResolvedComponent, resolve_ranker, resolve_retriever
from bioelx_bench.runs.spec import ResolvedRun
from bioelx_bench.scoring.protocols import ScoringProtocol, find_protocol

if TYPE_CHECKING:
    from bioelx_bench.base import BaseRanker, BaseRetriever, Environment
    from bioelx_bench.config import Config
    from bioelx_bench.datasets.prepare import PreparedSubset
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.plugins import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the user asked for; None where a default of preset or configuration holds."""

    dataset: str | None = None
    subsets: tuple[str, ...] = ()
    split: str | None = None
    data_root: Path | None = None
    dataset_options: tuple[str, ...] = ()
    kb: str | None = None
    preset: str | None = None
    retriever: str | None = None
    retriever_options: tuple[str, ...] = ()
    ranker: str | None = None
    ranker_options: tuple[str, ...] = ()
    protocol: str | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    k: int | None = None
    rerank_depth: int | None = None
    limit: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Names and options resolved and checked, before anything heavy is loaded."""

    dataset: str
    revision: str
    split: str
    subsets: tuple[str, ...]
    kb: str
    retriever: ResolvedComponent
    ranker: ResolvedComponent | None
    protocol: ScoringProtocol
    metrics: tuple[str, ...]
    k: int
    rerank_depth: int | None
    seed: int
    limit: int | None


@dataclass(slots=True, kw_only=True)
class LoadedRun:
    """A run and everything it needs to be carried out."""

    run: ResolvedRun
    subsets: list[PreparedSubset]
    kb: KnowledgeBase
    retriever: BaseRetriever
    ranker: BaseRanker | None
    environment: Environment

    def close(self) -> None:
        """Release models and connections."""
        self.retriever.close()
        if self.ranker is not None:
            self.ranker.close()


def plan_run(request: RunRequest, plugins: Plugins, config: Config) -> Plan:
    """Resolve names and options; precedence: command line, preset, configuration, default.

    Raises:
        UsageError: Something is unknown or does not fit together.
        MissingError: A plugin that is needed is broken.
    """
    from bioelx_bench.datasets.prepare import parse_dataset_name

    preset_name = request.preset or config.get("preset")
    preset: PresetSpec | None = plugins.get("presets", preset_name).spec if preset_name else None
    retriever_name = request.retriever or (preset.retriever if preset else config.get("retriever"))
    if retriever_name is None:
        raise UsageError(
            f"no retriever is chosen{did_you_mean('', plugins.names('retrievers'))}",
            hint="add --retriever NAME; bioelx-bench list retrievers shows them",
        )
    ranker_name = request.ranker or (preset.ranker if preset and preset.ranker else config.get("ranker"))
    retriever = resolve_retriever(plugins, config, retriever_name, request.retriever_options, preset)
    ranker = resolve_ranker(plugins, config, ranker_name, request.ranker_options, preset)
    protocol = find_protocol(request.protocol or config.get("protocol"), request.policies)
    name, revision = parse_dataset_name(request.dataset or config.get("dataset"))
    spec = plugins.get("datasets", name).spec
    k = first_given(request.k, preset.k if preset else None, config.get("k"))
    rerank_depth = first_given(
        request.rerank_depth, preset.rerank_depth if preset else None, config.get("rerank_depth")
    )
    check_fit(retriever, ranker, protocol, k, rerank_depth if ranker else None)
    for metric in request.metrics:
        plugins.get("metrics", metric)
    revision = chosen(revision, spec.revisions, f"revision of {name}", "--dataset NAME@REVISION")
    return Plan(
        dataset=name,
        revision=revision,
        split=chosen(request.split, spec.splits_of(revision), f"split of {name}@{revision}", "--split"),
        subsets=chosen_subsets(request.subsets, spec),
        kb=request.kb or config.get("kb"),
        retriever=retriever,
        ranker=ranker,
        protocol=protocol,
        metrics=request.metrics,
        k=k,
        rerank_depth=min(rerank_depth, k) if ranker else None,
        seed=config.get("seed") if request.seed is None else request.seed,
        limit=request.limit,
    )


def first_given(*values: int | None) -> int:
    """The first value that is not None."""
    return next(value for value in values if value is not None)


def chosen_subsets(subsets: Sequence[str], spec: DatasetSpec) -> tuple[str, ...]:
    """The subsets asked for, each once and in their order; all the declared ones where none is asked for."""
    if spec.open_subsets:
        return tuple(dict.fromkeys(subsets)) or spec.subsets
    known = [chosen(s, spec.subsets, f"subset of {spec.name}", "--subset") for s in dict.fromkeys(subsets)]
    return tuple(known) or spec.subsets


def chosen(value: str | None, known: Sequence[str], what: str, flag: str) -> str:
    """The value if it is known, the first known one if it is None."""
    if value is None:
        return known[0]
    if value not in known:
        raise UsageError(f"unknown {what}: {value!r}{did_you_mean(value, known)}", where=flag)
    return value


def check_fit(
    retriever: ResolvedComponent,
    ranker: ResolvedComponent | None,
    protocol: ScoringProtocol,
    k: int,
    rerank_depth: int | None,
) -> None:
    """Refuse combinations that cannot mean anything."""
    if k < 1 or (rerank_depth is not None and rerank_depth < 1):
        raise UsageError("k must be at least 1", where="--k or --rerank-depth")
    if protocol.unit not in retriever.declared.spec.units:
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


def load_run(
    plan: Plan, environment: Environment, data_root: Path | None, dataset_options: Mapping[str, Any]
) -> LoadedRun:
    """Load data, knowledge base and components, and fix the run's identity.

    Raises:
        BenchError: Something cannot be loaded; the error says what and how to fix it.
    """
    import dataclasses

    from bioelx_bench.datasets.prepare import prepare_subset
    from bioelx_bench.kb.catalogue import open_knowledge_base

    assert environment.plugins is not None  # noqa: S101 - sessions always carry them
    declared = environment.plugins.get("datasets", plan.dataset)
    subsets = [
        prepare_subset(
            declared,
            revision=plan.revision,
            subset=subset,
            split=plan.split,
            data_root=data_root,
            environment=environment,
            options=dataset_options,
        )
        for subset in plan.subsets
    ]
    kb = open_knowledge_base(plan.kb, environment)
    environment = dataclasses.replace(environment, kb=kb, seed=plan.seed, unit=plan.protocol.unit)
    retriever = plan.retriever.make(environment)
    ranker = plan.ranker.make(environment) if plan.ranker else None
    run = ResolvedRun(
        dataset=plan.dataset,
        revision=plan.revision,
        split=plan.split,
        data={s.subset: s.sha256 for s in subsets},
        limit=plan.limit,
        kb=dict(kb.describe()),
        retriever=plan.retriever.with_effective_options(retriever),
        retriever_model=retriever.model_revision,
        retriever_identity=identity_of(retriever),
        ranker=plan.ranker,
        ranker_model=ranker.model_revision if ranker else None,
        ranker_identity=identity_of(ranker),
        protocol=plan.protocol,
        metrics=plan.metrics,
        k=plan.k,
        rerank_depth=plan.rerank_depth,
        seed=plan.seed,
    )
    return LoadedRun(
        run=run, subsets=subsets, kb=kb, retriever=retriever, ranker=ranker, environment=environment
    )


def identity_of(component: BaseRetriever | BaseRanker | None) -> Mapping[str, Any]:
    """What a component says its results depend on beside options and model."""
    return {} if component is None else dict(component.identity())
