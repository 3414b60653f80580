"""Conformance tests that plugin authors subclass, and small data to test with; needs pytest.

Example:
    class TestMyRetriever(RetrieverConformance):
        @classmethod
        def make_retriever(cls, environment):
            return MyRetriever(MyOptions(), environment)
"""

from bioelx_bench.testing.data import make_knowledge_base, make_mention
from bioelx_bench.testing.rankers import RankerConformance
from bioelx_bench.testing.retrievers import RetrieverConformance

__all__ = ["RankerConformance", "RetrieverConformance", "make_knowledge_base", "make_mention"]
