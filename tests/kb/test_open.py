"""The built-in knowledge base `open`: its shipped table, HPO, licences and what it covers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import lzma
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import MissingError
from bioelx_bench.kb import open_kb, schemas
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase

REPOSITORY = Path(__file__).resolve().parents[2]
RESOURCES = Path(str(files("bioelx_bench") / "resources" / "open_kb"))
SHA256 = "bc947eb440dc727b4ec311569729d229e99104470359e61f76cbd16c7533d2ea"
"""Content of `open`. Whoever changes it raises its revision in `builtin.py`, so that caches follow."""


@pytest.fixture(scope="module")
def open_table() -> ModuleType:
    """The tool that makes the shipped table."""
    place = REPOSITORY / "tools" / "open_kb" / "open_table.py"
    spec = spec_from_file_location("open_table", place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shipped(file: str) -> list[dict[str, str]]:
    text = lzma.decompress((RESOURCES / file).read_bytes()).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    return open_knowledge_base("open", Environment(cache=Cache(tmp_path_factory.mktemp("cache"))))


def test_the_content_is_the_same_on_every_machine(opened: KnowledgeBase) -> None:
    assert opened.sha256 == SHA256
    assert opened.manifest.files[-1].sha256 == open_kb.HPO_SHA256
    assert opened.manifest.files[-1].release == "hp/releases/2025-01-16"
    assert all(f.licence for f in opened.manifest.files)
    assert {part for s in opened.sources for part in s.split("|")} == {"DOID", "HPO", "MONDO", "Wikidata"}


def test_a_concept_holds_what_its_sources_say(opened: KnowledgeBase) -> None:
    dystonia = opened.concept("C0013421")
    names = {(n.text, n.language): (n.source, n.preferred) for n in dystonia.names}
    assert names["Dystonia", "en"] == ("HPO", True)
    assert names["dystonia", "en"] == ("DOID|MONDO", True)
    assert names["dystonic disease", "en"] == ("DOID|MONDO", False)
    assert dystonia.definition is not None
    assert dystonia.definition.startswith("An abnormally increased muscular tone")
    assert ("頭痛", "ja") in {(n.text, n.language) for n in opened.concept("C0018681").names}


def test_nearly_every_concept_has_a_preferred_english_name(opened: KnowledgeBase) -> None:
    preferred = sum(
        any(n.preferred and n.language == "en" for n in opened.names_of(row))
        for row in range(0, len(opened), 50)
    )
    assert preferred / len(range(0, len(opened), 50)) > 0.99


def test_it_is_built_once_and_then_found(tmp_path: Path, opened: KnowledgeBase) -> None:
    cache = Cache(opened.folder.parents[1])
    again = open_knowledge_base("open", Environment(cache=cache))
    assert again.folder == opened.folder
    assert again.folder.name == "open-1-format2"
    assert open_knowledge_base(str(opened.folder)).sha256 == opened.sha256
    assert open_knowledge_base(opened.folder, Environment(cache=Cache(tmp_path))).sha256 == opened.sha256


def test_the_shipped_table_holds_only_what_may_be_shipped() -> None:
    rows = shipped(open_kb.NAMES_FILE)
    assert {row["source"] for row in rows} == {"MONDO", "DOID", "Wikidata"}
    assert {row["lang"] for row in rows} == {"en", "es", "ja"}
    assert all(schemas.validation_error("cui", row["cui"]) is None for row in rows)
    assert {row["source"] for row in shipped(open_kb.DEFINITIONS_FILE)} == {"DOID"}
    described = json.loads((RESOURCES / open_kb.SOURCES_FILE).read_text(encoding="utf-8"))
    assert {f["licence"] for f in described["files"]} == {"CC-BY-4.0", "CC0-1.0"}


def test_licences_and_attribution_are_beside_the_table() -> None:
    attribution = (RESOURCES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for word in ("Mondo", "Human Disease Ontology", "Wikidata", "CC BY 4.0", "CC0", "HPO licence"):
        assert word in attribution
    assert "Attribution 4.0 International" in (RESOURCES / "LICENSE-MONDO-CC-BY-4.0.txt").read_text(
        encoding="utf-8"
    )
    assert "CC0 1.0 Universal" in (RESOURCES / "LICENSE-CC0-1.0.txt").read_text(encoding="utf-8")
    definitions = len(shipped(open_kb.DEFINITIONS_FILE))
    assert f"{definitions} definitions" in attribution


def test_the_table_is_repeatable_to_the_byte(upstream: Path, open_table: ModuleType, tmp_path: Path) -> None:
    open_table.main([str(upstream), str(tmp_path)])
    for file in (open_kb.NAMES_FILE, open_kb.DEFINITIONS_FILE, open_kb.SOURCES_FILE):
        assert (tmp_path / file).read_bytes() == (RESOURCES / file).read_bytes(), file


def test_a_missing_upstream_file_is_named(open_table: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mondo_exactmatch_umls"):
        open_table.make_table(tmp_path)


def test_hpo_is_shipped_unaltered() -> None:
    content = lzma.decompress((RESOURCES / open_kb.HPO_FILE).read_bytes())
    assert hashlib.sha256(content).hexdigest() == open_kb.HPO_SHA256
    assert b"terms:license https://hpo.jax.org/app/license" in content


COVERAGE = {"en": 9, "es": 15, "de": 21, "fi": 18, "ru": 26, "tr": 26, "ko": 18, "zh": 24, "ja": 27, "th": 35}
"""Share of XL-BEL v1.0 mentions, in per cent, whose gold has a name in the open sources."""


def test_it_covers_what_is_known_of_xl_bel(opened: KnowledgeBase, upstream: Path) -> None:
    known = set(opened.concepts.column("id").to_pylist())
    folder = upstream.parent / "xl_bel" / "v1.0"
    for language, expected in COVERAGE.items():
        text = (folder / f"{language}_1k_test_query_with_context.txt").read_text(encoding="utf-8")
        golds = [row.split("||")[0].split("|") for row in text.split("\n") if row]
        assert len(golds) == 1000
        covered = sum(any(cui in known for cui in gold) for gold in golds) / 10
        assert abs(covered - expected) < 1.5, language


def test_the_small_knowledge_base_is_the_disease_ontology_s_part(tmp_path: Path) -> None:
    environment = Environment(cache=Cache(tmp_path / "cache"))
    small, whole = (open_knowledge_base(name, environment) for name in ("open-doid", "open"))
    assert small.sources == ["DOID"]
    assert 7_000 < len(small) < len(whole)
    assert all(str(cui) in whole for cui in small.concepts.column("id")[:50])
    assert {file.licence for file in small.manifest.files} == {"CC0-1.0"}
