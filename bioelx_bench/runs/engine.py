"""Carrying out a run: load, index, retrieve, rank, score; stopped at any moment, it continues to the same result.

A run's folder holds `manifest.json` (what runs, written first), `candidates.jsonl` and `rankings.jsonl`
(append-only logs), `sessions.jsonl` (each process that worked on it), `predictions.parquet` (one row a mention),
`result.json` and `seal.json` (written last).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from bioelx_bench.base import NO_NOTES, Notes
from bioelx_bench.errors import BenchError
from bioelx_bench.events import StageName
from bioelx_bench.files import JsonLines, explain_os_errors, write_json
from bioelx_bench.results import SCHEMA_VERSION, ProtocolInfo, Result, ResultNotes
from bioelx_bench.runs.loading import LoadedRun, open_index
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog, candidates_of, damaged
from bioelx_bench.runs.provenance import code_revision, command_line, machine, software
from bioelx_bench.runs.ranking import CheckedRanker, ErrorBudget, Item, rank
from bioelx_bench.runs.result import read_result
from bioelx_bench.runs.retrieval import CheckedRetriever, is_complete, merged_notes, notes_of, retrieve
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.runs.seal import MANIFEST, PREDICTIONS, RESULT, seal, verify
from bioelx_bench.scoring.evaluation import DEFAULT_METRICS, NamedMetric, load_metrics
from bioelx_bench.scoring.score import Scored, ScoringInput, score_run

SESSIONS: Final = "sessions.jsonl"


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


def execute(loaded: LoadedRun) -> Outcome:
    """Carry out a run, or continue it; a finished one is given as it is, with metrics it lacks scored from its logs.

    Raises:
        BenchError: The run failed, or another process carries it out; what was done is kept.
    """
    config = loaded.plan.config
    folder = config.output.expanduser() / loaded.run.id
    fresh = config.fresh or not reusable(loaded)
    plugins = loaded.parts.environment.plugins
    assert plugins is not None  # noqa: S101 - workspaces always carry them
    metrics = load_metrics(plugins, (*DEFAULT_METRICS, *config.metrics))
    if not fresh and (finished := finished_run(loaded, folder)) is not None:
        return with_metrics(finished, metrics)
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder):
        if fresh:
            clear(folder)
        elif (finished := finished_run(loaded, folder)) is not None:
            return with_metrics(finished, metrics)
        return RunExecution(loaded, folder, metrics, fresh=fresh).perform()


def reusable(loaded: LoadedRun) -> bool:
    """Whether an earlier result may be shown: live objects that do not say what they depend on are asked anew."""
    ranker = loaded.plan.ranker
    return loaded.plan.retriever.reusable and (ranker is None or ranker.reusable)


def finished_run(loaded: LoadedRun, folder: Path) -> RunResult | None:
    """The finished run in a folder, or None.

    Raises:
        DataError: Its files were changed afterwards, or it is of another version.
    """
    if not (folder / RESULT).is_file():
        return None
    result = read_result(folder / RESULT)
    verify(folder)
    return RunResult(folder, result, mentions=lambda: dict(loaded.mentions.labelled()), kb=loaded.parts.kb)


def with_metrics(finished: RunResult, metrics: tuple[NamedMetric, ...]) -> Outcome:
    """A finished run, scored again from its logs where a metric is missing."""
    known = finished.result.metrics
    if {metric.name for metric in metrics} <= set(known):
        return Outcome(finished, computed=False)
    return Outcome(finished.rescore(metrics), computed=False)


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
    with explain_os_errors(folder):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink()


class RunExecution:
    """One process's work on a run."""

    def __init__(
        self, loaded: LoadedRun, folder: Path, metrics: tuple[NamedMetric, ...], *, fresh: bool
    ) -> None:
        self.loaded = loaded
        self.run = loaded.run
        self.folder = folder
        self.metrics = metrics
        self.fresh = fresh
        self.progress = loaded.parts.environment.progress
        self.warnings: list[str] = []

    def perform(self) -> Outcome:
        """Do every stage and write the result."""
        self.warnings += changed_code(self.run.identity(), self.folder)
        self.write_manifest()
        candidates = CandidateLog(self.folder / CANDIDATES)
        sessions = JsonLines(self.folder / SESSIONS)
        try:
            sessions.append([self.session_started()])
            self.notify_plugins("run_started")
            self.stage_done("load", self.loaded.seconds, sessions)
            self.retrieve_stage(candidates, sessions)
            rankings = self.rank_stage(candidates, sessions)
            with self.stage("score", sessions):
                scored = self.score(candidates, rankings)
            result = self.result(scored, candidates, sessions)
            write_json(self.folder / RESULT, result.model_dump(mode="json"))
            candidates.close()
            seal(self.folder)
            self.notify_plugins("run_finished", result=result)
        finally:
            candidates.close()
            sessions.close()
        mentions = self.loaded.mentions
        run = RunResult(
            self.folder, result, mentions=lambda: dict(mentions.labelled()), kb=self.loaded.parts.kb
        )
        return Outcome(run, self.warnings)

    def write_manifest(self) -> None:
        """Record, once, everything the run's figures come from."""
        path = self.folder / MANIFEST
        if path.exists():
            return
        data = {
            s.name: {"sha256": s.sha256, "sources": dict(s.sources), "counts": dict(s.counts)}
            for s in self.loaded.mentions.subsets
        }
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                **self.run.info().model_dump(mode="json"),
                "identity": self.run.identity(),
                "data": data,
                "kb_manifest": self.loaded.parts.kb.manifest.model_dump(mode="json"),
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
    def stage(self, name: StageName, sessions: JsonLines) -> Iterator[None]:
        """Time a stage and tell plugins when it is finished; its time counts even if it fails."""
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.record_stage(name, time.monotonic() - start, sessions)
            raise
        self.stage_done(name, time.monotonic() - start, sessions)

    def stage_done(self, name: StageName, seconds: float, sessions: JsonLines) -> None:
        """Record a finished stage and tell plugins."""
        self.record_stage(name, seconds, sessions)
        self.notify_plugins("stage_finished", stage=name, seconds=seconds)

    def record_stage(self, name: StageName, seconds: float, sessions: JsonLines) -> None:
        """Write a stage's time, and what the ranker noted in it, to `sessions.jsonl`."""
        notes = NO_NOTES
        ranker = self.loaded.plan.ranker
        if name == "rank" and self.loaded.parts.ranker is not None and ranker is not None:
            notes = notes_of(self.loaded.parts.ranker, ranker.origin)
        record = {"event": "stage", "stage": name, "seconds": seconds}
        sessions.append([record | {"counts": dict(notes.counts), "facts": dict(notes.facts)}])

    def notify_plugins(self, hook: str, **arguments: Any) -> None:
        """Call an event hook; what raises is a warning, never the end of a run."""
        plugins = self.loaded.parts.environment.plugins
        if plugins is not None:
            self.warnings += plugins.call_events(hook, run=self.run.info(), **arguments)

    def retrieve_stage(self, candidates: CandidateLog, sessions: JsonLines) -> None:
        """Index and search, unless the log is complete."""
        loaded, protocol = self.loaded, self.run.protocol
        total = loaded.mentions.count_parts(protocol)
        with self.stage("index", sessions):
            if is_complete(candidates, total):
                return self.stage_done("retrieve", 0.0, sessions)
            self.warnings += open_index(loaded.parts, fresh=self.fresh)
        origin = loaded.plan.retriever.origin
        checked = CheckedRetriever(loaded.parts.retriever, origin, loaded.parts.kb, self.run.k, protocol.unit)
        with self.stage("retrieve", sessions):
            retrieve(checked, loaded.mentions.parts(protocol), total, candidates, self.progress)
        return None

    def rank_stage(self, candidates: CandidateLog, sessions: JsonLines) -> RankingLog | None:
        """Rank the first `rerank_depth` candidates of each mention; None without a ranker."""
        loaded, rerank_depth = self.loaded, self.run.rerank_depth
        component = loaded.plan.ranker
        if loaded.parts.ranker is None or component is None or rerank_depth is None:
            return None
        path = self.folder / RANKINGS

        def items() -> Iterator[Item]:
            parts = loaded.mentions.parts(self.run.protocol)
            for mention, line in zip(parts, candidates.lines(), strict=True):
                yield mention, candidates_of(line)[:rerank_depth]

        limit = loaded.plan.config.max_errors
        budget = ErrorBudget(loaded.parts.ranker.max_errors if limit is None else limit, len(loaded.mentions))
        with self.stage("rank", sessions):
            rank(CheckedRanker(loaded.parts.ranker, component.origin), items(), budget, path, self.progress)
        return RankingLog(path, writable=False)

    def score(self, candidates: CandidateLog, rankings: RankingLog | None) -> Scored:
        """Compute every figure from the logs."""
        loaded, run = self.loaded, self.run
        return score_run(
            ScoringInput(
                subsets=loaded.mentions.labelled(),
                candidates=candidates,
                rankings=rankings,
                kb=loaded.parts.kb,
                protocol=run.protocol,
                gold_scheme=run.dataset.id_scheme,
                metrics=self.metrics,
                k=run.k,
                rerank_depth=run.rerank_depth,
                predictions=self.folder / PREDICTIONS,
                interpolation=None if loaded.parts.ranker is None else loaded.parts.ranker.interpolation,
                seed=run.seed,
                trained_on=loaded.parts.retriever.trained_on,
                progress=self.progress,
            )
        )

    def result(self, scored: Scored, candidates: CandidateLog, sessions: JsonLines) -> Result:
        """The content of `result.json`."""
        run, ranker = self.run, self.loaded.parts.ranker
        mix = None if ranker is None else ranker.interpolation
        stages = finished_stages(sessions)
        retriever, ranked = candidates.notes(), merged_notes([s for s in stages if s["stage"] == "rank"])
        return Result(
            run_id=run.id,
            dataset=run.dataset,
            kb=run.kb,
            retriever=run.retriever,
            ranker=run.ranker,
            protocol=ProtocolInfo(**run.protocol.describe()),
            k=run.k,
            rerank_depth=run.rerank_depth,
            interpolation=None if mix is None else {"weight": mix.weight, "temperature": mix.temperature},
            seed=run.seed,
            cutoffs=scored.cutoffs,
            metrics=scored.metrics,
            scores=scored.scores,
            usage=scored.usage,
            notes=ResultNotes(
                data={s.name: dict(s.counts) for s in self.loaded.mentions.subsets},
                retriever=flat_notes(retriever),
                ranker=flat_notes(ranked),
                gold_mapped=scored.gold_mapped,
            ),
            software=software(),
            timing=stage_seconds(stages),
        )


def flat_notes(notes: Notes) -> dict[str, Any]:
    """Notes as a result holds them: facts and counts in one mapping."""
    return {**notes.facts, **notes.counts}


def finished_stages(sessions: JsonLines) -> list[dict[str, Any]]:
    """The records of stages.

    Raises:
        DataError: The log was changed.
    """
    found = []
    for number, record in enumerate(sessions, 1):
        match record:
            case {
                "event": "stage",
                "stage": str(),
                "seconds": int() | float(),
                "counts": dict(),
                "facts": dict(),
            }:
                if any(type(count) is not int for count in record["counts"].values()):
                    raise damaged(sessions.path, number, ValueError("a count is no whole number"))
                found.append(record)
            case {"event": "started"}:
                pass
            case _:
                raise damaged(sessions.path, number, ValueError("it is not what a run writes there"))
    return found


def stage_seconds(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Wall seconds of each stage, added up over the processes that worked on the run."""
    total: dict[str, float] = {}
    for record in stages:
        total[record["stage"]] = round(total.get(record["stage"], 0.0) + record["seconds"], 3)
    return total


def changed_code(identity: Mapping[str, Any], folder: Path) -> list[str]:
    """Which components' code changed since an earlier run that was the same otherwise."""
    if (folder / MANIFEST).exists():
        return []
    plain, codes = without_code(identity)
    for path in sorted(folder.parent.glob(f"*/{MANIFEST}")):
        try:
            other = json.loads(path.read_text(encoding="utf-8"))["identity"]
            same, earlier = without_code(other)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if same == plain and earlier != codes:
            changed = " and ".join(kind for kind in codes if codes[kind] != earlier.get(kind))
            return [
                f"the code of the {changed} is another one than in the run {path.parent.name}: this is a run of "
                "its own, with an index of its own"
            ]
    return []


def without_code(identity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's identity without the hashes and versions of code, and those by component."""
    plain, codes = dict(identity), {}
    for kind in ("retriever", "ranker"):
        part = plain.get(kind)
        if part is not None:
            codes[kind] = (part.get("version"), part.get("code"))
            plain[kind] = {k: v for k, v in part.items() if k not in {"version", "code"}}
    return plain, codes
