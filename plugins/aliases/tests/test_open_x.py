from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_aliases.open_x import TABLES

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.table import read_table
from bioelx_bench.plugins import load_plugins

FOLDER = Path(str(files("bioelx_bench_aliases") / "open_names"))
SHARE_ALIKE = ("Wiktionary", "Wiktionary-th", "Wiktionary-ko", "Wiktionary-tr", "OMW-wikt")


def rows(name: str) -> list[dict[str, Any]]:
    return [row for batch in read_table(FOLDER / name, "x") for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


def test_names_under_share_alike_are_in_a_file_of_their_own() -> None:
    sources = {name: {row["source"] for row in rows(name)} for name in TABLES}
    assert sources["share_alike.tsv.xz"] == set(SHARE_ALIKE)
    assert not sources["permissive.tsv.xz"] & set(SHARE_ALIKE)
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for source in sources["permissive.tsv.xz"] | sources["share_alike.tsv.xz"]:
        stem, _, ending = source.rpartition("-")
        assert source in text or (stem in text and f"-{ending}" in text), source
    for link in ("CC-BY-SA-3.0", "CC-BY-4.0", "CC-BY-3.0", "Unicode-3.0", "MIT", "CC0-1.0", "WordNet"):
        assert (FOLDER / "licences" / f"{link}.txt").is_file()
        assert f"licences/{link}.txt" in text


def test_open_x_is_open_with_names_in_ten_languages(cache: Cache) -> None:
    environment = Environment(cache=cache, plugins=load_plugins())
    base = open_knowledge_base("open", environment)
    made = open_knowledge_base("open-x", environment)
    known = set(base.concepts.column("id").to_pylist())
    assert set(made.concepts.column("id").to_pylist()) == known
    shipped = [row for name in TABLES for row in rows(name)]
    joined = [row for row in shipped if row["cui"] in known]
    assert made.manifest.counts["added:rows"] == len(shipped) == 33_169
    assert made.manifest.counts["added:dropped_unknown_concept"] == len(shipped) - len(joined)
    assert made.definitions.num_rows == base.definitions.num_rows
    assert set(made.languages) == {"de", "en", "es", "fi", "ja", "ko", "ru", "th", "tr", "zh"}
    thai = next(row for row in joined if row["language"] == "th")
    assert thai["name"] in [n.text for n in made.concept(thai["cui"]).names if n.language == "th"]
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    concepts: dict[str, set[str]] = {language: set() for language in made.languages}
    for row in joined:
        concepts[row["language"]].add(row["cui"])
    every = Counter(row["language"] for row in shipped)
    for language, count in Counter(row["language"] for row in joined).items():
        line = f"| {language} | {every[language]:,} | {count:,} | {len(concepts[language]):,} |"
        assert line in readme, line
    assert f"{len(joined):,} names of {len(set().union(*concepts.values())):,} concepts" in readme
