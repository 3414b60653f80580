from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench import load_dataset
from bioelx_bench.errors import DataError, MissingError


def article(identifier: str, text: str, *mentions: dict[str, Any]) -> dict[str, Any]:
    return {"id": identifier, "text": text, "title": "T", "mentions": list(mentions)}


def link(mention: str, start: int, end: int, cui: Any, tui: Any = "None") -> dict[str, Any]:
    return {"mention": mention, "start_index": start, "end_index": end, "cui": cui, "tui": tui}


def write(root: Path, content: str, name: str = "WikiMed-DE-BEL.json") -> Path:
    folder = root / "wikimed_de"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


LONG = "Anfang. " + "Füllwort " * 300 + "Das Herz schlägt. " + "Nachwort " * 300
HEART = LONG.index("Herz")
ARTICLES = [
    article(
        "7",
        LONG,
        link("Herz", HEART, HEART + 4, ["C0018787"], ["T023"]),
        link("Herz", HEART + 6, HEART + 10, "C0018787", "T023"),
        link("Leber", 0, 5, ["C0023884", "C1278929"], []),
        link("Anfang", 0, 6, "None"),
        link("Anfang", 0, 6, []),
    ),
    article("8", "Nichts verlinkt."),
]


@pytest.mark.parametrize("layout", ["lines", "array", "gzip"])
def test_articles_are_read_in_any_layout(layout, tmp_path, prepare):
    lines = "\n".join(json.dumps(a, ensure_ascii=False) for a in ARTICLES)
    if layout == "gzip":
        write(tmp_path, "", "x")
        (tmp_path / "wikimed_de" / "WikiMed-DE-BEL.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    else:
        write(tmp_path, json.dumps(ARTICLES, indent=4, ensure_ascii=False) if layout == "array" else lines)
    prepared = prepare("wikimed-de", "de", data_root=tmp_path)
    heart, repaired, liver = prepared.mentions()
    for mention in (heart, repaired):
        (span,) = mention.spans
        assert mention.document.text[span.start : span.end] == "Herz"
        assert "Das Herz schlägt." in mention.document.text
        assert len(mention.document.text) <= 1000
    assert heart.id == "wikimed-de/7/0000"
    assert heart.semantic_types == repaired.semantic_types == ("T023",)
    assert (liver.spans, liver.gold) == ((), ("C0023884", "C1278929"))
    assert prepared.documents == 2
    assert prepared.counts == {
        "documents_without_mention": 1,
        "offset_repaired": 1,
        "offset_wrong": 1,
        "several_gold": 1,
        "without_gold": 2,
    }


def test_the_sample_document_of_the_readme(data_root, tmp_path, prepare):
    readme = (data_root / "wikimed_de" / "README.md").read_text(encoding="utf-8")
    sample = ast.literal_eval(readme.split("```")[1].strip())
    assert len(sample["mentions"]) == 7
    write(tmp_path, json.dumps(sample, ensure_ascii=False) + "\n", "WikiMed-DE.json")
    prepared = prepare("wikimed-de", "de", revision="full", data_root=tmp_path)
    linked = [m for m in sample["mentions"] if m["cui"]]
    assert len(prepared) + prepared.counts["without_gold"] == 7
    assert [mention.text for mention in prepared.mentions()] == [m["mention"] for m in linked]
    assert [list(mention.gold) for mention in prepared.mentions()] == [m["cui"] for m in linked]
    for mention in prepared.mentions():
        (span,) = mention.spans
        assert mention.document.text[span.start : span.end] == mention.text


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"id": "1", "text": "x", "mentions": []}\n{"id": "2", "text": "x"}', 2),
        ('{"id": "1", "text": "x", "mentions": [{"mention": "x", "cui": ["C0000001"]}]}', 1),
        ('{"id": 1, "text": "x", "mentions": []}', 1),
        ('{"id": "1", "text": "x", "mentions": [{"mention": "x", "cui": [["C0000001"]]}]}', 1),
        ("[1]", 1),
        ('{"id": "1", "text": ', 1),
    ],
)
def test_a_broken_document_is_named_by_its_line(content, line, tmp_path, prepare):
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        prepare("wikimed-de", "de", data_root=tmp_path)
    assert caught.value.where == f"{path}:{line}"


def test_real_queries_without_context(data_root, cache):
    dataset = load_dataset("wikimed-de@queries", split="dev", data_root=data_root, cache=cache, offline=True)
    assert len(dataset) == 19_561
    first = dataset[0]
    assert (first["mention"], first["gold"], first["context"]) == ("Hoden", ["C0039597"], "")
    assert (first["start"], first["end"], first["spans"]) == (-1, -1, [])
    assert sum(len(row["gold"]) > 1 for row in dataset.to_list()) == 196


def test_what_is_missing_is_named_with_its_page(tmp_path, prepare):
    with pytest.raises(MissingError) as caught:
        prepare("wikimed-de", "de", data_root=tmp_path)
    assert "10.5281/zenodo.8188966" in str(caught.value)
