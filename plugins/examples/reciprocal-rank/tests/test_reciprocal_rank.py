"""The metric keeps its contract and gives the values of its definition."""

from __future__ import annotations

from bioelx_bench_reciprocal_rank.metric import reciprocal_rank

from bioelx_bench.metrics import NO_HIT, Metric
from bioelx_bench.testing import MetricConformance
from bioelx_bench.testing.metrics import make_hits


class TestReciprocalRank(MetricConformance):
    @classmethod
    def make_metric(cls) -> Metric:
        return reciprocal_rank


def test_values() -> None:
    values = reciprocal_rank(make_hits([(1,), (4,), (NO_HIT,), (2, 3)]))
    assert list(values["reciprocal-rank"]) == [1.0, 0.25, 0.0, 0.5]
