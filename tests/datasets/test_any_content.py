"""Whatever a user's or an upstream file holds, its reader gives mentions that fit their text, or a located error."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.base import DatasetRequest
from bioelx_bench.cache import Cache
from bioelx_bench.datasets.bigbio import BigBio
from bioelx_bench.datasets.gold import GoldReader
from bioelx_bench.datasets.table import COLUMNS, Table
from bioelx_bench.datasets.verify import slices_to_text
from bioelx_bench.datasets.wikimed_de import Articles
from bioelx_bench.errors import BenchError

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 40)
    | st.text(max_size=12)
    | st.sampled_from(["C0018787", "None"])
)


def some(key: str, *wanted: Any) -> st.SearchStrategy[tuple[str, Any]]:
    """An entry of an object, mostly with a value of the right kind."""
    return st.tuples(st.just(key), st.one_of(*wanted, *wanted, LEAVES, st.lists(LEAVES, max_size=2)))


def objects(*entries: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*entries).flatmap(
        lambda full: st.sampled_from(
            [dict(full), *(dict(full[:n] + full[n + 1 :]) for n in range(len(full)))]
        )
    )


WORDS = st.sampled_from(["Herz", "das Herz", "Herzherz", "x"])
PLACES = st.integers(-3, 20)
CUIS = st.sampled_from(["C0018787", "None"]) | st.lists(st.sampled_from(["C0018787", "C0000001"]), max_size=2)
LINKS = objects(
    some("mention", WORDS),
    some("start_index", PLACES),
    some("end_index", PLACES),
    some("cui", CUIS),
    some("tui", CUIS),
)
ARTICLES = objects(
    some("id", st.sampled_from(["1", "2"])),
    some("text", WORDS),
    some("mentions", st.lists(LINKS, max_size=3)),
)
PASSAGES = objects(
    some("text", st.lists(WORDS, max_size=2)), some("offsets", st.lists(st.tuples(PLACES, PLACES)))
)
LINKED = objects(some("db_name", st.just("UMLS")), some("db_id", WORDS))
ENTITIES = objects(
    some("text", st.lists(WORDS, max_size=2)),
    some("offsets", st.lists(st.tuples(PLACES, PLACES), max_size=2)),
    some("normalized", st.lists(LINKED, max_size=2)),
    some("type", WORDS),
)
DOCUMENTS = objects(
    some("document_id", st.sampled_from(["1", "2"])),
    some("passages", st.lists(PASSAGES, max_size=2)),
    some("entities", st.lists(ENTITIES, max_size=3)),
)
ROWS = objects(
    some("mention", WORDS),
    some("gold", CUIS),
    some("context", WORDS),
    some("spans", st.lists(objects(some("start", PLACES), some("end", PLACES)), max_size=2)),
)


def request(root: Path, **options: Any) -> DatasetRequest:
    return DatasetRequest(
        revision="full", subset="all", split="all", data_root=root, cache=Cache(root / "c"), options=options
    )


def check(make: Any, file: Path) -> None:
    """Read a file; mentions must slice to their text, and errors must name the file."""
    try:
        mentions = list(GoldReader(iter(make().mentions()), "", Counter()))
    except BenchError as error:
        assert file.name in str(error)
        return
    assert all(slices_to_text(mention) for mention in mentions)
    assert all(mention.gold for mention in mentions)


@settings(max_examples=60, deadline=None)
@given(st.lists(ARTICLES, max_size=3))
def test_any_articles(articles):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "wikimed_de" / "WikiMed-DE.json"
        file.parent.mkdir()
        file.write_text("\n".join(json.dumps(article) for article in articles), encoding="utf-8")
        check(lambda: Articles(request(Path(folder))), file)


@settings(max_examples=60, deadline=None)
@given(st.lists(DOCUMENTS, max_size=3))
def test_any_bigbio_documents(documents):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.jsonl"
        file.write_text("\n".join(json.dumps(document) for document in documents), encoding="utf-8")
        check(lambda: BigBio(request(Path(folder), path=str(file), language="en", database="")), file)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=3))
def test_any_json_rows(rows):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "own.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        check(lambda: Table(request(Path(folder), path=str(file), language="en")), file)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([".csv", ".tsv"]),
    st.lists(st.sampled_from(COLUMNS), max_size=4),
    st.lists(st.lists(st.text(max_size=5) | WORDS | st.just("C0018787"), max_size=4), max_size=3),
    st.text(max_size=10),
)
def test_any_separated_rows(kind, header, rows, tail):
    separator = "," if kind == ".csv" else "\t"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"own{kind}"
        text = "\n".join(separator.join(row) for row in [header, *rows]) + tail
        file.write_bytes(text.encode("utf-8", "replace"))
        check(lambda: Table(request(Path(folder), path=str(file), language="en")), file)
