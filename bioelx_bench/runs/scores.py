"""The scoring stage: from the logs of a run to its scores."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioelx_bench.errors import BenchError
from bioelx_bench.files import JsonLines
from bioelx_bench.options import load_object
from bioelx_bench.records import LabelledMention
from bioelx_bench.runs.request import LoadedRun
from bioelx_bench.runs.retrieval import CandidateLog
from bioelx_bench.scoring.gold import GoldConcepts
from bioelx_bench.scoring.metric import DEFAULT_KS, NO_HIT, RecallAtK
from bioelx_bench.scoring.protocols import sub_mentions
from bioelx_bench.scoring.summary import SubsetOutcome, summarise
from bioelx_bench.scoring.surface import Surfaces, find_surfaces

USAGE_KEYS: Final = ("calls", "prompt_tokens", "completion_tokens", "cost_usd")

Lists = list[list[list[str]]]


@dataclasses.dataclass(slots=True)
class RankedLists:
    """What the rankings log holds, by mention.

    Attributes:
        concepts: Ranked concept ids; empty for a mention answered with "none of these".
        usage: Calls, tokens and cost added up, and `fallbacks`, `errors`, `nil`.
    """

    concepts: dict[str, list[str]]
    usage: dict[str, Any]


def read_rankings(log: JsonLines | None) -> RankedLists:
    """Read a rankings log; the first line of a mention counts."""
    concepts: dict[str, list[str]] = {}
    sums: Counter[str] = Counter()
    cost = 0.0
    fallbacks: Counter[str] = Counter()
    for record in log or ():
        if record["mention_id"] in concepts:
            continue
        nil = record["nil"]
        concepts[record["mention_id"]] = [] if nil else [sys.intern(c[0]) for c in record["candidates"]]
        usage = record["usage"]
        sums.update({key: usage[key] for key in USAGE_KEYS if key != "cost_usd"})
        cost += usage["cost_usd"]
        fallbacks.update(record["fallbacks"])
        sums.update({"nil": int(nil), "errors": int(record["status"] == "failed")})
    usage = {
        "calls": sums["calls"],
        "prompt_tokens": sums["prompt_tokens"],
        "completion_tokens": sums["completion_tokens"],
        "cost_usd": round(cost, 9),
        "fallbacks": dict(sorted(fallbacks.items())),
        "errors": sums["errors"],
        "nil": sums["nil"],
    }
    return RankedLists(concepts, usage)


def limited(loaded: LoadedRun) -> Iterator[tuple[str, Iterator[LabelledMention]]]:
    """The mentions of each subset of the run, within its limit."""
    for subset in loaded.subsets:
        yield subset.subset, first(subset.mentions(), loaded.run.limit)


def first(mentions: Iterator[LabelledMention], limit: int | None) -> Iterator[LabelledMention]:
    """At most `limit` mentions."""
    for number, mention in enumerate(mentions):
        if limit is not None and number >= limit:
            return
        yield mention


def cutoffs(k: int, rerank_depth: int | None) -> list[int]:
    """The k of Recall@k: the usual ones up to the number retrieved, that number, and the number ranked."""
    extra = {k} if rerank_depth is None else {k, rerank_depth}
    return sorted({c for c in DEFAULT_KS if c <= k} | extra)


@dataclasses.dataclass(frozen=True, slots=True)
class Scored:
    """What scoring gives.

    Attributes:
        scores: Figures by subset, `macro` and `micro`.
        usage: What ranking cost.
        cutoffs: The k of Recall@k.
        predictions: One row a mention, see `predictions_table`.
        gold_mapped: Mentions in each subset whose gold was retired and stands for its successors.
    """

    scores: dict[str, Any]
    usage: dict[str, Any]
    cutoffs: list[int]
    predictions: pa.Table
    gold_mapped: dict[str, int]


def score(loaded: LoadedRun, candidates: CandidateLog, rankings: JsonLines | None) -> Scored:
    """Score a run whose logs are complete.

    Raises:
        BenchError: The candidates log is not that of the run's mentions.
    """
    run = loaded.run
    ks = cutoffs(run.k, run.rerank_depth)
    ranked = read_rankings(rankings)
    records = candidates.records()
    surfaces = find_surfaces(
        loaded.kb, (m.text for _, mentions in limited(loaded) for m in mentions), loaded.environment.progress
    )
    outcomes: dict[str, SubsetOutcome] = {}
    tables: list[pa.Table] = []
    gold = GoldConcepts(loaded.kb, run.protocol)
    mapped: dict[str, int] = {}
    for name, mentions in limited(loaded):
        chosen, lists, mapped[name] = collect(mentions, records, gold, loaded)
        after = None if rankings is None else rerank(chosen, lists, ranked)
        outcomes[name] = outcome_of(chosen, lists, after, loaded, gold, surfaces, ks)
        tables.append(predictions_table(name, chosen, lists if after is None else after, outcomes[name]))
    return Scored(summarise(outcomes, ks, run.seed), ranked.usage, ks, pa.concat_tables(tables), mapped)


def rerank(mentions: list[LabelledMention], lists: Lists, ranked: RankedLists) -> Lists:
    """The candidate lists as the ranker ordered them.

    Raises:
        BenchError: A mention has no ranking, so the log lost one.
    """
    missing = next((m.id for m in mentions if m.id not in ranked.concepts), None)
    if missing is not None:
        raise BenchError(
            f"the rankings log has no line for {missing}",
            why="the retriever's order in its place would be a figure of another system",
            hint="repeat the command: it asks only for what is missing",
        )
    return [[reordered(ranked.concepts[m.id], parts[0])] for m, parts in zip(mentions, lists, strict=True)]


def predictions_table(
    name: str, mentions: list[LabelledMention], final: Lists, outcome: SubsetOutcome
) -> pa.Table:
    """What a run says of each mention, for error analysis and paired tests.

    Columns: `mention_id`, `subset`, `document_id`, `mention`, `gold`, `predicted` (the first concept, null for
    none; of the first part where the protocol splits), `in_kb`, `retrieval_rank` and `ranking_rank` (rank of the
    hit; null for no hit, and for `ranking_rank` where nothing ranked).
    """

    def rank_column(ranks: npt.NDArray[np.int32] | None) -> pa.Array:
        if ranks is None:
            return pa.nulls(len(mentions), pa.int32())
        return pa.array(ranks, pa.int32(), mask=ranks == NO_HIT)

    return pa.table(
        {
            "mention_id": pa.array([m.id for m in mentions], pa.string()),
            "subset": pa.array([name] * len(mentions), pa.string()),
            "document_id": pa.array([m.document.id for m in mentions], pa.string()),
            "mention": pa.array([m.text for m in mentions], pa.string()),
            "gold": pa.array([list(m.gold) for m in mentions], pa.list_(pa.string())),
            "predicted": pa.array([p[0][0] if p and p[0] else None for p in final], pa.string()),
            "in_kb": pa.array(outcome.in_kb.tolist(), pa.bool_()),
            "retrieval_rank": rank_column(outcome.retrieval),
            "ranking_rank": rank_column(outcome.ranking),
        }
    )


def collect(
    mentions: Iterator[LabelledMention],
    records: Iterator[Mapping[str, Any]],
    gold: GoldConcepts,
    loaded: LoadedRun,
) -> tuple[list[LabelledMention], Lists, int]:
    """Join mentions with the log.

    Under the policy `nil=skip` mentions whose gold is in no knowledge base are left out.

    Returns:
        Mentions with their gold as the knowledge base knows it and without the text of their documents; for each
        its parts' candidate concept ids, best first; and how many mentions' gold was mapped.
    """
    protocol = loaded.run.protocol
    mapped = 0
    chosen: list[LabelledMention] = []
    lists: Lists = []
    for mention in mentions:
        parts: list[list[str]] = []
        for part in sub_mentions(mention, protocol):
            record = next(records, None)
            if record is None or record["mention_id"] != part.id:
                found = "its end" if record is None else record["mention_id"]
                raise BenchError(
                    f"the candidates log has {found} where {part.id} should be",
                    hint="repeat the run with --fresh",
                )
            parts.append([sys.intern(c[0]) for c in record["candidates"]])
        current = gold.current(mention)
        mapped += current != mention.gold
        if protocol.nil == "count" or gold.known(current):
            document = dataclasses.replace(mention.document, text="")
            chosen.append(dataclasses.replace(mention, document=document, gold=current))
            lists.append(parts)
    return chosen, lists, mapped


def outcome_of(
    mentions: list[LabelledMention],
    lists: Lists,
    after: Lists | None,
    loaded: LoadedRun,
    known: GoldConcepts,
    surfaces: Surfaces,
    ks: list[int],
) -> SubsetOutcome:
    """Hit ranks, flags and further metrics of one subset."""
    gold = [list(m.gold) for m in mentions]
    documents: dict[str, int] = {}
    numbers = [documents.setdefault(m.document.id, len(documents)) for m in mentions]
    stages = {"retrieval": lists} | ({"ranking": after} if after is not None else {})
    return SubsetOutcome(
        retrieval=hit_ranks(lists, gold, loaded, ks),
        ranking=None if after is None else hit_ranks(after, gold, loaded, ks),
        in_kb=np.fromiter((known.known(ids) for ids in gold), np.bool_),
        documents=np.asarray(numbers, dtype=np.int64),
        slices=slices(mentions, surfaces, loaded),
        extra={stage: extra_metrics(values, gold, loaded) for stage, values in stages.items()},
    )


def reordered(ranked: list[str], retrieved: list[str]) -> list[str]:
    """The ranked concepts, then the rest of the retriever's list in its order."""
    known = set(ranked)
    return ranked + [concept for concept in retrieved if concept not in known] if ranked else []


def hit_ranks(lists: Lists, gold: list[list[str]], loaded: LoadedRun, ks: list[int]) -> npt.NDArray[np.int32]:
    """Hit ranks through the metric, shape (mentions,)."""
    if not lists:
        return np.empty(0, dtype=np.int32)
    metric = RecallAtK(config_name="parts", keep_in_memory=True)
    answer = metric.compute(
        predictions=lists, references=gold, ks=ks, match=loaded.run.protocol.match, with_ranks=True
    )
    ranks: npt.NDArray[np.int32] = answer["hit_ranks"]
    return ranks


def extra_metrics(lists: Lists, gold: list[list[str]], loaded: LoadedRun) -> dict[str, float]:
    """Metrics of plugins that the run asks for, over whole (unsplit) candidate lists."""
    plugins = loaded.environment.plugins
    figures: dict[str, float] = {}
    for name in loaded.run.metrics if lists and plugins else ():
        assert plugins is not None  # noqa: S101 - checked in the line above
        metric = load_object(plugins.get("metrics", name).spec.factory, f"the metric {name!r}")(
            keep_in_memory=True
        )
        answer = metric.compute(predictions=[parts[0] for parts in lists], references=gold)
        figures |= {key: float(value) for key, value in answer.items()}
    return figures


def slices(
    mentions: list[LabelledMention], surfaces: Surfaces, loaded: LoadedRun
) -> dict[str, npt.NDArray[np.bool_]]:
    """Halves of the mentions by surface.

    `exact`: a gold concept bears the mention's string as a name; `ambiguous`: several concepts bear it; `seen`:
    it is a name in the knowledge base or among the aliases the retriever was trained on; `trained`: it is
    among those aliases (only for a retriever that knows them, by an optional method `trained_on`).
    """
    texts = [m.text for m in mentions]
    flags = {
        "exact": [surfaces.is_exact(m.text, m.gold) for m in mentions],
        "ambiguous": [surfaces.is_ambiguous(t) for t in texts],
    }
    named = [surfaces.is_name(t) for t in texts]
    trained_on = getattr(loaded.retriever, "trained_on", None)
    trained = trained_on(texts) if callable(trained_on) else None
    if trained is not None:
        flags["trained"] = list(trained)
        named = [a or b for a, b in zip(named, trained, strict=True)]
    flags["seen"] = named
    opposites = {"exact": "inexact", "ambiguous": "unambiguous", "seen": "unseen", "trained": "untrained"}
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for name, values in flags.items():
        mask = np.asarray(values, dtype=np.bool_)
        found[name], found[opposites[name]] = mask, ~mask
    return found
