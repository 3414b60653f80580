"""A small multilingual knowledge base and mentions, for tests of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioelx_bench.records import Document, Mention, Span

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

SMALL_NAMES: Final[tuple[tuple[str, str, str], ...]] = (
    ("C0004096", "en", "asthma"),
    ("C0004096", "en", "bronchial asthma"),
    ("C0004096", "de", "Asthma bronchiale"),
    ("C0004096", "ja", "喘息"),
    ("C0011849", "en", "diabetes mellitus"),
    ("C0011849", "en", "diabetes"),
    ("C0011849", "de", "Zuckerkrankheit"),
    ("C0011849", "tr", "şeker hastalığı"),
    ("C0011849", "zh", "糖尿病"),
    ("C0011854", "en", "type 1 diabetes mellitus"),
    ("C0011854", "de", "Diabetes mellitus Typ 1"),
    ("C0011860", "en", "type 2 diabetes mellitus"),
    ("C0011860", "es", "diabetes mellitus tipo 2"),
    ("C0018681", "en", "headache"),
    ("C0018681", "de", "Kopfschmerzen"),
    ("C0018681", "th", "ปวดศีรษะ"),
    ("C0018681", "ko", "두통"),
    ("C0020538", "en", "hypertension"),
    ("C0020538", "ru", "артериальная гипертензия"),
    ("C0020538", "fi", "kohonnut verenpaine"),
    ("C0027051", "en", "myocardial infarction"),
    ("C0027051", "en", "heart attack"),
    ("C0027051", "fr", "infarctus du myocarde"),
    ("C0038454", "en", "stroke"),
    ("C0234422", "en", "stroke"),
    ("C0234422", "en", "heat stroke"),
    ("C0599779", "en", "stroke"),
    ("C0011991", "en", "diarrhoea"),
    ("C0011991", "es", "diarrea"),
    ("C0023890", "en", "cirrhosis of liver"),
    ("C0023890", "mul", "cirrhosis hepatis"),
)
"""Names as (concept, language, text): several languages and scripts; three concepts share one name."""

HOSTILE_TEXTS: Final = (
    "",
    " \t\n ",
    "\x00",
    "a\x00b",
    "\ud800 broken",
    "👩‍⚕️ 𝔡𝔦𝔞𝔟𝔢𝔱𝔢𝔰",
    "e\u0301 \u0301\u0302",
    "\u202eamhtsa\u202c",
    '+ - && || ! ( ) { } [ ] ^ " ~ * ? : \\ / AND OR NOT',
    "[asthma TO stroke]",
    "asthma^1e99 contents:asthma",
    "asthma " * 3000,
    "x" * 40_000,
    " ".join(f"word{i}" for i in range(3000)),
    "糖尿病" * 2000,
)
"""Texts that have broken text processing before: each must give a list, possibly an empty one."""


def make_knowledge_base(
    folder: Path, names: Sequence[tuple[str, str, str]] = SMALL_NAMES, name: str = "small"
) -> KnowledgeBase:
    """Build a knowledge base from a few names, through the public builder.

    Args:
        folder: A folder that is not there yet.
        names: Triples of concept id, language and text.
        name: The knowledge base's name.
    """
    import pyarrow as pa

    from bioelx_bench.kb import schemas
    from bioelx_bench.kb.build import Rows, build_knowledge_base

    rows = [
        {"cui": concept, "language": language, "name": text, "source": "TEST", "preferred": False}
        for concept, language, text in names
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=schemas.NAMES)
    return build_knowledge_base(folder, name, Rows(names=[batch]), files=[], filters={"made_by": "tests"})


def make_mention(text: str, language: str = "en", number: int = 0, context: str = "We saw {}.") -> Mention:
    """A mention in a sentence, without gold: what a retriever or ranker is given.

    Args:
        text: The mention.
        language: Its language.
        number: Makes the id `test/<language>/<number>`.
        context: The sentence, with `{}` where the mention stands.
    """
    before, _, after = context.partition("{}")
    document = Document(f"test/{language}/{number}", before + text + after, language)
    spans = (Span(len(before), len(before) + len(text)),) if text else ()
    return Mention(document.id, document, spans, text, language)
