"""The retriever keeps its contract, agrees with a dense computation and is not misled by case, width or accents."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from bioelx_bench_char_ngram.options import CharNgramOptions
from bioelx_bench_char_ngram.retriever import CharNgram, prepare
from sklearn.feature_extraction.text import TfidfVectorizer

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance, make_knowledge_base, make_mention
from bioelx_bench.testing.data import SMALL_NAMES


class TestCharNgram(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")

    @classmethod
    def make_retriever(cls, environment: Environment) -> BaseRetriever:
        return CharNgram(CharNgramOptions(), environment)


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> CharNgram:
    folder: Path = tmp_path_factory.mktemp("char-ngram")
    (folder / "index").mkdir()
    kb = make_knowledge_base(folder / "kb")
    made = CharNgram(CharNgramOptions(), Environment(cache=Cache(folder / "cache")))
    made.index(kb, folder / "index")
    made.open(kb, folder / "index")
    return made


def test_scores_are_those_of_tfidf_with_a_vocabulary(retriever: CharNgram) -> None:
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, lowercase=False, preprocessor=prepare
    )
    names = vectorizer.fit_transform([text for _, _, text in SMALL_NAMES])
    for text in ("asthma", "Diabetes Typ 2", "高血圧 糖尿病", "heart stroke"):
        scores = (vectorizer.transform([text]) @ names.T).toarray()[0]
        found = retriever.search([make_mention(text)], 40, "name")[0]
        assert [c.score for c in found] == pytest.approx(np.sort(scores[scores > 0])[::-1].tolist(), abs=2e-6)


@pytest.mark.parametrize("text", ["ASTHMA", "ａｓｔｈｍａ", "Asthma"])
def test_case_and_width_do_not_matter(retriever: CharNgram, text: str) -> None:
    best = retriever.search([make_mention(text)], 1)[0][0]
    assert (best.concept_id, best.name, best.score) == ("C0004096", "asthma", 1.0)


def test_lengths_are_checked() -> None:
    with pytest.raises(ValueError, match="must not be above"):
        CharNgramOptions(min_n=4, max_n=3)
