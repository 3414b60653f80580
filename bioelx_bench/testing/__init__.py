"""Conformance tests that plugin authors subclass, and small data to test with; needs pytest.

Example:
    class TestMyRetriever(RetrieverConformance):
        @classmethod
        def make_retriever(cls, environment):
            return MyRetriever(MyOptions(), environment)
"""

import pytest

# so that a failed check shows its values; it must stand before the imports
pytest.register_assert_rewrite("bioelx_bench.testing.rankers", "bioelx_bench.testing.retrievers")

from bioelx_bench.testing.data import make_knowledge_base, make_mention  # noqa: E402
from bioelx_bench.testing.rankers import RankerConformance  # noqa: E402
from bioelx_bench.testing.retrievers import RetrieverConformance  # noqa: E402

__all__ = ["RankerConformance", "RetrieverConformance", "make_knowledge_base", "make_mention"]
