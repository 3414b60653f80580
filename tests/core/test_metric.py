from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.metrics import NO_HIT, Hits
from bioelx_bench.scoring import figures
from bioelx_bench.scoring.evaluation import NamedMetric, evaluate, evaluate_all
from bioelx_bench.scoring.matching import gold_ranks, mention_ranks, offsets_of, sort_within

concepts = st.sampled_from([f"C{i:07d}" for i in range(8)])
pairs = st.lists(
    st.tuples(st.lists(concepts, unique=True), st.lists(concepts, min_size=1, unique=True)), min_size=1
)


def hits_of(pairs: list[tuple[list[str], list[str]]], depth: int = 10, match: Any = "any") -> Hits:
    offsets = offsets_of([len(ids) for _, ids in pairs])
    ranks = gold_ranks([p for p, _ in pairs], [ids for _, ids in pairs])
    return Hits(
        ranks=mention_ranks(ranks, offsets, match),
        gold_ranks=sort_within(ranks, offsets),
        gold_offsets=offsets,
        depth=depth,
        cutoffs=(1, 2, 5, 10),
        lists=lambda: [p for p, _ in pairs],
        gold=lambda: [g for _, g in pairs],
    )


def hit_rank(predicted: list[str], gold: list[str], match: str) -> int:
    """The definition, written as it reads."""
    found = [predicted.index(g) + 1 if g in predicted else NO_HIT for g in gold]
    return (min if match == "any" else max)(found)


@given(pairs, st.sampled_from(["any", "all"]))
def test_ranks_agree_with_the_definition(pairs: Any, match: str) -> None:
    assert hits_of(pairs, match=match).ranks.tolist() == [hit_rank(p, g, match) for p, g in pairs]


@given(pairs)
def test_figures_agree_with_their_definitions(pairs: Any) -> None:
    hits = hits_of(pairs)
    found = {
        **figures.recall(hits),
        **figures.mrr(hits),
        **figures.average_precision(hits),
        **figures.ndcg(hits),
    }
    for i, (predicted, gold) in enumerate(pairs):
        first = hit_rank(predicted, gold, "any")
        assert found["mrr"][i] == pytest.approx(0 if first == NO_HIT else 1 / first)
        for k in (1, 2, 5, 10):
            relevant = [c in gold for c in predicted[:k]]
            assert found[f"recall@{k}"][i] == any(relevant)
            precision = sum(sum(relevant[: r + 1]) / (r + 1) for r, ok in enumerate(relevant) if ok)
            assert found[f"map@{k}"][i] == pytest.approx(precision / len(gold))
            gain = sum(ok / math.log2(r + 2) for r, ok in enumerate(relevant))
            ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(gold))))
            assert found[f"ndcg@{k}"][i] == pytest.approx(gain / ideal)


def test_a_mention_without_gold_scores_nothing() -> None:
    hits = hits_of([(["C0000001"], []), (["C0000001"], ["C0000001"])])
    for metric in (figures.recall, figures.mrr, figures.average_precision, figures.ndcg):
        for values in metric(hits).values():
            assert values[0] == 0
            assert values[1] == 1


def fails(hits: Hits) -> Any:
    raise ValueError("no luck")


WRONG: dict[str, tuple[Callable[[Hits], Any], str]] = {
    "shape": (lambda h: {"a": np.zeros(len(h) + 1)}, "the shape"),
    "nan": (lambda h: {"a": np.full(len(h), np.nan)}, "not finite"),
    "inf": (lambda h: {"a": np.full(len(h), np.inf)}, "not finite"),
    "range": (lambda h: {"a": np.full(len(h), 1.5)}, "outside its range"),
    "text": (lambda h: {"a": ["x"] * len(h)}, "no numbers"),
    "scalar": (lambda h: {"a": 0.5}, "the shape"),
    "list": (lambda h: [0.5], "a mapping"),
    "name": (lambda h: {"<b>": np.zeros(len(h))}, "no name"),
    "raises": (fails, "no luck"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_a_metric_s_values_is_refused_and_named(kind: str) -> None:
    function, expected = WRONG[kind]
    metric = NamedMetric(name="odd", plugin="acme/odd", function=function)
    with pytest.raises(BenchError) as error:
        evaluate(metric, hits_of([(["C0000001"], ["C0000001"])]))
    assert expected in str(error.value)
    assert "'odd'" in str(error.value)
    assert "acme/odd" in str(error.value)


def test_a_declared_range_is_the_metric_s_own() -> None:
    metric = NamedMetric(name="d", plugin="a/d", function=lambda h: {"d": h.ranks * 0 - 5.0}, bounds=(-10, 0))
    assert evaluate(metric, hits_of([(["C0000001"], ["C0000001"])]))["d"].tolist() == [-5.0]


def test_two_figures_of_one_name_are_refused() -> None:
    metric = NamedMetric(name="other", plugin="acme/other", function=figures.mrr)
    with pytest.raises(UsageError, match="both have a figure 'mrr'"):
        list(
            evaluate_all(
                [NamedMetric(name="mrr", plugin="bioelx-bench", function=figures.mrr), metric],
                hits_of([(["C0000001"], ["C0000001"])]),
            )
        )


def test_the_evaluate_metric_works_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from bioelx_bench.scoring.metric import RecallAtK

    metric = RecallAtK(keep_in_memory=True)
    answer: Mapping[str, float] = metric.compute(
        predictions=[["C1", "C2"], ["C3", "C4"], [], ["C9"]],
        references=[["C2"], ["C3", "C7"], ["C1"], ["C8"]],
        ks=[1, 2],
    )
    assert answer == {"recall@1": 0.25, "recall@2": 0.5}
    assert metric.compute(predictions=[["A", "B"]], references=[["A", "B"]], ks=[1, 2], match="all") == {
        "recall@1": 0.0,
        "recall@2": 1.0,
    }


def test_a_run_does_not_import_evaluate() -> None:
    import subprocess

    code = "import bioelx_bench.runs.engine, sys; print('evaluate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
