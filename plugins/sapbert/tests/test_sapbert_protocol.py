"""Protocol `sapbert`, end to end: acc@1 and acc@5 on all ten languages are those of SapBERT's evaluation."""

from __future__ import annotations

import json
import lzma
import sys
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from dense_helpers import embedded_encoder
from sapbert_oracle import PlainEncoder, evaluate

from bioelx_bench.cache import default_cache_folder
from bioelx_bench.cli.main import invoke
from bioelx_bench.kb.store import KnowledgeBase

LANGUAGES = ("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th")
LIMIT = 12


def rows_of(language: str) -> list[tuple[str, str]]:
    """(mention, CUIs) of a language, read from the file as it is."""
    file = files("bioelx_bench") / "resources/xl_bel/v1.0" / f"{language}_1k_test_query_with_context.txt.xz"
    rows = [
        line.split("||") for line in lzma.decompress(file.read_bytes()).decode().split("\n") if line.strip()
    ]
    return [(row[1], row[0]) for row in rows]


def write_dictionary(path: Path) -> None:
    """Names of every third mention's concepts, and those of other mentions: some exact, some near, some absent."""
    lines = ["cui\tname\tlang"]
    for language in LANGUAGES:
        rows = rows_of(language)
        for mention, gold in rows[0:LIMIT:3] + rows[100:115]:
            lines += [f"{cui}\t{mention}\t{language}" for cui in gold.split("|")]
        lines += [f"{gold.split('|')[0]}\t{mention.upper()}\ten" for mention, gold in rows[1:LIMIT:3]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_figures_are_those_of_sapberts_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(default_cache_folder()))
    write_dictionary(tmp_path / "names.tsv")
    folder = tmp_path / "kb"
    arguments = ["kb", "build", "table", str(tmp_path / "names.tsv"), "--name", "t", "--output", str(folder)]
    assert invoke(arguments) == 0
    capsys.readouterr()
    arguments = [
        "run",
        "--dataset",
        "xl-bel@v1.0",
        "--limit",
        str(LIMIT),
        "--kb",
        str(folder),
        "--protocol",
        "sapbert",
    ]
    arguments += ["--retriever", "sapbert", "--ranker", "none", "--output", str(tmp_path / "runs"), "--json"]
    for option in (f"model={embedded_encoder()}", "pooling=mean"):
        arguments += ["-R", option]
    code = invoke(arguments)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    scores = json.loads(captured.out)["scores"]
    kb = KnowledgeBase.open(folder)
    concepts = kb.name_concepts
    dictionary = {kb.concept_id(c): np.flatnonzero(concepts == c) for c in range(len(kb))}
    encoder = PlainEncoder(embedded_encoder(), "mean")
    names = encoder.encode([kb.name_text(row).lower() for row in range(kb.name_count)])
    assert np.isfinite(names).all()
    hits = 0.0
    for language in LANGUAGES:
        accuracy = evaluate(encoder, dictionary, names, rows_of(language)[:LIMIT])
        for k in (1, 5):
            low, high = accuracy.bounds(k)
            figure = scores[language]["retrieval"]["figures"][f"recall@{k}"]
            assert low - 1e-9 <= figure <= high + 1e-9, (language, k, accuracy)
            assert len(accuracy.open[k]) <= 1, (language, k, accuracy.open)
            hits += figure
    assert 2 < hits < 18  # neither nothing nor everything is found
