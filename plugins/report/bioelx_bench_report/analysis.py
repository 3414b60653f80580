"""What a report tells of runs beside the figures of their results, as plain rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.records import LabelledMention
from bioelx_bench.results import AVERAGES
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench.scoring.outcome import SubsetOutcome
from bioelx_bench_report.lists import Candidates

Row = dict[str, Any]
Flags = npt.NDArray[np.bool_]

NOT_IN_KB: Final = "not in KB"
NOT_RETRIEVED: Final = "not retrieved"
BELOW_FIRST: Final = "retrieved, not first"
LOST: Final = "lost by ranker"
WON: Final = "won by ranker"
RIGHT: Final = "right"
OUTCOMES: Final = (RIGHT, WON, LOST, BELOW_FIRST, NOT_RETRIEVED, NOT_IN_KB)
"""What became of a mention; exactly one holds."""

LENGTHS: Final = ((1, 5), (6, 10), (11, 20), (21, 40), (41, None))
"""Characters of mentions, from and to."""

FREQUENCIES: Final = ((1, 1), (2, 5), (6, 20), (21, None))
"""Mentions of the same concept in the data, from and to."""

MAX_TYPES: Final = 12
MIN_TYPE_MENTIONS: Final = 20
BINS: Final = 10


def outcome_flags(outcome: SubsetOutcome) -> dict[str, Flags]:
    """Which mentions of a subset had which outcome; exactly one is true for each."""
    found = outcome.retrieval.ranks < np.iinfo(np.int32).max
    before = outcome.retrieval.ranks == 1
    after = before if outcome.ranking is None else outcome.ranking.ranks == 1
    missed = ~before & ~after
    # a found mention whose gold the knowledge base lacks exists where not all of its gold is there
    known = outcome.in_kb | found
    return {
        RIGHT: before & after,
        WON: ~before & after,
        LOST: before & ~after,
        BELOW_FIRST: missed & found,
        NOT_RETRIEVED: missed & ~found & known,
        NOT_IN_KB: missed & ~known,
    }


def error_rows(run: RunResult, outcomes: Sequence[SubsetOutcome]) -> list[Row]:
    """Mentions of each outcome by subset, as counts and shares."""
    rows = []
    for outcome in outcomes:
        n = len(outcome)
        for number, (name, flags) in enumerate(outcome_flags(outcome).items()):
            if run.result.ranker is None and name in (WON, LOST):
                continue
            count = int(flags.sum())
            rows.append(
                {
                    "subset": outcome.name,
                    "outcome": name,
                    "order": number,
                    "mentions": count,
                    "share": count / n if n else 0.0,
                }
            )
    return rows


def curve_rows(label: str, run: RunResult, outcomes: Sequence[SubsetOutcome]) -> list[Row]:
    """Recall@k of each stage for every k up to the depth, in the mean of the subsets."""
    rows = []
    with_mentions = [outcome for outcome in outcomes if len(outcome)]
    for stage in ("retrieval", "ranking"):
        if not with_mentions or stage not in with_mentions[0].stages():
            continue
        recalls = np.array(
            [
                [(outcome.stages()[stage].ranks <= k).mean() for k in range(1, run.result.k + 1)]
                for outcome in with_mentions
            ]
        ).mean(axis=0)
        rows += [
            {"run": label, "stage": stage, "k": k, "recall": float(value)}
            for k, value in enumerate(recalls, 1)
        ]
    return rows


def language_rows(run: RunResult, outcomes: Sequence[SubsetOutcome]) -> list[Row]:
    """Recall@1 of each stage by subset, with what could be reached.

    The ceiling of a ranked run is the share of mentions whose gold is among the candidates that were ranked; without
    a ranker it is the share among all that were retrieved.
    """
    depth = run.result.rerank_depth or run.result.k
    rows = []
    for outcome in outcomes:
        if not len(outcome):
            continue
        ceiling = float((outcome.retrieval.ranks <= depth).mean())
        for stage, ranks in outcome.stages().items():
            rows.append(
                {
                    "subset": outcome.name,
                    "stage": stage,
                    "recall": float((ranks.ranks == 1).mean()),
                    "ceiling": ceiling,
                    "coverage": float(outcome.in_kb.mean()),
                }
            )
    return rows


def calibration_rows(label: str, lists: Iterable[tuple[Candidates, bool]], temperature: float) -> list[Row]:
    """How often the ranker's first candidate is right, by how sure the ranker was of it.

    Its confidence is the softmax of the evidence (log-odds, divided by the temperature) over the candidates that it
    saw, at the one with the most evidence. Only mentions whose gold is among these candidates count, since the ranker
    could not have been right about others.

    Args:
        label: The run.
        lists: Candidates of those mentions, and whether the one with the most evidence is right.
        temperature: The run's.
    """
    sums, rights, counts = np.zeros(BINS), np.zeros(BINS), np.zeros(BINS, np.int64)
    for candidates, right in lists:
        values = np.array([x for x in candidates.evidence if x is not None])
        if len(values) < 2:
            continue
        weights = np.exp((values - values.max()) / temperature)
        confidence = float(weights.max() / weights.sum())
        place = min(BINS - 1, int(confidence * BINS))
        sums[place] += confidence
        rights[place] += right
        counts[place] += 1
    return [
        {
            "run": label,
            "confidence": float(sums[b] / counts[b]),
            "accuracy": float(rights[b] / counts[b]),
            "mentions": int(counts[b]),
        }
        for b in range(BINS)
        if counts[b]
    ]


def calibration_error(rows: Sequence[Row]) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean distance of accuracy and confidence."""
    total = sum(row["mentions"] for row in rows)
    if not total:
        return None
    return float(sum(row["mentions"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / total)


def slice_rows(
    label: str,
    run: RunResult,
    outcomes: Sequence[SubsetOutcome],
    mentions: Sequence[Sequence[LabelledMention]] | None,
    types: Mapping[str, Sequence[str]],
) -> list[Row]:
    """Recall@1 of the last stage over parts of all mentions.

    Args:
        label: The run.
        run: The run.
        outcomes: Its outcomes by subset.
        mentions: The mentions of each subset, in order; None where there are no texts.
        types: Semantic types of mentions, by id.
    """
    stage = run.result.stage
    right = np.concatenate([(outcome.stages()[stage].ranks == 1) for outcome in outcomes])
    groups: list[tuple[str, str, Flags]] = []
    for name in outcomes[0].slices():
        members = np.concatenate([outcome.slices()[name] for outcome in outcomes])
        groups.append(("surface", name, members))
    gold = [ids for outcome in outcomes for ids in outcome.gold()]
    frequency = Counter(concept for ids in gold for concept in set(ids))
    often = np.array([max((frequency[c] for c in ids), default=0) for ids in gold])
    groups += [("frequency", span(*f), within(often, *f)) for f in FREQUENCIES]
    if mentions is not None:
        flat = [mention for part in mentions for mention in part]
        sizes = np.array([len(mention.text) for mention in flat])
        groups += [("characters", span(*bounds), within(sizes, *bounds)) for bounds in LENGTHS]
        counts = Counter(t for mention in flat for t in set(types.get(mention.id, ())))
        for name, count in counts.most_common(MAX_TYPES):
            if count >= MIN_TYPE_MENTIONS:
                has = np.array([name in types.get(mention.id, ()) for mention in flat])
                groups.append(("semantic type", name, has))
    rows = []
    for order, (kind, name, members) in enumerate(groups):
        n = int(members.sum())
        if n:
            rows.append({"run": label, "kind": kind, "slice": name, "order": order, "n": n})
            rows[-1] |= proportion(int(right[members].sum()), n)
    return rows


def proportion(count: int, n: int) -> Row:
    """A share with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    interval = binomtest(count, n).proportion_ci(method="wilson")
    return {"recall": count / n, "low": float(interval.low), "high": float(interval.high)}


def span(low: int, high: int | None) -> str:
    """A span of whole numbers as people write it."""
    return f"{low}" if low == high else f"{low} and more" if high is None else f"{low} to {high}"


def within(values: npt.NDArray[np.int64], low: int, high: int | None) -> Flags:
    """Which values are in a span."""
    flags: Flags = (values >= low) & (True if high is None else values <= high)
    return flags


def cost_row(label: str, run: RunResult) -> Row:
    """What a run took: seconds by stage, tokens, money."""
    result, usage = run.result, run.result.usage
    mentions = sum(s.n for name, s in result.scores.items() if name not in AVERAGES)
    return {
        "run": label,
        "mentions": mentions,
        **{f"{stage} s": seconds for stage, seconds in result.timing.items()},
        "calls": usage.calls,
        "prompt tokens": usage.prompt_tokens,
        "completion tokens": usage.completion_tokens,
        "cost USD": usage.cost_usd,
        "failed": usage.errors,
    }
