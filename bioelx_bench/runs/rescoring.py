"""`rescore`: a run's logs with another mix of retriever scores and evidence, as a run of its own."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bioelx_bench.errors import UsageError
from bioelx_bench.files import explain_os_errors, hash_json, write_json
from bioelx_bench.records import Interpolation
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.runs.seal import MANIFEST, PREDICTIONS, RESULT, seal, verify
from bioelx_bench.scoring.evaluation import NamedMetric
from bioelx_bench.scoring.protocols import ScoringProtocol
from bioelx_bench.scoring.remix import remix_predictions
from bioelx_bench.scoring.summary import summarise

ID_LENGTH = 16


def rescore(
    run: RunResult, interpolation: Interpolation | None, metrics: list[NamedMetric], output: Path
) -> RunResult:
    """Score a ranked run again with another mix; nothing is retrieved or asked.

    Args:
        run: A finished run with a ranker.
        interpolation: The mix; None takes the ranker's own order.
        metrics: What is computed.
        output: Folder of runs. The new run's logs are links to those of `run` where the file system allows it.

    Returns:
        The new run: its manifest says from which run and with which mix it was scored, and its id follows from both.

    Raises:
        UsageError: The run has no ranker, or the mix is out of range.
        DataError: A file of the run was changed.
    """
    result = run.result
    if result.ranker is None or result.rerank_depth is None:
        raise UsageError(
            f"the run {result.run_id} has no ranker whose evidence could be mixed",
            hint="give a run with --ranker",
        )
    verify(run.folder)
    manifest = run.manifest()
    origin = manifest.get(
        "rescored_from", {"identity": manifest.get("identity", {}), "run_id": result.run_id}
    )
    mix = None if interpolation is None else asdict(interpolation)
    identity: dict[str, Any] = {**origin["identity"], "interpolation": mix}
    run_id = hash_json(identity)[:ID_LENGTH]
    folder = output / run_id
    link_logs(run.folder, folder)
    remix_predictions(
        run.folder / PREDICTIONS,
        folder / PREDICTIONS,
        CandidateLog(folder / CANDIDATES, writable=False),
        RankingLog(folder / RANKINGS, writable=False),
        protocol=ScoringProtocol(summary="", **result.protocol.model_dump()),
        rerank_depth=result.rerank_depth,
        interpolation=interpolation,
    )
    remixed = RunResult(
        folder,
        result.model_copy(
            update={"run_id": run_id, "interpolation": mix, "metrics": tuple(m.name for m in metrics)}
        ),
        run.mentions,
        run.kb,
    )
    scores = summarise(remixed.outcomes(), metrics, depth=result.k, cutoffs=result.cutoffs, seed=result.seed)
    changed = remixed.result.model_copy(update={"scores": scores})
    write_json(
        folder / MANIFEST,
        {**manifest, "run_id": run_id, "identity": identity, "interpolation": mix, "rescored_from": origin},
    )
    write_json(folder / RESULT, changed.model_dump(mode="json"))
    seal(folder)
    return RunResult(folder, changed, run.mentions, run.kb)


def link_logs(source: Path, folder: Path) -> None:
    """Make a run's folder that has another run's logs."""
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CANDIDATES, RANKINGS):
            link(source / name, folder / name)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that cannot be."""
    if target.exists() and source.samefile(target):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
