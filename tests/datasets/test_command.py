from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.datasets import medmentions


def run(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    assert invoke(["datasets", *arguments, "--offline"]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run([*arguments, "--json"], capsys)[0])
    return result


def test_show_gives_counts_and_marked_examples_as_json(cache, capsys):
    result = as_json(["show", "xl-bel", "--subset", "de,tr", "--limit", "1"], capsys)
    assert (result["name"], result["revision"], result["split"]) == ("xl-bel", "v1.0", "test")
    assert list(result["subsets"]) == ["de", "tr"]
    german = result["subsets"]["de"]
    assert (german["mentions"], german["documents"]) == (1000, 996)
    assert len(german["sha256"]) == 64
    (example,) = german["examples"]
    assert example["id"] == "xl-bel/de/0000"
    assert "[[Lackschildläusen]]" in example["marked"]


def test_show_prints_real_examples_with_the_mention_marked(cache, capsys):
    out, _ = run(["show", "xl-bel", "--subset", "tr", "--limit", "1"], capsys)
    assert "xl-bel/tr/0000" in out
    assert "1,000" in out
    without_context, _ = run(["show", "xl-bel@v0.0", "--subset", "de", "--limit", "1"], capsys)
    assert "[Armeria]" in without_context


def test_show_marks_all_pieces_of_a_discontinuous_mention(cache, capsys, tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text(
        "mention\tgold\tcontext\tspans\nheart failure\tC0018801\theart and lung failure\t0-5;15-22\n", "utf-8"
    )
    result = as_json(["show", "table", "-D", f"path={path}"], capsys)
    (example,) = result["subsets"]["all"]["examples"]
    assert example["marked"] == "[[heart]] and lung [[failure]]"


def test_verify_passes_on_the_shipped_data(cache, capsys):
    result = as_json(["verify", "xl-bel", "--subset", "de"], capsys)
    assert {(c["check"], c["passed"]) for c in result["checks"]} == {
        ("mentions", True),
        ("positions", True),
    }


def test_verify_fails_where_mentions_lack(cache, capsys, sample_root, monkeypatch):
    monkeypatch.setitem(medmentions.SPEC.expected_mentions, ("sample", "all"), {"en": 761})  # type: ignore[arg-type]
    _, err = run(["verify", "medmentions@sample", "--data-root", str(sample_root)], capsys, code=1)
    assert "760 of 761 published" in err


def test_list_tells_what_is_available(cache, capsys, sample_root):
    result = as_json(["list", "--data-root", str(sample_root)], capsys)
    parts = {f"{d['name']}@{p['revision']}:{p['split']}": p for d in result["datasets"] for p in d["parts"]}
    assert parts["xl-bel@v1.0:test"]["available"]
    assert parts["medmentions@sample:all"]["available"]
    assert not parts["medmentions@full:test"]["available"]
    assert "medmentions/upstream/full/data" in parts["medmentions@full:test"]["hint"]
    assert [d["name"] for d in result["datasets"] if d["own_files"]] == [
        "bigbio",
        "brat",
        "pubtator",
        "table",
    ]
    out, _ = run(["list"], capsys)
    assert "10.5281/zenodo.8188966" in out


def test_what_is_missing_is_told_with_what_is_there(cache, capsys, sample_root):
    _, err = run(["show", "medmentions", "--data-root", str(sample_root)], capsys, code=3)
    assert "medmentions@sample --split all" in err
    _, err = run(["prepare", "emea"], capsys, code=3)
    assert "GPL-3.0" in err
    _, err = run(["show", "xl-bel", "--data-root", "no-such-folder"], capsys, code=2)
    assert "no folder" in err
    _, err = run(["show", "xl-bel", "--subset", "de,xx"], capsys, code=2)
    assert "'xx'" in err


def test_a_licence_is_accepted_once_for_all_that_is_made_of_the_data(cache, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(tmp_path / "cache"))
    run(["prepare", "emea", "--accept-licence"], capsys, code=3)
    (accepted,) = (tmp_path / "cache" / "licences").iterdir()
    assert json.loads(Path(accepted).read_text(encoding="utf-8"))["licence"] == "GPL-3.0"


def test_prepare_shows_counts(cache, capsys, sample_root):
    result = as_json(["prepare", "medmentions@sample", "--data-root", str(sample_root)], capsys)
    assert result["subsets"]["en"]["mentions"] == 760
    assert result["subsets"]["en"]["sources"]
