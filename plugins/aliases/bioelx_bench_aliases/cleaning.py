"""Rules that aliases must pass. Each rule has a name, and what it drops or changes is counted under it.

`clean` looks at one alias at a time while they stream by; `merge` looks at the whole table with DuckDB, beyond
memory where it must.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import Field

from bioelx_bench.kb import schemas
from bioelx_bench.options import Options
from bioelx_bench.records import Alias

TITLE_SUFFIX: Final = re.compile(r"^(?P<name>.*\S)\s*[(（][^()（）]{2,40}[)）]$")
"""A disambiguation suffix as Wikipedia titles have it: `Erkältung (Krankheit)`."""

SCRIPTS: Final = {
    "ru": ("CYRILLIC",),
    "uk": ("CYRILLIC",),
    "bg": ("CYRILLIC",),
    "sr": ("CYRILLIC", "LATIN"),
    "el": ("GREEK",),
    "th": ("THAI",),
    "ko": ("HANGUL", "CJK"),
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "zh": ("CJK", "BOPOMOFO"),
    "ar": ("ARABIC",),
    "fa": ("ARABIC",),
    "he": ("HEBREW",),
    "hi": ("DEVANAGARI",),
    **dict.fromkeys(
        (
            "en",
            "de",
            "fr",
            "es",
            "it",
            "pt",
            "nl",
            "fi",
            "sv",
            "da",
            "no",
            "nb",
            "pl",
            "cs",
            "tr",
            "hu",
            "ro",
        ),
        ("LATIN",),
    ),
}
"""Scripts in which a language's names are written, as the first word of Unicode's character names."""

MAX_LATIN_CHARACTERS: Final = 12
"""Names of non-Latin languages up to this length may be all Latin: `AIDS`, `BRCA1`."""


class CleaningOptions(Options):
    """What is dropped; options of every source of aliases."""

    languages: tuple[str, ...] = Field((), description="Languages to keep; empty means all.")
    max_characters: int = Field(200, ge=1, description="Longer names are dropped.")
    strip_suffixes: bool = Field(True, description="Cut disambiguation suffixes in brackets off.")
    check_script: bool = Field(True, description="Drop names that are not in a script of their language.")
    drop_shared: bool = Field(True, description="Drop names that several concepts would have.")
    drop_ambiguous_items: bool = Field(True, description="Drop items that stand for several concepts.")


def clean(aliases: Iterable[Alias], options: CleaningOptions, counts: Counter[str]) -> Iterator[Alias]:
    """The aliases that pass the rules that need only one of them, changed where a rule says so."""
    for alias in aliases:
        counts["read"] += 1
        if reason := reject(alias, options):
            counts[f"dropped:{reason}"] += 1
            continue
        text = " ".join(alias.text.split())
        if options.strip_suffixes and (found := TITLE_SUFFIX.match(text)):
            counts["changed:suffix_cut"] += 1
            text = found["name"]
        yield alias if text == alias.text else replace(alias, text=text)


def reject(alias: Alias, options: CleaningOptions) -> str | None:
    """The name of the rule that an alias breaks, or None."""
    text = " ".join(alias.text.split())
    if schemas.validation_error("cui", alias.concept_id):
        return "not_a_cui"
    if schemas.validation_error("language", alias.language):
        return "not_a_language"
    if options.languages and alias.language not in options.languages:
        return "language"
    if schemas.validation_error("name", text) or not any(c.isalnum() for c in text):
        return "empty_name"
    if len(text) > options.max_characters:
        return "over_long"
    if options.check_script and wrong_script(text, alias.language):
        return "wrong_script"
    return None


def wrong_script(text: str, language: str) -> bool:
    """Whether a name has no letter in a script of its language; short Latin ones pass everywhere."""
    wanted = SCRIPTS.get(language.partition("-")[0])
    if wanted is None:
        return False
    letters = [c for c in text if c.isalpha()]
    if not letters or (len(text) <= MAX_LATIN_CHARACTERS and all(c.isascii() for c in letters)):
        return False
    return not any(unicodedata.name(c, "").startswith(wanted) for c in letters)


def merge(raw: Path, target: Path, options: CleaningOptions, counts: Counter[str], memory: str) -> None:
    """Apply the rules that need the whole table, and write it sorted.

    Args:
        raw: Parquet in the schema of an alias table with a further column `key`, the normalised name.
        target: The Parquet file to write.
        options: The rules.
        counts: Takes what was dropped.
        memory: DuckDB's memory limit.
    """
    import duckdb

    with duckdb.connect(config={"memory_limit": memory, "temp_directory": str(raw.parent / "spill")}) as db:
        db.execute("SET preserve_insertion_order = false")
        db.execute("CREATE TEMP TABLE a AS SELECT * FROM read_parquet(?)", [str(raw)])
        steps = {}
        if options.drop_ambiguous_items:
            steps["dropped:item_of_several_concepts"] = (
                "DELETE FROM a WHERE item != '' AND (source, item) IN "
                "(SELECT (source, item) FROM a WHERE item != '' GROUP BY source, item HAVING count(DISTINCT cui) > 1)"
            )
        steps["dropped:duplicate"] = (
            "DELETE FROM a WHERE rowid NOT IN (SELECT arg_min(rowid, "
            "(NOT preferred, name, source, item, property, joined_by)) FROM a GROUP BY cui, lang, key)"
        )
        if options.drop_shared:
            steps["dropped:name_of_several_concepts"] = (
                "DELETE FROM a WHERE key IN (SELECT key FROM a GROUP BY key HAVING count(DISTINCT cui) > 1)"
            )
        for name, statement in steps.items():
            row = db.execute(statement).fetchone()
            counts[name] += int(row[0]) if row else 0
        row = db.execute("SELECT count(*) FROM a").fetchone()
        counts["kept"] = int(row[0]) if row else 0
        db.execute(
            "COPY (SELECT * EXCLUDE (key) FROM a ORDER BY cui, lang, NOT preferred, name, source, item) "
            "TO ? (FORMAT parquet, COMPRESSION zstd)",
            [str(target)],
        )
