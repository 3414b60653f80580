"""Putting a report together: rows, charts and mentions of some runs, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bioelx_bench.progress import Progress
from bioelx_bench.records import LabelledMention
from bioelx_bench.results import AVERAGES
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.scoring.outcome import SubsetOutcome
from bioelx_bench_report import analysis, charts
from bioelx_bench_report.analysis import Row
from bioelx_bench_report.explorer import Dictionary, candidate_row, gold_names, mention_columns
from bioelx_bench_report.lists import Candidates, read_candidates
from bioelx_bench_report.loading import Runs

CALIBRATION_NOTE: Final = (
    "Confidence is the softmax of the evidence over a mention's candidates, at the candidate with the most; of "
    "mentions whose gold is among them. On the dotted line confidence is what it says. "
    "Expected calibration error: {}."
)


@dataclass(slots=True)
class Report:
    """What a page shows.

    Attributes:
        title: Its title.
        systems: What each run is, in pairs of label and text.
        scores: The score table: a row for each subset, average and run.
        cutoffs: The k of Recall@k in it.
        costs: Time, tokens and cost of each run.
        charts: The charts.
        data: The mentions (see `explorer`).
        missing: What is not shown, and why.
    """

    title: str
    systems: list[tuple[str, str]]
    scores: list[Row]
    cutoffs: tuple[int, ...]
    costs: list[Row]
    missing: tuple[str, ...]
    charts: list[charts.Chart] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def make_report(runs: Runs, progress: Progress) -> Report:
    """Read everything that a page shows of some runs.

    Raises:
        DataError: A run's log is damaged.
    """
    first = runs.runs[0].result
    info = first.dataset
    outcomes = [list(run.outcomes()) for run in runs.runs]
    table = runs.runs[0].predictions()
    ids = table.column("mention_id").to_pylist()
    columns = [table.column(name).to_pylist() for name in ("subset", "gold", "in_kb")]
    rows = list(zip(ids, *columns, strict=True))
    texts = None if runs.texts is None else [runs.texts[i] for i in ids]
    types = semantic_types(runs, rows, texts)
    concepts, names = Dictionary(), Dictionary()
    data = mention_columns(rows, texts, types, concepts)
    gold = dict.fromkeys(concept for row in rows for concept in row[2])
    data["runs"], calibrations = [], []
    for label, run in zip(runs.labels, runs.runs, strict=True):
        lists: list[tuple[Candidates, bool]] = []
        ranks = run.predictions()
        with progress.task(f"Reading {label}", total=len(ids), unit="mentions") as task:
            packed = []
            for candidates, row in zip(read_candidates(run, ids), rows, strict=True):
                packed.append(candidate_row(candidates, concepts, names))
                lists += judged(candidates, row[2])
                task.advance()
        data["runs"].append(
            {
                "label": label,
                "ranked": run.result.ranker is not None,
                "before": ranks.column("retrieval_rank").fill_null(0).to_pylist(),
                "after": ranks.column(f"{run.result.stage}_rank").fill_null(0).to_pylist(),
                "candidates": packed,
            }
        )
        temperature = 1.0 if run.interpolation is None else run.interpolation.temperature
        calibrations.append(analysis.calibration_rows(label, lists, temperature))
    found = gold_names(gold, runs.kb)
    data["goldNames"] = {concepts.number(c): [names.number(n) for n in texts_] for c, texts_ in found.items()}
    data["concepts"], data["names"] = concepts.texts, names.texts
    return Report(
        title=f"{info.name}@{info.revision} {info.split}, {len(ids):,} mentions, knowledge base {first.kb.name}",
        systems=[(label, describe(run)) for label, run in zip(runs.labels, runs.runs, strict=True)],
        scores=score_rows(runs),
        cutoffs=first.cutoffs,
        costs=[analysis.cost_row(label, run) for label, run in zip(runs.labels, runs.runs, strict=True)],
        missing=runs.missing,
        charts=make_charts(runs, outcomes, calibrations, rows, types),
        data=data,
    )


def judged(candidates: Candidates, gold: Sequence[str]) -> Iterator[tuple[Candidates, bool]]:
    """A mention's candidates, and whether the one of most evidence is right, where its gold was among the ranked."""
    pairs = zip(candidates.evidence, candidates.order, strict=False)
    said = [(value, place) for value, place in pairs if value is not None]
    if not said:
        return
    if any(candidates.concepts[place] in gold for _, place in said):
        best = max(said, key=lambda pair: (pair[0], -pair[1]))[1]
        yield candidates, candidates.concepts[best] in gold


def semantic_types(
    runs: Runs, rows: Sequence[tuple[Any, ...]], texts: Sequence[LabelledMention] | None
) -> list[Sequence[str]]:
    """Semantic types of each mention: the dataset's, else those of its gold in the knowledge base."""
    known: dict[str, tuple[str, ...]] = {}

    def of_concept(concept: str) -> tuple[str, ...]:
        if concept not in known:
            row = None if runs.kb is None else runs.kb.concept_row(concept)
            known[concept] = () if row is None or runs.kb is None else runs.kb.semantic_types_of(row)
        return known[concept]

    found: list[Sequence[str]] = []
    for number, row in enumerate(rows):
        annotated = () if texts is None else texts[number].semantic_types
        found.append(annotated or tuple(dict.fromkeys(t for concept in row[2] for t in of_concept(concept))))
    return found


def make_charts(
    runs: Runs,
    outcomes: Sequence[Sequence[SubsetOutcome]],
    calibrations: Sequence[list[Row]],
    rows: Sequence[tuple[Any, ...]],
    types: Sequence[Sequence[str]],
) -> list[charts.Chart]:
    """The charts of some runs, in the order of the page."""
    labels = runs.labels
    each = list(zip(labels, runs.runs, outcomes, strict=True))
    found = [charts.curve_chart([row for args in each for row in analysis.curve_rows(*args)], labels)]
    languages = [analysis.language_rows(run, parts) for _, run, parts in each]
    most = max((row["ceiling"] for rows_ in languages for row in rows_), default=1.0)
    for number, (label, rows_) in enumerate(zip(labels, languages, strict=True), 1):
        found.append(charts.language_chart(rows_, label, number, most))
    for number, (label, run, parts) in enumerate(each, 1):
        found.append(charts.error_chart(analysis.error_rows(run, parts), label, number))
    said = [(label, points) for label, points in zip(labels, calibrations, strict=True) if points]
    if said:
        errors = "; ".join(f"{label} {analysis.calibration_error(points) or 0:.3f}" for label, points in said)
        points = [row for _, rows_ in said for row in rows_]
        shown = [label for label, _ in said]
        found.append(charts.calibration_chart(points, labels, shown, CALIBRATION_NOTE.format(errors)))
    mentions = split_mentions(runs, rows, outcomes[0])
    kinds = {row[0]: found_types for row, found_types in zip(rows, types, strict=True)}
    slices = [
        row for label, run, parts in each for row in analysis.slice_rows(label, run, parts, mentions, kinds)
    ]
    found.append(charts.slice_chart(slices, labels))
    return found


def split_mentions(
    runs: Runs, rows: Sequence[tuple[Any, ...]], outcomes: Sequence[SubsetOutcome]
) -> list[list[LabelledMention]] | None:
    """The mentions of each subset, in the order of its outcome."""
    if runs.texts is None:
        return None
    by_subset: dict[str, list[LabelledMention]] = {outcome.name: [] for outcome in outcomes}
    for row in rows:
        by_subset[row[1]].append(runs.texts[row[0]])
    return list(by_subset.values())


def score_rows(runs: Runs) -> list[Row]:
    """The score table: each subset and average, and in it each run."""
    found = []
    for name in runs.runs[0].result.scores:
        for label, run in zip(runs.labels, runs.runs, strict=True):
            if (scores := run.result.scores.get(name)) is None:
                continue
            stage = scores.stage(run.result.stage)
            found.append(
                {
                    "subset": name,
                    "average": name in AVERAGES,
                    "run": label,
                    "n": scores.n,
                    "coverage": scores.coverage,
                    "figures": stage.figures,
                    "ci95": stage.ci95,
                    "in_kb": scores.in_kb.stage(run.result.stage).figures,
                    "retrieval": scores.retrieval.figures,
                    "without_candidates": scores.without_candidates,
                    "failed": scores.failed,
                }
            )
    return found


def describe(run: RunResult) -> str:
    """What a run is: components with options, models and versions."""
    result = run.result
    parts = []
    for kind, part in (("retriever", result.retriever), ("ranker", result.ranker)):
        if part is None:
            continue
        given = ", ".join(f"{key}={value}" for key, value in part.options_given.items())
        model = f", model {part.model}" if part.model else ""
        parts.append(f"{kind} {part.name} {part.version}{model}{f' ({given})' if given else ''}")
    depth = f", {result.rerank_depth} ranked" if result.rerank_depth else ""
    return f"{'; '.join(parts)}; {result.k} candidates{depth}; seed {result.seed}; run {result.run_id}"
