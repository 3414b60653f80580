"""Protocol `sapbert` on any small dictionary, mentions and gold, against an independent procedure."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from bioelx_bench_sapbert import EmbeddingRetriever
from hypothesis import given, settings
from hypothesis import strategies as st
from sapbert_oracle import evaluate as procedure

import bioelx_bench
from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.progress import Progress
from bioelx_bench.records import Document, LabelledMention
from bioelx_bench.testing.data import make_knowledge_base

PROJECTION = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
CUIS = [f"C{number:07d}" for number in range(1, 7)]


def embed(texts: Sequence[str]) -> Any:
    """Projected counts of hashed bigrams: equal for equal strings, else different; lengths are not 1."""
    counts = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(counts, texts, strict=True):
        padded = f" {text} "
        for start in range(len(padded) - 1):
            row[zlib.crc32(padded[start : start + 2].encode()) % 64] += 1
    return counts @ PROJECTION


class Bigrams(EmbeddingRetriever):
    """As SapBERT searches XL-BEL: names lowercased, mentions as they are, products of vectors of any length."""

    lowercase_names, lowercase_mentions, normalize = True, False, False

    def embed(self, texts: Sequence[str]) -> Any:
        return embed(texts)


class Encoder:
    """The embedding as the procedure calls it."""

    def encode(self, texts: list[str]) -> Any:
        return embed(texts)


names = st.lists(st.tuples(st.sampled_from(CUIS[:5]), st.text("abAB ", min_size=1, max_size=5)), min_size=1)
gold = st.lists(st.sampled_from(CUIS), min_size=1, max_size=3).flatmap(
    lambda ids: st.sampled_from(["|", "+"]).map(lambda joint: joint.join(ids))
)
mentions = st.lists(st.tuples(st.text("abAB+|", min_size=1, max_size=6), gold), min_size=1, max_size=8)


@settings(max_examples=20, deadline=None)
@given(names=names, queries=mentions)
def test_figures_are_those_of_the_procedure(
    names: list[tuple[str, str]], queries: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tidy = [(cui, name) for cui, name in names if name.strip()] or [(CUIS[0], "a")]
    folder = tmp_path_factory.mktemp("fuzz")
    kb = make_knowledge_base(folder / "kb", [(cui, "en", name.strip()) for cui, name in tidy])
    environment = Environment(
        cache=Cache(folder / "cache"), progress=Progress(enabled=False), kb=kb, unit="name"
    )
    data = [
        LabelledMention(f"m{i}", Document(f"d{i}", "", "en"), (), text, "en", (joined,))
        for i, (text, joined) in enumerate(queries)
    ]
    run = bioelx_bench.evaluate(
        data, Bigrams(environment), kb=kb, protocol="sapbert", k=5, id_scheme="umls", output=folder / "runs"
    )
    figures = run.result.scores["en"].retrieval.figures
    concepts = kb.name_concepts
    dictionary = {kb.concept_id(row): np.flatnonzero(concepts == row) for row in range(len(kb))}
    vectors = embed([kb.name_text(row).lower() for row in range(kb.name_count)])
    plain = [(text, joined.replace("+", "|")) for text, joined in queries]
    accuracy = procedure(Encoder(), dictionary, vectors, plain)  # type: ignore[arg-type]
    for k in (1, 5):
        low, high = accuracy.bounds(k)
        found = figures[f"recall@{k}"]
        assert found is not None
        assert low - 1e-9 <= found <= high + 1e-9
