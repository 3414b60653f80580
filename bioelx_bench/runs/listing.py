"""Finding runs by what they are: dataset, components, knowledge base."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.results import MACRO
from bioelx_bench.runs.result import find_run, read_result
from bioelx_bench.runs.run_result import RunResult, load_run, runs
from bioelx_bench.runs.seal import MANIFEST, RESULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What runs are wanted; None and empty match everything, texts match the beginning of a name.

    Attributes:
        dataset: `NAME` or `NAME@REVISION`.
        retriever: The retriever's name.
        ranker: The ranker's name; `none` for runs without one.
        kb: The knowledge base's name, or the start of its hash.
        words: Each must stand in the run's description or begin its id.
    """

    dataset: str | None = None
    retriever: str | None = None
    ranker: str | None = None
    kb: str | None = None
    words: Sequence[str] = ()

    def matches(self, run: RunResult) -> bool:
        """Whether a run is wanted."""
        result = run.result
        ranker = "none" if result.ranker is None else result.ranker.name
        data = f"{result.dataset.name}@{result.dataset.revision}"
        text = describe(run).casefold()
        return (
            (self.dataset is None or data.startswith(self.dataset))
            and (self.retriever is None or result.retriever.name.startswith(self.retriever))
            and (self.ranker is None or ranker.startswith(self.ranker))
            and (
                self.kb is None or result.kb.name.startswith(self.kb) or result.kb.sha256.startswith(self.kb)
            )
            and all(w.casefold() in text or result.run_id.startswith(w) for w in self.words)
        )


def describe(run: RunResult) -> str:
    """A run in one line: what ran on what."""
    result = run.result
    data = result.dataset
    parts = [f"{data.name}@{data.revision}", data.split, f"KB {result.kb.name}", run.name]
    parts += [f"{key}={value}" for key, value in sorted(result.retriever.options_given.items())]
    if result.ranker is not None:
        parts += [f"{key}={value}" for key, value in sorted(result.ranker.options_given.items())]
    if result.interpolation is not None:
        parts.append("mix={weight:g}".format(**result.interpolation))
    if data.limit is not None:
        parts.append(f"limit={data.limit}")
    if result.protocol.name != "bioelx":
        parts.append(result.protocol.name)
    return " ".join(parts)


def headline(run: RunResult) -> float | None:
    """Macro Recall@1 of the last stage."""
    row = run.scores.get(MACRO)
    return None if row is None else row.stage(run.result.stage).figures["recall@1"]


def finished_at(run: RunResult) -> datetime:
    """When the result was written."""
    return datetime.fromtimestamp((run.folder / RESULT).stat().st_mtime, UTC)


def select(words: Sequence[str], output: Path) -> RunResult:
    """The one run that is meant by an id, a folder, or words of its description (the newest of several alike).

    Args:
        words: What the user typed.
        output: Folder of runs.

    Raises:
        MissingError: None matches.
        UsageError: Several differ in more than when they were made.
    """
    if len(words) == 1:
        try:
            return load_run(find_run(words[0], output))
        except MissingError:
            pass
    found = [run for run in runs(output) if Filter(words=words).matches(run)]
    if not found:
        raise MissingError(
            f"no finished run matches {' '.join(words)!r}", where=output, hint="bioelx-bench runs lists them"
        )
    if len(found) > 1:
        listed = "; ".join(f"{run.result.run_id[:8]} {describe(run)}" for run in found[:5])
        raise UsageError(
            f"{len(found)} runs match {' '.join(words)!r}",
            why=listed,
            hint="add words, or give more of the id",
        )
    return load_run(found[0].folder)


def unfinished(output: Path) -> list[Path]:
    """Folders of runs that did not finish, or whose result this version cannot read."""
    found = []
    for manifest in sorted(output.glob(f"*/{MANIFEST}")):
        try:
            read_result(manifest.parent / RESULT)
        except (MissingError, DataError):
            found.append(manifest.parent)
    return found


def prune(folders: Sequence[Path]) -> int:
    """Remove runs; gives the bytes that their files took."""
    size = 0
    for folder in folders:
        size += sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.stat().st_nlink == 1)
        shutil.rmtree(folder)
    return size
