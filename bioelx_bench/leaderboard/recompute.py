"""Computing an entry's scores again from its candidate and ranking ids, the dataset and the knowledge base."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioelx_bench.errors import BenchError, MissingError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.leaderboard.entry import (
    CANDIDATES_FILE,
    CANDIDATES_SCHEMA,
    RANKINGS_FILE,
    RANKINGS_SCHEMA,
    RESULT_FILE,
    Entry,
    unpack,
)
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.results import GroupScores, SubsetScores
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog
from bioelx_bench.scoring.evaluation import NamedMetric
from bioelx_bench.scoring.protocols import ScoringProtocol
from bioelx_bench.scoring.score import Scored, ScoringInput, score_run

TOLERANCE = 1e-9
INTERVAL_TOLERANCE = 0.02
"""Draws of other versions of numpy may differ a little."""

TOLD_SLICES = ("seen", "unseen", "trained", "untrained")
"""Slices that depend on what a model was trained on, where it says so; only the model can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is needed beside the entry.

    Attributes:
        subsets: Name, hash and mentions of each subset.
        kb: The knowledge base.
        metrics: What is computed.
    """

    subsets: Sequence[tuple[str, str, Iterable[LabelledMention]]]
    kb: KnowledgeBase
    metrics: list[NamedMetric]


FindMaterial = Callable[[Entry], Material]
"""Finds what an entry needs on this machine, or raises `MissingError` or `UsageError`."""


def recomputed(entry: Entry, find: FindMaterial) -> tuple[list[str], str | None]:
    """What is wrong with an entry's scores, and why they could not be recomputed (None where they were)."""
    path = entry.folder / RESULT_FILE
    try:
        material = find(entry)
    except (MissingError, OSError) as error:
        return [], str(getattr(error, "what", error))
    wrong = [
        f"{path} (dataset.sha256.{name}): the mentions of {name} have another hash"
        for name, sha256, _ in material.subsets
        if entry.result.dataset.sha256.get(name) != sha256
    ]
    if material.kb.sha256 != entry.result.kb.sha256:
        return wrong, f"the knowledge base {entry.result.kb.name} is here in another version"
    if wrong:
        return wrong, None
    try:
        with tempfile.TemporaryDirectory() as folder:
            return list(differences(entry, score_entry(entry, material, Path(folder)))), None
    except BenchError as error:
        place = {CANDIDATES: CANDIDATES_FILE, RANKINGS: RANKINGS_FILE}
        name = next((f for log, f in place.items() if error.where and log in error.where), RESULT_FILE)
        return [f"{entry.folder / name}: {error.what}"], None


def score_entry(entry: Entry, material: Material, folder: Path) -> Scored:
    """Score an entry's ids.

    Raises:
        DataError: A table cannot be read, is of other mentions, or names a concept that the knowledge base lacks.
    """
    result = entry.result
    unpack(entry.folder / CANDIDATES_FILE, CANDIDATES_SCHEMA, folder / CANDIDATES)
    candidates = CandidateLog(folder / CANDIDATES, writable=False)
    check_concepts(candidates, material.kb, result.k)
    rankings = None
    if result.ranker is not None:
        unpack(entry.folder / RANKINGS_FILE, RANKINGS_SCHEMA, folder / RANKINGS)
        rankings = RankingLog(folder / RANKINGS, writable=False)
    mix = result.interpolation
    return score_run(
        ScoringInput(
            subsets=[(name, mentions) for name, _, mentions in material.subsets],
            candidates=candidates,
            rankings=rankings,
            kb=material.kb,
            protocol=ScoringProtocol(summary="", **result.protocol.model_dump()),
            gold_scheme=result.dataset.id_scheme,
            metrics=material.metrics,
            k=result.k,
            rerank_depth=result.rerank_depth,
            interpolation=None if mix is None else Interpolation(**mix),
            seed=result.seed,
            predictions=folder / "predictions.parquet",
        )
    )


def check_concepts(candidates: CandidateLog, kb: KnowledgeBase, k: int) -> None:
    """Make sure that every candidate is a concept of the knowledge base and no list is too long or unordered.

    Raises:
        DataError: One is not.
    """
    from bioelx_bench.errors import DataError

    known: set[str] = set()
    for line in candidates.lines():
        if len(line.concepts) > k or line.scores != sorted(line.scores, reverse=True):
            raise DataError(
                f"the candidates of {line.mention_id} are more than {k}, or not in order", where=CANDIDATES
            )
        for concept in line.concepts:
            if concept not in known:
                if concept not in kb:
                    raise DataError(
                        f"{concept!r}, a candidate of {line.mention_id}, is no concept of the knowledge base",
                        where=CANDIDATES,
                    )
                known.add(concept)


def differences(entry: Entry, scored: Scored) -> Iterator[str]:
    """Where an entry's result differs from what its ids give."""
    result, path = entry.result, entry.folder / RESULT_FILE
    if result.cutoffs != scored.cutoffs:
        yield f"{path} (cutoffs): they do not follow from k and rerank_depth"
    usage = scored.usage.model_dump()
    for field, value in result.usage.model_dump().items():
        same = abs(value - usage[field]) < 1e-6 if isinstance(value, float) else value == usage[field]
        if not same:
            yield f"{path} (usage.{field}): it is {value}, the rankings give {usage[field]}"
    for name, row in scored.scores.items():
        found = next(row_differences(result.scores[name], row), None)
        if found is not None:
            field, said, computed = found
            yield f"{path} (scores.{name}.{field}): it says {said}, the ids give {computed}"


def row_differences(said: SubsetScores, computed: SubsetScores) -> Iterator[tuple[str, object, object]]:
    """Fields of a row that differ."""
    for field in ("coverage", "without_candidates", "failed", "won", "lost"):
        if not close(getattr(said, field), getattr(computed, field)):
            yield field, getattr(said, field), getattr(computed, field)
    yield from group_differences("", said, computed)
    yield from group_differences("in_kb.", said.in_kb, computed.in_kb)
    for name in sorted(computed.slices.keys() - set(told_slices(said))):
        if name not in said.slices:
            yield f"slices.{name}", None, computed.slices[name].n
        else:
            yield from group_differences(f"slices.{name}.", said.slices[name], computed.slices[name])


def told_slices(said: SubsetScores) -> tuple[str, ...]:
    """The slices of a row that cannot be computed again: none where the retriever did not tell its training names."""
    return TOLD_SLICES if "trained" in said.slices else ()


def group_differences(
    prefix: str, said: GroupScores, computed: GroupScores
) -> Iterator[tuple[str, object, object]]:
    """Fields of a group that differ."""
    if said.n != computed.n:
        yield f"{prefix}n", said.n, computed.n
    if (said.ranking is None) != (computed.ranking is None):
        yield f"{prefix}ranking", said.ranking, computed.ranking
        return
    for stage in ("retrieval", "ranking") if computed.ranking else ("retrieval",):
        mine, theirs = computed.stage(stage), said.stage(stage)
        for figure, value in mine.figures.items():
            if figure not in theirs.figures or not close(theirs.figures[figure], value):
                yield f"{prefix}{stage}.figures.{figure}", theirs.figures.get(figure), value
        yield from interval_differences(f"{prefix}{stage}.ci95.", theirs.ci95, mine.ci95)


def interval_differences(
    prefix: str, said: Mapping[str, tuple[float, float]], computed: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, object, object]]:
    """Intervals that differ by more than draws can."""
    for figure, bounds in computed.items():
        theirs = said.get(figure)
        if (
            theirs is None
            or max(abs(a - b) for a, b in zip(bounds, theirs, strict=True)) > INTERVAL_TOLERANCE
        ):
            yield f"{prefix}{figure}", theirs, bounds


def close(said: float | None, computed: float | None) -> bool:
    """Whether two figures are the same."""
    if said is None or computed is None:
        return said is computed
    return abs(said - computed) <= TOLERANCE
