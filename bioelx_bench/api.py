"""The library: evaluate, link, compare and look at runs from Python; the command line is a thin layer over it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bioelx_bench.base import BaseDataset, BaseRanker, BaseRetriever
from bioelx_bench.errors import UsageError
from bioelx_bench.records import LabelledMention, Mention
from bioelx_bench.runs.engine import Outcome, execute
from bioelx_bench.runs.linking import LinkedMention, link_mentions, mentions_in
from bioelx_bench.runs.loading import load
from bioelx_bench.runs.mentions import MentionList
from bioelx_bench.runs.plan import LiveParts, Plan, plan_run
from bioelx_bench.runs.run_config import OptionValue, keyword_layer
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.workspace import Workspace

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

    Dataset = str | BaseDataset | Sequence[LabelledMention]
    AnyKnowledgeBase = str | Path | KnowledgeBase


def evaluate(
    dataset: Dataset,
    retriever: str | BaseRetriever,
    ranker: str | BaseRanker | None = None,
    kb: AnyKnowledgeBase = "open",
    *,
    id_scheme: str = "",
    workspace: Workspace | None = None,
    **options: OptionValue,
) -> RunResult:
    """Run a retriever and a ranker on a dataset and score them; a run that is finished is shown again.

    Args:
        dataset: A declared dataset's name (`xl-bel`, `xl-bel@v0.0`), a dataset object, or a list of mentions with
            gold, of which each language is a subset.
        retriever: A declared retriever's name, or an object.
        ranker: A declared ranker's name, or an object; None for none.
        kb: A declared knowledge base's name, a folder, or an opened knowledge base.
        id_scheme: Scheme of the gold of a list of mentions, such as `mesh`; empty to have it recognised. A dataset
            declares its own.
        workspace: Plugins, settings, cache and progress; by default what is installed and configured.
        **options: Options of a run, see `bioelx_bench.RunConfig`: `k`, `rerank_depth`, `subset`, `limit`,
            `retriever_options`, `ranker_options`, `metrics`, `protocol`, `seed`, `output`, `fresh`, ...

    Returns:
        The finished run: `.scores`, `.to_pandas()`, `.to_frame()`.

    Raises:
        UsageError: A name or option is wrong, or an object lacks a method.
        MissingError: Data, a model or a plugin is not there.
        BenchError: The run failed; what was done is kept, and the same call continues.
    """
    workspace = workspace or Workspace()
    if not isinstance(dataset, str | BaseDataset):
        dataset = MentionList(dataset, id_scheme)
    elif id_scheme:
        raise UsageError(
            "id_scheme is for a list of mentions",
            where="evaluate(id_scheme=...)",
            hint="a dataset object has the attribute id_scheme; a declared dataset knows its own",
        )
    plan = plan_call(workspace, (dataset, retriever, ranker, kb), options)
    outcome = carry_out(workspace, plan)
    for warning in outcome.warnings:
        warnings.warn(warning, stacklevel=2)
    return outcome.run


def plan_call(
    workspace: Workspace,
    parts: tuple[
        str | BaseDataset | None, str | BaseRetriever | None, str | BaseRanker | None, AnyKnowledgeBase
    ],
    options: Mapping[str, OptionValue],
) -> Plan:
    """The plan of a call from Python; without a dataset for linking.

    Raises:
        UsageError: A name or option is wrong, or an object is no component.
    """
    dataset, retriever, ranker, kb = parts
    named: dict[str, object] = {**options, "ranker": "none"} if ranker is None else dict(options)
    chosen = {"dataset": dataset, "retriever": retriever, "ranker": ranker}
    named |= {name: value for name, value in chosen.items() if isinstance(value, str)}
    if isinstance(kb, str | Path):
        named["kb"] = kb if isinstance(kb, str) else folder_text(kb)
    live = LiveParts(
        dataset=None if isinstance(dataset, str) else dataset,
        retriever=None if isinstance(retriever, str) else retriever,
        ranker=None if isinstance(ranker, str) else ranker,
        kb=None if isinstance(kb, str | Path) else kb,
    )
    if dataset == "all":
        raise UsageError("evaluate takes one dataset", hint="call it once for each dataset")
    return plan_run(workspace, keyword_layer(named), live, with_dataset=dataset is not None)


def folder_text(folder: Path) -> str:
    """A folder written so that it cannot be taken for a declared name."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def carry_out(workspace: Workspace, plan: Plan) -> Outcome:
    """Load and execute a plan behind the wall of `offline`."""
    with wall(workspace):
        loaded = load(plan, workspace.environment(seed=plan.config.seed))
        try:
            return execute(loaded)
        finally:
            loaded.parts.close()


@contextlib.contextmanager
def wall(workspace: Workspace) -> Iterator[None]:
    """Let nothing leave this machine while the block runs, where the workspace is offline."""
    if not workspace.offline:
        yield
        return
    from bioelx_bench.offline import offline_guard

    with offline_guard():
        yield


def link(
    texts: str | Mention | Sequence[str | Mention],
    retriever: str | BaseRetriever | None = None,
    ranker: str | BaseRanker | None = None,
    kb: AnyKnowledgeBase = "open",
    *,
    language: str = "en",
    workspace: Workspace | None = None,
    **options: OptionValue,
) -> list[LinkedMention]:
    """Link mentions in text without gold.

    Args:
        texts: Texts in which each mention stands in square brackets, as in `fever after [dengue]` (a text without
            any is a mention without context; a backslash makes a bracket plain), or mentions.
        retriever: A declared retriever's name, or an object; None takes the configured one.
        ranker: A declared ranker's name, or an object; None for none.
        kb: A declared knowledge base's name, a folder, or an opened knowledge base.
        language: ISO 639-1 code of texts.
        workspace: Plugins, settings, cache and progress.
        **options: `k`, `rerank_depth`, `retriever_options`, `ranker_options`, `seed`, `preset`.

    Returns:
        One item a mention, in order: its candidates, best first, and the ranking.

    Raises:
        UsageError: A name or option is wrong, or a text's brackets do not match.
        BenchError: A component failed.
    """
    workspace = workspace or Workspace()
    given = [texts] if isinstance(texts, str | Mention) else list(texts)
    mentions = [m for number, text in enumerate(given) for m in mentions_in(text, number, language)]
    plan = plan_call(workspace, (None, retriever, ranker, kb), options)
    with wall(workspace):
        return link_mentions(plan, mentions, workspace.environment(seed=plan.config.seed))
