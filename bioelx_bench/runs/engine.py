"""Carrying out a run: index, retrieve, rank, score; stopped at any moment, it continues to the same result.

A run's folder holds `manifest.json` (what runs, written first), `candidates.jsonl` and `rankings.jsonl`
(append-only logs), `sessions.jsonl` (each process that worked on it), `predictions.parquet` (one row a mention)
and `result.json` (written last).
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from bioelx_bench.base import BaseRanker, BaseRetriever, Notes
from bioelx_bench.datasets.prepare import PreparedSubset
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.files import JsonLines, hash_json, write_json
from bioelx_bench.records import LabelledMention, Mention
from bioelx_bench.results import SCHEMA_VERSION, Result
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog, candidates_of
from bioelx_bench.runs.provenance import code_revision, command_line, machine, software
from bioelx_bench.runs.ranking import Item, rank
from bioelx_bench.runs.request import LoadedRun
from bioelx_bench.runs.retrieval import retrieve
from bioelx_bench.runs.run_result import RunResult, load_run
from bioelx_bench.runs.seal import MANIFEST, PREDICTIONS, RESULT, seal
from bioelx_bench.scoring.evaluation import DEFAULT_METRICS, load_metrics
from bioelx_bench.scoring.protocols import sub_mentions
from bioelx_bench.scoring.score import Scored, ScoringInput, score_run

SESSIONS: Final = "sessions.jsonl"


@dataclass(frozen=True, slots=True)
class SubsetMentions:
    """The mentions of a subset of a run, within its limit; may be iterated again."""

    subset: PreparedSubset
    limit: int | None

    def __iter__(self) -> Iterator[LabelledMention]:
        return itertools.islice(self.subset.mentions(), self.limit)


@dataclass(slots=True)
class Outcome:
    """What `execute` gives.

    Attributes:
        run: The finished run.
        warnings: What went wrong beside the run, such as an event hook that raised.
        computed: False where the finished result was already there.
    """

    run: RunResult
    warnings: list[str] = field(default_factory=list)
    computed: bool = True


def execute(loaded: LoadedRun, output: Path, *, fresh: bool = False) -> Outcome:
    """Carry out a run, or continue it.

    Args:
        loaded: The run with its data and components.
        output: Folder of runs; the run's own is `output/<run id>`.
        fresh: Remove what an earlier process left first.

    Raises:
        BenchError: The run failed, or another process carries it out; what was done is kept.
    """
    folder = output / loaded.run.id
    folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder):
        if fresh:
            clear(folder)
        if (folder / RESULT).is_file():
            return Outcome(load_run(folder), computed=False)
        return RunExecution(loaded, folder).perform()


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the run's folder, so that two processes never write the same logs."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BenchError(
            f"another process carries out the run {folder.name}",
            where=folder,
            hint="wait for it to finish; the same command then shows its result",
        ) from error
    try:
        yield
    finally:
        lock.release()


def clear(folder: Path) -> None:
    """Remove a run's files, the lock excepted."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".lock":
            path.unlink()


class RunExecution:
    """One process's work on a run."""

    def __init__(self, loaded: LoadedRun, folder: Path) -> None:
        self.loaded = loaded
        self.run = loaded.run
        self.folder = folder
        self.progress = loaded.environment.progress
        self.warnings: list[str] = []

    def perform(self) -> Outcome:
        """Do every stage and write the result."""
        self.write_manifest()
        candidates = CandidateLog(self.folder / CANDIDATES)
        sessions = JsonLines(self.folder / SESSIONS)
        try:
            sessions.append([self.session_started()])
            self.announce("run_started", run=self.run)
            self.retrieve_stage(candidates, sessions)
            rankings = self.rank_stage(candidates, sessions)
            with self.stage("score", sessions):
                scored = self.score(candidates, rankings)
            result = self.result(scored, candidates, stage_seconds(sessions))
            write_json(self.folder / RESULT, result.model_dump(mode="json"))
            candidates.close()
            seal(self.folder)
            self.announce("run_finished", run=self.run, result=result.model_dump(mode="json"))
            return Outcome(RunResult(self.folder, result), self.warnings)
        finally:
            candidates.close()
            sessions.close()

    def write_manifest(self) -> None:
        """Record, once, everything the run's figures come from."""
        path = self.folder / MANIFEST
        if path.exists():
            return
        data = {
            s.subset: {"sha256": s.sha256, "sources": dict(s.sources), "counts": dict(s.counts)}
            for s in self.loaded.subsets
        }
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                **self.run.describe(),
                "identity": self.run.identity(),
                "data": data,
                "kb_manifest": self.loaded.kb.manifest.model_dump(mode="json"),
                "software": software(),
                "machine": machine(),
                "code": code_revision(),
                "command": command_line(),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def session_started(self) -> dict[str, Any]:
        """The line with which a process begins its work in `sessions.jsonl`."""
        return {
            "event": "started",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": software(),
            "machine": machine(),
            "command": command_line(),
        }

    @contextlib.contextmanager
    def stage(self, name: str, sessions: JsonLines, component: object = None) -> Iterator[None]:
        """Time a stage and tell plugins when it is finished."""
        start = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - start
            told = component.notes() if isinstance(component, BaseRetriever | BaseRanker) else Notes()
            notes = {**told.facts, **told.counts}
            sessions.append([{"event": "stage", "stage": name, "seconds": seconds, "notes": notes}])
        self.announce("stage_finished", run=self.run, stage=name, seconds=seconds)

    def announce(self, hook: str, **arguments: Any) -> None:
        """Call an event hook; what raises is a warning, never the end of a run."""
        plugins = self.loaded.environment.plugins
        if plugins is not None:
            self.warnings += plugins.call_events(hook, **arguments)

    def retrieve_stage(self, candidates: CandidateLog, sessions: JsonLines) -> None:
        """Index and search, unless the log is complete."""
        total = sum(1 for _ in self.parts())
        if sum(1 for _ in candidates.lines()) == total:
            return
        retriever = self.loaded.retriever
        with self.stage("index", sessions):
            self.open_index()
        with self.stage("retrieve", sessions, retriever):
            retrieve(retriever, self.parts(), total, candidates, self.run.protocol, self.run.k, self.progress)

    def open_index(self) -> None:
        """Open the retriever's index of this knowledge base; built if it is not there, once more if damaged."""
        retriever, kb, cache = self.loaded.retriever, self.loaded.kb, self.loaded.environment.cache
        key = self.index_key()

        def build() -> Path:
            return cache.build("indexes", key, lambda partial: retriever.index(kb, partial))

        try:
            retriever.open(kb, build())
        except DataError as error:
            if cache.find("indexes", key) is None:
                raise
            self.warnings.append(f"{error.what} ({error.where}): it was built again")
            cache.discard("indexes", key)
            retriever.open(kb, build())

    def index_key(self) -> str:
        """Key of the index in the cache."""
        retriever = self.run.retriever
        return hash_json(
            {
                "kb": self.loaded.kb.sha256,
                "retriever": retriever.declared.qualified_name,
                "version": retriever.declared.plugin.version,
                "model": self.run.retriever_model,
                "identity": dict(self.loaded.retriever.index_identity()),
            }
        )[:32]

    def parts(self) -> Iterator[Mention]:
        """Every (part of a) mention that is searched, in order."""
        for _, mentions in self.subsets():
            for mention in mentions:
                yield from sub_mentions(mention.unlabelled(), self.run.protocol)

    def subsets(self) -> list[tuple[str, SubsetMentions]]:
        """The mentions of each subset, within the run's limit."""
        return [(s.subset, SubsetMentions(s, self.run.limit)) for s in self.loaded.subsets]

    def score(self, candidates: CandidateLog, rankings: RankingLog | None) -> Scored:
        """Score the finished logs."""
        loaded, run = self.loaded, self.run
        assert loaded.environment.plugins is not None  # noqa: S101 - sessions always carry them
        return score_run(
            ScoringInput(
                subsets=self.subsets(),
                candidates=candidates,
                rankings=rankings,
                kb=loaded.kb,
                protocol=run.protocol,
                metrics=load_metrics(loaded.environment.plugins, (*DEFAULT_METRICS, *run.metrics)),
                k=run.k,
                rerank_depth=run.rerank_depth,
                interpolation=None if loaded.ranker is None else loaded.ranker.interpolation,
                seed=run.seed,
                trained_on=loaded.retriever.trained_on,
                predictions=self.folder / PREDICTIONS,
                progress=self.progress,
            )
        )

    def rank_stage(self, candidates: CandidateLog, sessions: JsonLines) -> RankingLog | None:
        """Rank the first `rerank_depth` candidates of each mention; None without a ranker."""
        ranker, rerank_depth = self.loaded.ranker, self.run.rerank_depth
        if ranker is None or rerank_depth is None:
            return None
        path = self.folder / RANKINGS

        def items() -> Iterator[Item]:
            for mention, record in zip(self.parts(), candidates.lines(), strict=True):
                yield mention, candidates_of(record)[:rerank_depth]

        total = sum(1 for _ in self.parts())
        with self.stage("rank", sessions, ranker):
            rank(ranker, items(), total, path, self.progress)
        return RankingLog(path, writable=False)

    def result(self, scored: Scored, candidates: CandidateLog, timing: Mapping[str, float]) -> Result:
        """The content of `result.json`."""
        notes = candidates.notes()
        ranker = self.loaded.ranker
        mix = None if ranker is None else ranker.interpolation
        return Result.model_validate_json(
            json.dumps(
                {
                    **self.run.describe(),
                    "interpolation": None if mix is None else dataclasses.asdict(mix),
                    "cutoffs": scored.cutoffs,
                    "metrics": scored.metrics,
                    "scores": {name: row.model_dump(mode="json") for name, row in scored.scores.items()},
                    "usage": scored.usage.model_dump(mode="json"),
                    "notes": {
                        "data": {
                            s.subset: dict(s.counts) for s in self.loaded.subsets if self.run.limit is None
                        },
                        "retriever": {**notes.facts, **notes.counts},
                        "gold_mapped": scored.gold_mapped,
                    },
                    "software": software(),
                    "timing": dict(timing),
                }
            )
        )


def stage_seconds(sessions: JsonLines) -> dict[str, float]:
    """Wall seconds of each stage, added up over the processes that worked on the run."""
    total: dict[str, float] = {}
    for record in sessions:
        if record["event"] == "stage":
            total[record["stage"]] = round(total.get(record["stage"], 0.0) + record["seconds"], 3)
    return total
