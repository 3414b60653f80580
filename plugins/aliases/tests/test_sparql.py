from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_aliases import wikidata_sparql
from bioelx_bench_aliases.options import SparqlOptions
from bioelx_bench_aliases.wikidata_sparql import WikidataSparql, quote, retry_after, waiting_time

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import BenchError, MissingError
from bioelx_bench.kb.store import KnowledgeBase

pytest.importorskip("pyoxigraph")


def load_endpoint() -> Any:
    spec = importlib.util.spec_from_file_location("aliases_endpoint", Path(__file__).with_name("endpoint.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ITEMS = [
    ("Q86", {"P2892": "C0000001", "P486": "D006261"}, [("de", "Kopfschmerz", True), ("ja", "頭痛", True)]),
    (
        "Q38933",
        {"P2892": "C0000002"},
        [("de", "Fieber", True), ("mul", "Pyrexia", False), ("fr", "fièvre", True)],
    ),
    ("Q35869", {"P2892": "C0000003"}, [("de", "Asthma bronchiale", False), ("de-AT", 'Asthma "A"\\', False)]),
    ("Q58", {"P486": "D010413"}, [("ja", "陰茎", True)]),
    ("Q2840", {"P2892": "C0000005"}, [("de", "Grippe", True)]),
    ("Q999", {"P2892": "C9999999"}, [("de", "nicht gefragt", True)]),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Any]:
    module = load_endpoint()
    with module.serve(module.make_store(ITEMS)) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.plan.clear()
    endpoint.queries.clear()
    monkeypatch.setattr(wikidata_sparql, "waiting_time", lambda attempt, asked: 0.0)


def options(endpoint: Any, kb: KnowledgeBase, **more: Any) -> SparqlOptions:
    values = {
        "endpoint": endpoint.url,
        "kb": str(kb.folder),
        "page": 2,
        "pause": 0,
        "timeout": 0.4,
        "retries": 3,
    }
    return SparqlOptions(**{**values, **more})


def names(source: Any) -> list[tuple[str, str, str]]:
    return sorted((a.concept_id, a.language, a.text) for a in source)


EVERYTHING = [
    ("C0000001", "de", "Kopfschmerz"),
    ("C0000001", "ja", "頭痛"),
    ("C0000002", "de", "Fieber"),
    ("C0000002", "fr", "fièvre"),
    ("C0000002", "mul", "Pyrexia"),
    ("C0000003", "de", "Asthma bronchiale"),
    ("C0000003", "de-at", 'Asthma "A"\\'),
    ("C0000005", "de", "Grippe"),
]


def test_all_names_of_the_knowledge_bases_concepts_come(
    endpoint: Any, small_kb: KnowledgeBase, environment: Environment
) -> None:
    source = WikidataSparql(options(endpoint, small_kb, user_agent="test/1 (me@example.org)"), environment)
    found = list(source)
    assert sorted((a.concept_id, a.language, a.text) for a in found) == EVERYTHING
    assert source.counts["pages"] == 3
    assert "test/1 (me@example.org)" in endpoint.agents
    fever = next(a for a in found if a.text == "Fieber")
    assert (fever.item, fever.property, fever.joined_by, fever.preferred) == (
        "Q38933",
        "rdfs:label",
        "P2892",
        True,
    )
    assert fever.date.count("-") == 2


def test_languages_and_other_properties(
    endpoint: Any, small_kb: KnowledgeBase, environment: Environment, tmp_path: Path
) -> None:
    walk = tmp_path / "walk.tsv"
    walk.write_text("vocabulary\tid\tcui\nmesh\tD010413\tC0000004\nmesh\tD000001\tC7777777\n")
    given = options(endpoint, small_kb, languages="ja,mul", properties="P2892,P486", crosswalk=walk)
    assert names(WikidataSparql(given, environment)) == [
        ("C0000001", "ja", "頭痛"),
        ("C0000002", "mul", "Pyrexia"),
        ("C0000004", "ja", "陰茎"),
    ]
    assert not any("D000001" in q for q in endpoint.queries)  # its concept is not in the knowledge base


@pytest.mark.parametrize(
    "plan",
    [
        ["429", "429"],
        ["500", "", "cut"],
        ["slow", "slow"],
        ["cut", "slow", "", "429", "cut", "cut"],
        ["cut"] * 4,
    ],
)
def test_trouble_on_the_way_loses_nothing(
    endpoint: Any, small_kb: KnowledgeBase, environment: Environment, plan: list[str]
) -> None:
    endpoint.plan.extend(plan)
    source = WikidataSparql(options(endpoint, small_kb), environment)
    assert names(source) == EVERYTHING
    assert source.counts["retries"] + source.counts.get("split_pages", 0) > 0


def test_an_endpoint_that_goes_on_failing_is_an_error_and_the_next_call_goes_on(
    endpoint: Any, small_kb: KnowledgeBase, environment: Environment
) -> None:
    endpoint.plan.extend(["", *["500"] * 4])
    with pytest.raises(BenchError, match="does not answer") as error:
        list(WikidataSparql(options(endpoint, small_kb), environment))
    assert "HTTP 500" in str(error.value)
    asked = len(endpoint.queries)
    assert asked == 5
    source = WikidataSparql(options(endpoint, small_kb), environment)
    assert names(source) == EVERYTHING
    assert len(endpoint.queries) == asked + 2  # the first page is not asked for again
    source.close()
    assert environment.cache.find("aliases-sparql", source.key()) is None


def test_a_refusal_is_not_repeated(endpoint: Any, small_kb: KnowledgeBase, environment: Environment) -> None:
    endpoint.plan.append("400")
    with pytest.raises(BenchError, match="does not answer"):
        list(WikidataSparql(options(endpoint, small_kb), environment))
    assert len(endpoint.queries) == 1


def test_without_connections_it_says_so(endpoint: Any, small_kb: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="offline"):
        list(WikidataSparql(options(endpoint, small_kb), Environment(cache=Cache(tmp_path), offline=True)))


def test_waiting_and_quoting() -> None:
    assert retry_after("17") == 17
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    assert retry_after(later) == pytest.approx(100, abs=3)
    assert retry_after("soon") is None
    assert waiting_time(0, 1e9) == wikidata_sparql.MAX_WAIT_SECONDS
    assert 4 <= waiting_time(3, None) <= 8  # imported before it was replaced
    assert quote('a"b\\\n') == '"a\\"b\\\\\\n"'
