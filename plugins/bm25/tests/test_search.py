"""What BM25 finds: scores by the formula, ties, units, languages."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bioelx_bench_bm25.analyzers import (
    LUCENE_ANALYZERS,
    PYSERINI_LANGUAGES,
    Analyzers,
    AnalyzerUnavailable,
    make_analyzer,
    make_folding_analyzer,
    tokens,
)
from bioelx_bench_bm25.java import start_java
from bioelx_bench_bm25.retriever import Bm25Retriever
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import UsageError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate
from bioelx_bench.testing import make_knowledge_base, make_mention

Opened = Callable[..., Bm25Retriever]


def bm25(names: Sequence[list[str]], query: list[str], k1: float, b: float) -> list[float]:
    """BM25 as Lucene defines it: idf ln(1 + (N - n + .5) / (n + .5)), and no factor k1 + 1."""
    filled = [name for name in names if name]  # a name without words does not count for the average
    average = sum(map(len, filled)) / max(1, len(filled))
    scores = [0.0] * len(names)
    for term in set(query):
        having = sum(term in name for name in names)
        idf = math.log(1 + (len(filled) - having + 0.5) / (having + 0.5))
        for row, name in enumerate(names):
            count = Counter(name)[term]
            if count:
                scores[row] += (
                    query.count(term) * idf * count / (count + k1 * (1 - b + b * len(name) / average))
                )
    return scores


def found(retriever: Bm25Retriever, text: str, language: str) -> list[Candidate]:
    """The candidates of one mention."""
    return retriever.search([make_mention(text, language)], 50)[0]


WORDS = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"])
NAMES = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12)


@given(
    names=NAMES,
    query=st.lists(WORDS, max_size=4).map(" ".join),
    k=st.integers(1, 8),
    k1=st.sampled_from([0.0, 0.9, 2.0]),
    b=st.sampled_from([0.0, 0.4, 1.0]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scores_and_order_are_those_of_the_formula(
    opened: Opened, names: list[str], query: str, k: int, k1: float, b: float
) -> None:
    """Three names a concept, in two fields; every list is compared with a search by brute force."""
    rows = sorted({(f"C{i // 3:07d}", "en", name) for i, name in enumerate(names)})
    with TemporaryDirectory() as folder:
        kb = make_knowledge_base(Path(folder) / "kb", rows)
        retriever = opened(kb, fields="folded", k1=k1, b=b, over_fetch=1, threads=1)
        texts = [kb.name_text(row) for row in range(kb.name_count)]
        scores = bm25([text.split() for text in texts], query.split(), k1, b)
        best: dict[str, float] = {}
        for row, score in enumerate(scores):
            concept = kb.concept_id(int(kb.name_concepts[row]))
            if score > 0:
                best[concept] = max(best.get(concept, 0.0), score)
        found = retriever.search([make_mention(query)], k)[0]
        assert len(found) == min(k, len(best))
        for candidate in found:
            assert candidate.score == pytest.approx(best[candidate.concept_id], rel=1e-5)
        expected = sorted(best.values(), reverse=True)[:k]
        assert [c.score for c in found] == pytest.approx(expected, rel=1e-5)
        assert [(-c.score, c.concept_id) for c in found] == sorted((-c.score, c.concept_id) for c in found)
        everything = retriever.search([make_mention(query)], 100, "name")[0]
        assert [c.score for c in everything] == pytest.approx(
            sorted((s for s in scores if s > 0), reverse=True), rel=1e-5
        )
        retriever.close()


def test_ties_are_in_order_of_concept_id_also_where_k_cuts(opened: Opened, kb: KnowledgeBase) -> None:
    retriever = opened(kb)
    stroke = [make_mention("stroke")]
    ids = [c.concept_id for c in retriever.search(stroke, 10)[0]]
    assert ids == ["C0038454", "C0234422", "C0599779"]
    assert [c.concept_id for c in retriever.search(stroke, 1)[0]] == ids[:1]
    rows = [(c.concept_id, c.name) for c in retriever.search(stroke, 10, "name")[0]]
    assert rows == [*((i, "stroke") for i in ids), ("C0234422", "heat stroke")]


def test_names_are_fetched_until_there_are_k_concepts(opened: Opened, tmp_path: Path) -> None:
    """Forty names of one concept match better than the one name of each of five others."""
    many = [("C0000001", "en", "pain" + " pain" * (i % 3) + f" x{i}") for i in range(40)]
    few = [(f"C000010{i}", "en", "pain in a part of the body") for i in range(5)]
    retriever = opened(make_knowledge_base(tmp_path / "kb", many + few), over_fetch=1)
    found = retriever.search([make_mention("pain pain")], 4)[0]
    assert [c.concept_id for c in found] == ["C0000001", "C0000100", "C0000101", "C0000102"]


def test_threads_do_not_matter(opened: Opened, kb: KnowledgeBase) -> None:
    mentions = [make_mention(kb.name_text(i % kb.name_count), "en") for i in range(1200)]
    assert opened(kb, threads=1).search(mentions, 5) == opened(kb, threads=4).search(mentions, 5)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(opened: Opened, kb: KnowledgeBase, k: int) -> None:
    with pytest.raises(UsageError, match="k must be at least 1"):
        opened(kb).search([make_mention("asthma")], k)


def test_an_unknown_unit_is_refused(opened: Opened, kb: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="concepts or names"):
        opened(kb).search([make_mention("asthma")], 1, "row")  # type: ignore[arg-type]


def test_search_before_open_is_refused(make: Opened) -> None:
    with pytest.raises(RuntimeError, match="call open first"):
        make().search([make_mention("asthma")], 1)


class TestLanguages:
    @pytest.mark.parametrize(
        ("language", "text", "expected"),
        [
            ("en", "malignant tumours of the lungs", ["malign", "tumour", "lung"]),
            ("de", "die Häuser der Erkrankungen", ["haus", "erkrankung"]),
            ("de-AT", "die Häuser", ["haus"]),
            ("es", "las enfermedades", ["enfermedad"]),
            ("fi", "taudit", ["taudi"]),
            ("tr", "hastalıkları", ["hastalık"]),
            ("ru", "заболевания", ["заболеван"]),
            ("ja", "糖尿病の治療", ["糖尿", "病", "治療"]),
            ("zh", "糖尿病", ["糖尿", "尿病"]),
            ("ko", "두통약", ["두통", "통약"]),
            ("cs", "nemoci srdce", ["nemok", "srdk"]),
            ("nb", "sykdommer", ["sykdomm"]),
        ],
    )
    def test_each_language_has_its_words(self, language: str, text: str, expected: list[str]) -> None:
        start_java()
        assert tokens(Analyzers("error").of(language), text) == expected

    @pytest.mark.parametrize("language", sorted((PYSERINI_LANGUAGES - {"th"}) | set(LUCENE_ANALYZERS)))
    def test_each_analyzer_of_the_tables_is_there(self, language: str) -> None:
        start_java()
        assert tokens(make_analyzer(language), "diabetes 2")

    def test_the_folded_field_knows_no_language(self) -> None:
        start_java()
        assert tokens(make_folding_analyzer(), "Ménière's DISEASES, Straße") == [
            "meniere's",
            "diseases",
            "strasse",
        ]

    def test_a_language_lucene_does_not_know_has_no_analyzer(self) -> None:
        start_java()
        with pytest.raises(AnalyzerUnavailable, match="Lucene has no analyzer"):
            make_analyzer("xx")

    def test_no_language_at_all_is_not_a_missing_analyzer(self) -> None:
        start_java()
        analyzers = Analyzers("error")
        assert tokens(analyzers.of("mul"), "Diabetes Mellitus") == ["diabetes", "mellitus"]
        assert analyzers.without == {}

    def test_names_and_mentions_without_an_analyzer_are_counted(self, opened: Opened, tmp_path: Path) -> None:
        names = [("C0000001", "dtp", "sakit"), ("C0000002", "dtp", "mamut"), ("C0000003", "en", "pain")]
        retriever = opened(make_knowledge_base(tmp_path / "kb", names))
        before = retriever.notes()
        assert before.facts["names_without_analyzer"] == {"dtp": 2}
        assert before.facts["names_analysed_by"] == "dtp StandardAnalyzer, en DefaultEnglishAnalyzer"
        found = retriever.search(
            [make_mention("sakit", "xx"), make_mention("pain"), make_mention("a", "xx")], 1
        )
        assert [c.concept_id for c in found[0]] == ["C0000001"]
        assert retriever.notes().counts["mentions_without_analyzer_xx"] == 2

    def test_the_policy_error_stops_an_index_and_a_search(
        self, make: Opened, opened: Opened, kb: KnowledgeBase, tmp_path: Path
    ) -> None:
        strange = make_knowledge_base(tmp_path / "kb", [("C0000001", "dtp", "sakit")])
        folder = tmp_path / "index"
        folder.mkdir()
        with pytest.raises(UsageError, match="no analyzer for the language 'dtp'"):
            make(missing_analyzer="error").index(strange, folder)
        assert list(folder.iterdir()) == []
        english = make_knowledge_base(tmp_path / "english", [("C0000001", "en", "pain")])
        with pytest.raises(UsageError, match="no analyzer for the language 'xx'") as caught:
            opened(english, missing_analyzer="error").search([make_mention("sakit", "xx")], 1)
        assert caught.value.exit_code == 2

    def test_both_fields_add_up(self, opened: Opened, kb: KnowledgeBase) -> None:
        """A German query meets an English name that German stemming alone would miss, and the reverse."""
        query = [make_mention("Kopfschmerz", "de"), make_mention("diarrhoea", "de")]
        language, folded, both = (
            opened(kb, fields=f).search(query, 3) for f in ("language", "folded", "both")
        )
        assert [c.concept_id for c in language[0]] == ["C0018681"]  # Kopfschmerzen, by its stem
        assert folded[0] == []
        assert [c.concept_id for c in folded[1]] == ["C0011991"]
        assert [c.concept_id for found in both for c in found] == ["C0018681", "C0011991"]


UNICODE_FORMS = {
    "fr": ("fièvre", ["fie\u0300vre", "fi\u200bèvre"]),
    "vi": ("đái tháo đường", [unicodedata.normalize("NFD", "đái tháo đường")]),
    "ko": ("심근경색", [unicodedata.normalize("NFD", "심근경색")]),
    "ja": ("インフルエンザ", ["ｲﾝﾌﾙｴﾝｻﾞ"]),
    "de": (
        "Herzinfarkt",
        ["Herz\u00adinfarkt", "Ｈｅｒｚｉｎｆａｒｋｔ", "\ufeffHerzinfarkt", "Herzinfar\u200dkt"],
    ),
    "en": (
        "leucovorin sodium",
        ["leuco\u00advorin\u00a0sodium", "leuco\u200bvorin sodium", "leucovorin\u200e sodium"],
    ),
}


class TestUnicodeForms:
    @pytest.fixture
    def forms(self, tmp_path: Path) -> KnowledgeBase:
        """Each name once plainly (odd ids), and once in a form that looks alike (even ids)."""
        rows = []
        for number, (language, (name, forms)) in enumerate(UNICODE_FORMS.items()):
            rows += [(f"C00000{number}1", language, name), (f"C00000{number}2", language, forms[0])]
        return make_knowledge_base(tmp_path / "forms", rows)

    @pytest.mark.parametrize("fields", ["language", "folded", "both"])
    def test_what_looks_alike_is_alike_on_both_sides(
        self, opened: Opened, forms: KnowledgeBase, fields: str
    ) -> None:
        retriever = opened(forms, fields=fields)
        for language, (name, variants) in UNICODE_FORMS.items():
            plain, *others = (found(retriever, text, language) for text in (name, *variants))
            assert [c.concept_id[:7] for c in plain[:2]] == [c.concept_id[:7] for c in others[0][:2]]
            assert len({c.score for c in plain[:2]}) == 1
            for other in others:
                assert [(c.concept_id, c.score) for c in other] == [(c.concept_id, c.score) for c in plain]

    def test_without_normalization_they_differ(self, opened: Opened, forms: KnowledgeBase) -> None:
        retriever = opened(forms, normalization="none")
        composed, decomposed = (found(retriever, text, "fr") for text in ("fièvre", "fie\u0300vre"))
        assert [c.concept_id for c in composed] != [c.concept_id for c in decomposed]

    def test_the_option_is_part_of_the_index(self, make: Opened) -> None:
        assert make().index_identity() != make(normalization="none").index_identity()
