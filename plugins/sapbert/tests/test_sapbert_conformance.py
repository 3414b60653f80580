"""The dense retrievers keep the contract of retrievers, with a small random encoder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parent))

from bioelx_bench_sapbert.options import SapBertOptions, SapBertXOptions
from bioelx_bench_sapbert.retriever import DenseRetriever
from dense_helpers import tiny_encoder

from bioelx_bench.base import Environment
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance


class Dense(RetrieverConformance):
    __test__ = False
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")
    options: ClassVar[dict[str, Any]] = {}

    @classmethod
    def make_retriever(cls, environment: Environment) -> DenseRetriever:
        model = str(tiny_encoder())
        return DenseRetriever(SapBertOptions(model=model, pooling="mean", **cls.options), environment)


class TestVanilla(Dense):
    __test__ = True
    options: ClassVar[dict[str, Any]] = {"dtype": "fp32"}


class TestAliasEnriched(Dense):
    __test__ = True

    @classmethod
    def make_retriever(cls, environment: Environment) -> DenseRetriever:
        options = SapBertXOptions(
            model=str(tiny_encoder()), pooling="mean", lowercase="both", prefix="query: "
        )
        return DenseRetriever(options, environment)
