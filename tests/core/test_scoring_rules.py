"""The rules of scoring on examples that are worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.metrics import NO_HIT
from bioelx_bench.records import Document, Interpolation, LabelledMention
from bioelx_bench.scoring.figures import average_precision, mrr, ndcg, recall
from bioelx_bench.scoring.gold import GoldConcepts
from bioelx_bench.scoring.interpolation import ScoreScale, mix, order, score_scale
from bioelx_bench.scoring.intervals import bootstrap_sums, holm, interval, paired_p_value
from bioelx_bench.scoring.protocols import PROTOCOLS, find_protocol, part_ids, sub_mentions
from bioelx_bench.testing import make_knowledge_base, make_mention
from bioelx_bench.testing.metrics import make_hits

HITS = make_hits([(1,), (5,), (20,), (NO_HIT,), (2, 4), (1, NO_HIT)])


def test_recall() -> None:
    values = recall(HITS)
    assert values["recall@1"].tolist() == [1, 0, 0, 0, 0, 1]
    assert values["recall@5"].tolist() == [1, 1, 0, 0, 1, 1]
    assert values["recall@20"].tolist() == [1, 1, 1, 0, 1, 1]


def test_reciprocal_rank() -> None:
    assert mrr(HITS)["mrr"].tolist() == [1, 1 / 5, 1 / 20, 0, 1 / 2, 1]


def test_average_precision() -> None:
    values = average_precision(HITS)
    assert values["map@5"].tolist() == [1, 1 / 5, 0, 0, (1 / 2 + 2 / 4) / 2, 1 / 2]
    assert values["map@20"].tolist() == [1, 1 / 5, 1 / 20, 0, (1 / 2 + 2 / 4) / 2, 1 / 2]


def test_discounted_gain() -> None:
    two = 1 + 1 / math.log2(3)
    expected = [1, 1 / math.log2(6), 0, 0, (1 / math.log2(3) + 1 / math.log2(5)) / two, 1 / two]
    assert ndcg(HITS)["ndcg@5"].tolist() == pytest.approx(expected)


def test_protocols_are_what_their_names_promise() -> None:
    bioelx, sapbert = PROTOCOLS["bioelx"], PROTOCOLS["sapbert"]
    assert (bioelx.unit, bioelx.match, bioelx.nil, bioelx.split) == ("concept", "any", "count", False)
    assert (sapbert.unit, sapbert.match, sapbert.nil, sapbert.split) == ("name", "any", "count", True)
    assert (bioelx.retired, sapbert.retired) == ("map", "keep")
    assert PROTOCOLS["sapbert-fast"].unit == "name"
    assert find_protocol("bioelx", {"match": "all"}).match == "all"


def test_mentions_are_split_where_the_protocol_says() -> None:
    joined = make_mention("a+b|c")
    assert [part.text for part in sub_mentions(joined, PROTOCOLS["sapbert"])] == ["a", "b", "c"]
    assert [part.text for part in sub_mentions(make_mention("b|c"), PROTOCOLS["sapbert"])] == ["b", "c"]
    assert [part.text for part in sub_mentions(joined, PROTOCOLS["bioelx"])] == ["a+b|c"]
    assert part_ids(joined, PROTOCOLS["sapbert"]) == [f"{joined.id}#{i}" for i in range(3)]
    assert part_ids(joined, PROTOCOLS["bioelx"]) == [joined.id]


def test_gold_is_known_by_any_or_by_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    kb = make_knowledge_base(
        tmp_path_factory.mktemp("rules") / "kb", [("C0000001", "en", "a"), ("C0000002", "en", "b")]
    )

    def gold(*concepts: str, protocol: str = "bioelx", **changes: str) -> tuple[tuple[str, ...], bool]:
        mention = LabelledMention("m", Document("d", "", "en"), (), "a", "en", concepts)
        found = GoldConcepts(kb, find_protocol(protocol, changes))(mention)
        return found.ids, found.in_kb

    assert gold("C0000001") == (("C0000001",), True)
    assert gold("C9999999") == (("C9999999",), False)
    assert gold("C0000002", "C9999999")[1]
    assert not gold("C0000002", "C9999999", match="all")[1]
    assert gold("C0000002", "C0000001", match="all")[1]
    assert gold("C0000001+C9999999", protocol="sapbert") == (("C0000001", "C9999999"), True)
    assert gold("C0000001+C9999999") == (("C0000001+C9999999",), False)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.9]) == [1.0, 1.0]


def test_intervals_are_the_middle_95_per_cent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert interval(np.array([np.nan])) is None


def test_resampled_sums_stay_around_the_sum() -> None:
    values = np.tile([0.0, 1.0, 1.0, 1.0], 100)
    sums = bootstrap_sums(lambda: [values], np.arange(400), seed=0)[:, 0]
    assert sums.mean() == pytest.approx(300, abs=1)
    assert sums.std() == pytest.approx(math.sqrt(400 * 0.75 * 0.25), rel=0.1)


def test_paired_p_values() -> None:
    assert paired_p_value(np.zeros(5), np.arange(5), seed=0) == 1.0
    assert paired_p_value(np.ones(40), np.arange(40), seed=0, draws=999) == 1 / 1000
    assert paired_p_value(np.ones(2), np.arange(2), seed=0) == pytest.approx(0.5, abs=0.02)


def test_one_scale_from_blocks_of_any_size() -> None:
    values = np.array([3.0, 5.0, 8.0, 1.0, 9.0, 2.0, 7.0])
    scale = score_scale([values[:1], values[1:5], values[5:]])
    assert (scale.mean, scale.spread) == (pytest.approx(values.mean()), pytest.approx(values.std()))


def test_ties_keep_the_retrievers_order() -> None:
    assert order(np.array([1.0, 1.0, 2.0]), np.array([0, 1, 2]), np.zeros(3, np.int64)).tolist() == [2, 0, 1]


def test_a_list_without_evidence_keeps_the_retrievers_scores() -> None:
    scores, evidence = np.array([4.0, 2.0, 4.0, 2.0]), np.array([np.nan, np.nan, 0.0, 6.0])
    mixed = mix(scores, evidence, np.array([0, 2, 4]), ScoreScale(1.0, 2.0), Interpolation(0.25, 3.0))
    assert mixed.tolist() == [1.5, 0.5, 0.75 * 1.5, 0.75 * 0.5 + 0.25 * 6 / 3]


def test_retired_gold_counts_as_its_successors_where_the_protocol_says(tmp_path: Path) -> None:
    names = [["C0000002", "en", "b", "TEST", False]]
    retired = [["C0000001", "C0000002"]]
    rows = Rows(
        names=[
            pa.RecordBatch.from_arrays(list(map(pa.array, zip(*names, strict=True))), schema=schemas.NAMES)
        ],
        retired=[
            pa.RecordBatch.from_arrays(
                list(map(pa.array, zip(*retired, strict=True))), schema=schemas.RETIRED
            )
        ],
    )
    kb = build_knowledge_base(tmp_path / "kb", "retired", rows, files=[], filters={})
    mention = LabelledMention("m", Document("d", "", "en"), (), "a", "en", ("C0000001",))
    for protocol, expected in (("bioelx", ("C0000002",)), ("sapbert", ("C0000001",))):
        gold = GoldConcepts(kb, PROTOCOLS[protocol])(mention)
        assert (gold.ids, gold.in_kb) == (expected, protocol == "bioelx")
