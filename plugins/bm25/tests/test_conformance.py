"""The BM25 retriever keeps the contract of retrievers, with each of its designs."""

from __future__ import annotations

from typing import ClassVar

from bioelx_bench_bm25.options import Bm25Options
from bioelx_bench_bm25.retriever import Bm25Retriever

from bioelx_bench.base import Environment
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance


class TestLanguageField(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> Bm25Retriever:
        return Bm25Retriever(Bm25Options(threads=2), environment)


class TestFoldedField(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> Bm25Retriever:
        return Bm25Retriever(Bm25Options(fields="folded", threads=1), environment)


class TestBothFieldsFetchingFew(RetrieverConformance):
    """With `over_fetch=1` the first search never gives enough concepts, so names are fetched again."""

    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> Bm25Retriever:
        return Bm25Retriever(Bm25Options(fields="both", over_fetch=1), environment)
