"""Loading what a plan needs: data, knowledge base, components; and opening indexes."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bioelx_bench.base import BaseRanker, BaseRetriever, Environment
from bioelx_bench.errors import DataError
from bioelx_bench.files import hash_json
from bioelx_bench.results import DatasetInfo, KnowledgeBaseInfo
from bioelx_bench.runs.components import ResolvedComponent
from bioelx_bench.runs.foreign import calling
from bioelx_bench.runs.mentions import (
    LIVE_REVISION,
    MentionList,
    RunMentions,
    check_gold,
    live_mentions,
    prepared_mentions,
)
from bioelx_bench.runs.plan import DatasetPlan, Plan
from bioelx_bench.runs.portable import without_folders
from bioelx_bench.runs.spec import ResolvedRun

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase


@dataclass(frozen=True, slots=True)
class LoadedComponents:
    """Knowledge base and components of a plan, with their options in effect."""

    kb: KnowledgeBase
    retriever: BaseRetriever
    retriever_plan: ResolvedComponent
    ranker: BaseRanker | None
    ranker_plan: ResolvedComponent | None
    environment: Environment

    def close(self) -> None:
        """Release models and connections."""
        for component, plan in ((self.retriever, self.retriever_plan), (self.ranker, self.ranker_plan)):
            if component is not None and plan is not None:
                with calling(plan.origin, "close"):
                    component.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRun:
    """A run and everything it needs to be carried out.

    Attributes:
        plan: What was asked for.
        run: What that is, with its id.
        mentions: The mentions.
        parts: Knowledge base and components.
        seconds: How long loading took.
    """

    plan: Plan
    run: ResolvedRun
    mentions: RunMentions
    parts: LoadedComponents
    seconds: float


def load_components(plan: Plan, environment: Environment) -> LoadedComponents:
    """Open the knowledge base and make the components.

    Raises:
        BenchError: Something cannot be loaded; the error says what and how to fix it.
    """
    from bioelx_bench.kb.catalogue import open_knowledge_base

    kb = plan.live.kb if plan.live.kb is not None else open_knowledge_base(plan.config.kb, environment)
    environment = dataclasses.replace(environment, kb=kb, seed=plan.config.seed, unit=plan.protocol.unit)
    retriever = plan.retriever.make(environment)
    assert isinstance(retriever, BaseRetriever)  # noqa: S101 - `make` has checked it
    ranker = None if plan.ranker is None else plan.ranker.make(environment)
    assert ranker is None or isinstance(ranker, BaseRanker)  # noqa: S101 - likewise
    return LoadedComponents(
        kb=kb,
        retriever=retriever,
        retriever_plan=plan.retriever.with_effective_options(retriever),
        ranker=ranker,
        ranker_plan=None
        if plan.ranker is None or ranker is None
        else plan.ranker.with_effective_options(ranker),
        environment=environment,
    )


def load(plan: Plan, environment: Environment) -> LoadedRun:
    """Load data, knowledge base and components, and fix the run's identity.

    Raises:
        BenchError: Something cannot be loaded; the error says what and how to fix it.
    """
    start = time.monotonic()
    dataset, mentions = load_dataset_part(plan, environment)
    parts = load_components(plan, environment)
    check_gold(mentions, parts.kb, f"{dataset.name}@{dataset.revision}", dataset.id_scheme, plan.protocol)
    ranker, ranker_plan = parts.ranker, parts.ranker_plan
    run = ResolvedRun(
        dataset=dataset,
        kb=KnowledgeBaseInfo(**parts.kb.describe()),
        retriever=parts.retriever_plan.info(parts.retriever),
        retriever_identity=identity_of(parts.retriever_plan, parts.retriever),
        ranker=ranker_plan.info(ranker) if ranker is not None and ranker_plan is not None else None,
        ranker_identity=identity_of(ranker_plan, ranker)
        if ranker is not None and ranker_plan is not None
        else None,
        protocol=plan.protocol,
        k=plan.config.k,
        rerank_depth=plan.rerank_depth,
        seed=plan.config.seed,
    )
    return LoadedRun(plan=plan, run=run, mentions=mentions, parts=parts, seconds=time.monotonic() - start)


def identity_of(component: ResolvedComponent, made: BaseRetriever | BaseRanker) -> dict[str, object]:
    """What of a component a run's id depends on."""
    with calling(component.origin, "identity"):
        return component.identity(made)


def load_dataset_part(plan: Plan, environment: Environment) -> tuple[DatasetInfo, RunMentions]:
    """The mentions of a run and how a result names them."""
    limit = plan.config.limit
    if plan.dataset is not None:
        return load_declared(plan.dataset, environment, limit)
    dataset = plan.live.dataset
    assert dataset is not None  # noqa: S101 - a plan has one or the other
    found, scheme = live_mentions(dataset, limit)
    mentions = RunMentions(found)
    info = DatasetInfo(
        name="mentions" if isinstance(dataset, MentionList) else type(dataset).__name__,
        revision=LIVE_REVISION,
        split="all",
        subsets=tuple(s.name for s in mentions.subsets),
        sha256={s.name: s.sha256 for s in mentions.subsets},
        limit=limit,
        id_scheme=scheme,
    )
    return info, mentions


def load_declared(
    plan: DatasetPlan, environment: Environment, limit: int | None
) -> tuple[DatasetInfo, RunMentions]:
    """The mentions of a declared dataset."""
    from bioelx_bench.datasets.prepare import prepare_subset

    subsets = [
        prepare_subset(
            plan.declared,
            revision=plan.revision,
            subset=subset,
            split=plan.split,
            data_root=plan.data_root,
            environment=environment,
            options=plan.options,
        )
        for subset in plan.subsets
    ]
    info = DatasetInfo(
        name=plan.declared.spec.name,
        revision=plan.revision,
        split=plan.split,
        subsets=plan.subsets,
        sha256={s.subset: s.sha256 for s in subsets},
        limit=limit,
        id_scheme=subsets[0].id_scheme,
    )
    return info, RunMentions([prepared_mentions(s, limit) for s in subsets])


def open_index(parts: LoadedComponents, *, fresh: bool) -> list[str]:
    """Open a retriever's index of a knowledge base; built if it is not there, once more if damaged.

    Args:
        parts: The retriever and the knowledge base.
        fresh: Build it anew even if it is there.

    Returns:
        Warnings.
    """
    component, retriever, kb, environment = parts.retriever_plan, parts.retriever, parts.kb, parts.environment
    cache, origin = environment.cache, component.origin
    with calling(origin, "index_identity"):
        identity = dict(retriever.index_identity())
    key = hash_json(
        {
            "kb": kb.sha256,
            "retriever": component.plugin or component.name,
            "version": component.version,
            "code": component.code,
            "model": retriever.model_revision,
            "identity": without_folders(identity),
            "state": component.state,
        }
    )[:32]
    if fresh or not component.reusable:
        cache.discard("indexes", key)

    def index(folder: Path) -> None:
        with calling(origin, "index"):
            retriever.index(kb, folder)

    def open_built() -> None:
        folder = cache.build("indexes", key, index)
        with calling(origin, "open"):
            retriever.open(kb, folder)

    try:
        open_built()
    except DataError as error:
        if cache.find("indexes", key) is None:
            raise
        cache.discard("indexes", key)
        open_built()
        return [f"{error.what} ({error.where}): it was built again"]
    return []
