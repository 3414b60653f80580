"""Any embedding function becomes a retriever: a hash of character trigrams, in the lines of an example."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from bioelx_bench_sapbert import EmbeddingRetriever

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import DataError
from bioelx_bench.progress import Progress
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance
from bioelx_bench.testing.data import make_knowledge_base, make_mention


class TrigramRetriever(EmbeddingRetriever):
    """Counts of hashed character trigrams."""

    lowercase_names = lowercase_mentions = normalize = True

    def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), 256), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            padded = f" {text} "
            for start in range(len(padded) - 1):
                vector[zlib.crc32(padded[start : start + 3].encode("utf-8", "replace")) % 256] += 1
        return vectors


class TestTrigrams(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> BaseRetriever:
        return TrigramRetriever(environment)


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (lambda texts: np.zeros((len(texts) + 1, 8)), "shape"),
        (lambda texts: np.zeros(len(texts)), "shape"),
        (lambda texts: np.full((len(texts), 8), np.nan), "not finite"),
    ],
)
def test_what_embed_must_give_is_said(tmp_path: Path, embed: Any, said: str) -> None:
    kb = make_knowledge_base(tmp_path / "kb", [("C0000001", "en", "asthma"), ("C0000002", "en", "fever")])
    environment = Environment(cache=Cache(tmp_path / "cache"), progress=Progress(enabled=False), kb=kb)
    kind = type("Bad", (EmbeddingRetriever,), {"embed": lambda _, texts: embed(texts)})
    (tmp_path / "index").mkdir()
    with pytest.raises(DataError, match=said) as error:
        kind(environment).index(kb, tmp_path / "index")
    assert "Bad.embed" in str(error.value.where)


def test_candidates_are_found_and_noted(tmp_path: Path) -> None:
    kb = make_knowledge_base(tmp_path / "kb", [("C0000001", "en", "asthma"), ("C0000002", "en", "fever")])
    environment = Environment(cache=Cache(tmp_path / "cache"), progress=Progress(enabled=False), kb=kb)
    (tmp_path / "index").mkdir()
    retriever = TrigramRetriever(environment)
    retriever.index(kb, tmp_path / "index")
    retriever.open(kb, tmp_path / "index")
    (found,) = retriever.search([make_mention("Asthma", "en")], 1)
    assert [(c.concept_id, c.name) for c in found] == [("C0000001", "asthma")]
    assert found[0].score == pytest.approx(1, abs=1e-3)
    assert retriever.notes().facts["vectors"]["dimension"] == 256
    assert retriever.notes().counts["queries_searched"] == 1
