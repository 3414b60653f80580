"""What pages show of entries: comparable groups, one row a system, best first."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bioelx_bench.files import canonical_json
from bioelx_bench.leaderboard.entry import RESULTS, Entry
from bioelx_bench.results import MACRO, MICRO, ComponentInfo, Result, StageScores, SubsetScores
from bioelx_bench.runs.portable import publishable

CUTOFFS = (1, 5, 10, 50)
SLICES = ("exact", "inexact", "seen", "unseen", "trained", "untrained", "ambiguous", "unambiguous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system in one group.

    Attributes:
        result: Its result.
        retriever: The retriever with the options that were given.
        ranker: The ranker likewise; empty without one.
        link: Its entry, relative to the leaderboard.
        command: The command that makes it.
        best: Whether its macro Recall@1 is the highest of the group.
        tied: Whether its 95 % interval holds the highest macro Recall@1.
    """

    result: Result
    retriever: str
    ranker: str
    link: str
    command: str
    best: bool
    tied: bool

    def score(self, subset: str = MACRO) -> StageScores:
        """The figures of the last stage."""
        return self.result.scores[subset].stage(self.result.stage)

    def in_kb(self, subset: str = MACRO) -> StageScores:
        """The same over in-KB mentions."""
        return self.result.scores[subset].in_kb.stage(self.result.stage)

    def recall(self, k: int, subset: str = MACRO) -> float | None:
        """Recall@k of the last stage."""
        return self.score(subset).figures.get(f"recall@{k}")

    @property
    def before(self) -> float | None:
        """Recall@1 of the retriever alone; None without a ranker."""
        result = self.result
        return None if result.ranker is None else result.scores[MACRO].retrieval.figures.get("recall@1")

    @property
    def gain(self) -> float | None:
        """What ranking adds to Recall@1; None without a ranker."""
        after = self.recall(1)
        return None if self.before is None or after is None else after - self.before

    @property
    def ceiling(self) -> float | None:
        """The retriever's Recall at the depth that was ranked; None without a ranker."""
        result = self.result
        if result.ranker is None:
            return None
        return result.scores[MACRO].retrieval.figures.get(f"recall@{result.rerank_depth}")

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(self.result.timing.values())

    def errors(self, subset: str) -> dict[str, float | None]:
        """Where the mentions of a subset end, as shares that add up to 1, and what the ranker won and lost."""
        row: SubsetScores = self.result.scores[subset]
        depth = self.result.rerank_depth or self.result.k
        found = row.retrieval.figures.get(f"recall@{depth}")
        right = row.stage(self.result.stage).figures["recall@1"]
        if row.coverage is None or found is None or right is None:
            return dict.fromkeys(("not in KB", "not retrieved", "not first", "right", "won", "lost"))
        shares: dict[str, float | None] = {
            "not in KB": 1 - row.coverage,
            "not retrieved": row.coverage - found,
            "not first": found - right,
            "right": right,
        }
        ranked = self.result.ranker is not None and row.n > 0
        return shares | {
            "won": row.won / row.n if ranked else None,
            "lost": row.lost / row.n if ranked else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Entries that may be compared: same mentions, knowledge base and protocol."""

    first: Result
    rows: list[Row]

    @property
    def cutoffs(self) -> list[int]:
        """The cutoffs that every row has."""
        return [k for k in CUTOFFS if all(row.recall(k) is not None for row in self.rows)]

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets of the dataset."""
        return self.first.dataset.subsets

    @property
    def slices(self) -> list[str]:
        """The slices that some row has."""
        return [s for s in SLICES if any(s in row.result.scores[MICRO].slices for row in self.rows)]


def groups_of(entries: Sequence[Entry]) -> list[Group]:
    """The groups of a dataset's entries, each with one row a system, sorted by macro Recall@1."""
    found: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        result = entry.result
        data = result.dataset
        key = (data.revision, data.split, -len(data.subsets), result.protocol.name, result.kb.sha256)
        found[*key, *sorted(data.sha256.items())].append(entry)
    return [Group(first=found[key][0].result, rows=rows_of(found[key])) for key in sorted(found, key=str)]


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """One row for each system, the best first; of several entries of one system the newest."""
    systems: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda e: (e.manifest.created, e.result.run_id)):
        systems[system_key(entry.result)] = entry
    ordered = sorted(systems.values(), key=lambda e: (-headline(e.result), e.result.run_id))
    top = headline(ordered[0].result)
    return [row_of(entry, top) for entry in ordered]


def system_key(result: Result) -> str:
    """What makes a system: components by revision and options, whatever the folder or name of a model."""
    parts = []
    for info in (result.retriever, result.ranker):
        options = {} if info is None else dict(info.options)
        if info is not None and info.model_revision is not None:
            options.pop("model", None)
        known = (
            None if info is None else [info.plugin or info.name, info.model_revision, publishable(options)]
        )
        parts.append(known)
    return canonical_json([*parts, result.k, result.rerank_depth, result.interpolation])


def headline(result: Result) -> float:
    """Macro Recall@1 of the last stage."""
    return result.scores[MACRO].stage(result.stage).figures["recall@1"] or 0.0


def row_of(entry: Entry, top: float) -> Row:
    """An entry's row."""
    result = entry.result
    bounds = result.scores[MACRO].stage(result.stage).ci95.get("recall@1")
    own = headline(result)
    command = "bioelx-bench " + shlex.join(entry.manifest.command) if entry.manifest.command else ""
    return Row(
        result=result,
        retriever=component(result.retriever),
        ranker="" if result.ranker is None else component(result.ranker),
        link=f"{RESULTS}/{result.dataset.name}@{result.dataset.revision}/{result.run_id}/result.json",
        command=str(publishable(command)),
        best=own == top,
        tied=bounds is not None and bounds[0] <= top <= bounds[1],
    )


def component(info: ComponentInfo) -> str:
    """A component's name with the options that were given to it."""
    options = ", ".join(f"{key}={publishable(value)}" for key, value in sorted(info.options_given.items()))
    return f"{info.name} ({options})" if options else info.name
