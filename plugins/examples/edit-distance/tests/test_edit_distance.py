"""The retriever keeps its contract, with each of its scorers."""

from __future__ import annotations

from typing import Any, ClassVar

from bioelx_bench_edit_distance.options import EditDistanceOptions
from bioelx_bench_edit_distance.retriever import EditDistance

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance, make_mention


class TestRatio(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")
    given: ClassVar[dict[str, Any]] = {}

    @classmethod
    def make_retriever(cls, environment: Environment) -> BaseRetriever:
        return EditDistance(EditDistanceOptions(**cls.given), environment)

    def test_a_slip_of_the_pen_is_found(self) -> None:
        assert self.retriever.search([make_mention("astma")], 1)[0][0].name == "asthma"


class TestTokenSort(TestRatio):
    given: ClassVar[dict[str, Any]] = {"scorer": "token_sort_ratio"}

    def test_the_order_of_words_does_not_matter(self) -> None:
        best = self.retriever.search([make_mention("mellitus diabetes")], 1)[0][0]
        assert (best.name, best.score) == ("diabetes mellitus", 100.0)


class TestWeighted(TestRatio):
    given: ClassVar[dict[str, Any]] = {"scorer": "WRatio"}
