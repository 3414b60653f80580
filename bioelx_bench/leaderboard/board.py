"""A leaderboard's folder: reading every entry, checking them, and adding one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.leaderboard.checks import check_entry, check_scores
from bioelx_bench.leaderboard.entry import RESULT_FILE, RESULTS, Entry, entry_folder, read_entry, write_entry
from bioelx_bench.leaderboard.recompute import FindMaterial, Material, recomputed, told_slices
from bioelx_bench.results import MICRO
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.scoring.evaluation import load_metrics

if TYPE_CHECKING:
    from bioelx_bench.datasets.prepared import PreparedSubset
    from bioelx_bench.records import LabelledMention


@dataclass(slots=True)
class BoardReport:
    """What a check of a leaderboard found.

    Attributes:
        entries: The entries that could be read.
        wrong: One sentence for each thing that is wrong, naming file and field.
        not_recomputed: Entries whose data is not on this machine, with the reason.
        as_told: Slices of recomputed entries that were taken as their models told them.
    """

    entries: list[Entry] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    not_recomputed: dict[str, str] = field(default_factory=dict)
    as_told: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_board(board: Path) -> BoardReport:
    """Read every entry; one that cannot be read, or whose figures cannot be, does not stop the others."""
    report = BoardReport()
    root = board / RESULTS
    for folder in sorted(root.glob("*/*")):
        if folder.is_symlink() or not folder.is_dir() or folder.parent.is_symlink():
            report.wrong.append(f"{folder}: no folder of an entry")
            continue
        try:
            entry = read_entry(folder)
        except BenchError as error:
            report.wrong.append(f"{error.where or folder}: {error.what}")
            continue
        impossible = list(check_scores(entry.result, folder / RESULT_FILE))
        report.wrong += impossible
        if not impossible:
            report.entries.append(entry)
    return report


def check_board(board: Path, environment: Environment, find: FindMaterial) -> BoardReport:
    """Check every entry and recompute what this machine has the data for."""
    report = read_board(board)
    for entry in report.entries:
        report.wrong += list(check_entry(entry, board, declared_subsets(entry, environment)))
        wrong, reason = recomputed(entry, find)
        report.wrong += wrong
        if reason is not None:
            report.not_recomputed[str(entry.folder / RESULT_FILE)] = reason
        elif told := told_slices(entry.result.scores[MICRO]):
            report.as_told[str(entry.folder / RESULT_FILE)] = told
    return report


def declared_subsets(entry: Entry, environment: Environment) -> tuple[str, ...] | None:
    """The subsets of an entry's dataset; None for a dataset whose subsets are open or that is not installed."""
    data = entry.result.dataset
    declared = None if environment.plugins is None else environment.plugins.find("datasets", data.name)
    return None if declared is None or declared.spec.open_subsets else tuple(declared.spec.subsets)


def add_run(
    run: RunResult, board: Path, environment: Environment, find: FindMaterial
) -> tuple[Path, str | None]:
    """Add a finished run, after the checks that `check_board` makes.

    Returns:
        The entry's folder, and why its scores could not be recomputed (None where they were).

    Raises:
        UsageError: The entry would be refused; nothing is written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        staging = Path(temporary)
        folder = write_entry(run, staging)
        entry = read_entry(folder)
        wrong = list(check_entry(entry, staging, declared_subsets(entry, environment)))
        found, reason = recomputed(entry, find)
        if wrong + found:
            sentences = [sentence.replace(f"{folder}/", "") for sentence in wrong + found]
            raise UsageError(
                f"the run {run.result.run_id} cannot stand on a leaderboard: {sentences[0]}",
                where=run.folder,
                why="; ".join(sentences[1:4]) or None,
                hint="repeat the whole run with --fresh, without --limit and --subset",
            )
        target = entry_folder(board, run.result)
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, target)
    return target, reason


def material_finder(environment: Environment, data_root: Path | None, kb: str | None) -> FindMaterial:
    """Finds datasets and knowledge bases through what is declared on this machine.

    Args:
        environment: Plugins, cache, connections.
        data_root: A local mirror of upstream files, or None.
        kb: A knowledge base's folder to use for entries that were run on it.
    """

    def find(entry: Entry) -> Material:
        from bioelx_bench.datasets.prepare import prepare_subset

        assert environment.plugins is not None  # noqa: S101 - sessions always carry them
        result = entry.result
        data = result.dataset
        declared = environment.plugins.find("datasets", data.name)
        if declared is None:
            raise MissingError(f"the dataset {data.name} is not installed here")
        known = open_knowledge_base(kb, environment) if kb else None
        if known is None or known.sha256 != result.kb.sha256:
            if environment.plugins.find("knowledge_bases", result.kb.name) is None:
                raise MissingError(
                    f"the knowledge base {result.kb.name} is not on this machine (--kb FOLDER)"
                )
            known = open_knowledge_base(result.kb.name, environment)
        prepared = []
        for subset in data.subsets:
            try:
                found = prepare_subset(
                    declared,
                    revision=data.revision,
                    subset=subset,
                    split=data.split,
                    data_root=data_root,
                    environment=environment,
                )
            except (UsageError, DataError) as error:
                raise MissingError(f"{data.name}@{data.revision}: {error.what}") from error
            prepared.append((subset, found.sha256, MentionsOf(found)))
        metrics = [name for name in result.metrics if environment.plugins.find("metrics", name) is not None]
        return Material(subsets=prepared, kb=known, metrics=list(load_metrics(environment.plugins, metrics)))

    return find


@dataclass(frozen=True, slots=True)
class MentionsOf:
    """The mentions of a prepared subset, as often as they are asked for."""

    subset: PreparedSubset

    def __iter__(self) -> Iterator[LabelledMention]:
        return self.subset.mentions()
