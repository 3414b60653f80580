"""Finished runs with the texts of their dataset and the names of their knowledge base, where those are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bioelx_bench.base import Environment
from bioelx_bench.datasets.prepare import prepare_subset
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import LabelledMention
from bioelx_bench.runs.comparing import check_same_mentions
from bioelx_bench.runs.run_result import RunResult, load_run


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where the mentions of runs are to be found.

    Attributes:
        data_root: A local mirror of the upstream files, or None.
        options: Options of a dataset that takes a user's own files.
        kb: Name or folder of the knowledge base, in place of the one that the runs name.
    """

    data_root: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    kb: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs on the same mentions.

    Attributes:
        runs: The runs, in the order given.
        labels: A short name of each, no two alike.
        texts: Every mention of the runs by id; None where the dataset is not at hand.
        kb: The knowledge base, or None.
        missing: What is not at hand, and why, in sentences.
    """

    runs: tuple[RunResult, ...]
    labels: tuple[str, ...]
    texts: Mapping[str, LabelledMention] | None
    kb: KnowledgeBase | None
    missing: tuple[str, ...]

    def with_data(self) -> tuple[RunResult, ...]:
        """The runs, with texts and names for `RunResult.to_pandas`."""
        if self.texts is None:
            return tuple(RunResult(run.folder, run.result, None, self.kb) for run in self.runs)
        mentions = {"all": list(self.texts.values())}
        return tuple(run.with_data(lambda: mentions, self.kb) for run in self.runs)


def load_runs(names: Sequence[str], output: Path, source: DataSource, environment: Environment) -> Runs:
    """Load runs, and what their dataset and knowledge base say of their mentions.

    Args:
        names: Folders or ids of runs.
        output: Folder of runs, where ids are looked up.
        source: Where the data is.
        environment: Gives plugins, cache and whether connections are allowed.

    Raises:
        MissingError: There is no such run.
        UsageError: The runs are not of the same mentions.
        DataError: A run's file was changed.
    """
    runs = [load_run(name, output) for name in names]
    if len(runs) > 1:
        check_same_mentions(runs)
    missing: list[str] = []
    texts: Mapping[str, LabelledMention] | None = None
    kb: KnowledgeBase | None = None
    try:
        texts = read_mentions(runs[0], source, environment)
    except BenchError as error:
        missing.append(f"Texts of mentions are not shown: {error.what}.")
    try:
        kb = read_kb(runs[0], source, environment)
    except BenchError as error:
        missing.append(f"Names of gold concepts are not shown: {error.what}.")
    return Runs(runs=tuple(runs), labels=labels_of(runs), texts=texts, kb=kb, missing=tuple(missing))


def read_mentions(
    run: RunResult, source: DataSource, environment: Environment
) -> Mapping[str, LabelledMention]:
    """The mentions of a run by id.

    Raises:
        BenchError: The dataset is not there.
        DataError: It is not the one that the run was made on.
    """
    assert environment.plugins is not None  # noqa: S101 - the session gives them
    info = run.result.dataset
    declared = environment.plugins.get("datasets", info.name)
    wanted = set(run.predictions().column("mention_id").to_pylist())
    found: dict[str, LabelledMention] = {}
    for subset in info.subsets:
        prepared = prepare_subset(
            declared,
            revision=info.revision,
            subset=subset,
            split=info.split,
            data_root=source.data_root,
            environment=environment,
            options=source.options,
        )
        if prepared.sha256 != info.sha256[subset]:
            raise DataError(
                f"the subset {subset} of {info.name} is not the one of run {run.result.run_id}",
                hint="give the data that the run had: --data-root, -D key=value",
            )
        found |= {mention.id: mention for mention in prepared.mentions() if mention.id in wanted}
    if len(found) != len(wanted):
        raise DataError(f"{info.name} lacks mentions of run {run.result.run_id}")
    return found


def read_kb(run: RunResult, source: DataSource, environment: Environment) -> KnowledgeBase:
    """The knowledge base of a run.

    Raises:
        BenchError: It is not there.
        DataError: The one there has other content.
    """
    info = run.result.kb
    kb = open_knowledge_base(source.kb or info.name, environment)
    if kb.sha256 != info.sha256:
        raise DataError(
            f"the knowledge base {kb.name} at hand is not the one of run {run.result.run_id}",
            hint="name its folder with --kb",
        )
    return kb


def labels_of(runs: Sequence[RunResult]) -> tuple[str, ...]:
    """A short name of each run; where two are alike, with the options given or the id."""
    names = [run.name for run in runs]
    labels = []
    for run, name in zip(runs, names, strict=True):
        if names.count(name) > 1:
            parts = [run.result.retriever, run.result.ranker]
            given = [f"{k}={v}" for part in parts if part for k, v in part.options_given.items()]
            name = f"{name} ({', '.join(given)})" if given else name
        labels.append(name)
    return tuple(
        label if labels.count(label) == 1 else f"{label} {run.result.run_id[:8]}"
        for label, run in zip(labels, runs, strict=True)
    )
