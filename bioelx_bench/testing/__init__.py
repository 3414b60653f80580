"""Conformance tests that plugin authors subclass, and small data to test with; needs pytest.

`bioelx-bench plugins test NAME` runs them on what a plugin declares, without a test being written.

Example:
    class TestMyRetriever(RetrieverConformance):
        @classmethod
        def make_retriever(cls, environment):
            return MyRetriever(MyOptions(), environment)
"""

from bioelx_bench.testing.alias_sources import AliasSourceConformance
from bioelx_bench.testing.commands import CommandConformance
from bioelx_bench.testing.component import expect
from bioelx_bench.testing.data import make_knowledge_base, make_mention
from bioelx_bench.testing.datasets import DatasetConformance
from bioelx_bench.testing.knowledge_bases import KnowledgeBaseConformance
from bioelx_bench.testing.metrics import MetricConformance
from bioelx_bench.testing.rankers import RankerConformance
from bioelx_bench.testing.retrievers import RetrieverConformance

__all__ = [
    "AliasSourceConformance",
    "CommandConformance",
    "DatasetConformance",
    "KnowledgeBaseConformance",
    "MetricConformance",
    "RankerConformance",
    "RetrieverConformance",
    "expect",
    "make_knowledge_base",
    "make_mention",
]
