"""The ranker keeps the contract, with each strategy, over HTTP."""

from __future__ import annotations

from typing import ClassVar

from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.ranker import LlmRanker
from protocol_server import Behaviour, Running

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.testing import RankerConformance


class OverHttp(RankerConformance):
    strategy: ClassVar[str]
    model: ClassVar[str] = "openai/test"
    running: ClassVar[Running]

    @classmethod
    def setup_class(cls) -> None:
        cls.running = Running(Behaviour())
        cls.running.__enter__()
        super().setup_class()

    @classmethod
    def teardown_class(cls) -> None:
        super().teardown_class()
        cls.running.__exit__()

    @classmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        base = cls.running.server.base
        return LlmRanker(LlmOptions(model=cls.model, api_base=base, strategy=cls.strategy), environment)


class TestPointwise(OverHttp):
    strategy = "pointwise"


class TestListwise(OverHttp):
    strategy = "listwise"


class TestSetwise(OverHttp):
    strategy = "setwise"


class TestRerank(OverHttp):
    strategy = "rerank"
    model = "hosted_vllm/test"


del OverHttp, RankerConformance  # pytest would collect the bases too
