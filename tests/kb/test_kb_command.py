"""The command `kb`, as a user types it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from bioelx_bench.cli.main import invoke

TABLE = "cui\tlang\tname\tsource\tpreferred\nC0000001\ten\t[bold]cough\tMSH\t1\nC0000002\tde\tFieber\tWD\t0\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def rrf_release() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "kb_rrf_release", Path(__file__).with_name("rrf_release.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_build_table_show_and_concept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.tsv").write_text(TABLE)
    command = ["kb", "build", "table", "t.tsv", "--name", "mine", "--output", "out"]
    assert invoke(command) == 0
    assert "2 concepts, 2 names" in capsys.readouterr().out
    assert invoke([*command, "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert built["name"] == "mine"
    assert built["counts"]["source:MSH"] == 1
    assert invoke(["kb", "show", "./out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == built["sha256"]
    assert invoke(["kb", "show", "out"]) == 0
    assert built["sha256"] in capsys.readouterr().out
    assert invoke(["kb", "concept", "out", "C0000001"]) == 0
    assert "[bold]cough" in capsys.readouterr().out
    assert invoke(["kb", "concept", "out", "C0000001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == [
        {"text": "[bold]cough", "language": "en", "source": "MSH", "preferred": True}
    ]


def test_mistakes_give_their_exit_codes_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.tsv").write_text(TABLE)
    (tmp_path / "bad.tsv").write_text(TABLE + "C1\ten\tx\tS\t0\n")
    table = ["kb", "build", "table"]
    assert invoke([*table, "t.tsv", "--name", "mine", "--output", "out"]) == 0
    for arguments, code, says in (
        ([*table, "no.tsv", "--name", "n", "--output", "o"], 3, "no file no.tsv"),
        ([*table, "bad.tsv", "--name", "n", "--output", "o"], 1, "bad.tsv:4 (field cui)"),
        ([*table, "t.tsv", "--name", "other", "--output", "out"], 2, "exists"),
        ([*table, "t.tsv", "--name", "n"], 2, "--output"),
        (["kb", "show", "opne"], 2, "did you mean 'open'"),
        (["kb", "concept", "out", "C0000009"], 3, "no concept 'C0000009'"),
        (
            ["kb", "build", "umls", "--release", "x.zip", "--name", "u", "--output", "u"],
            3,
            "no release x.zip",
        ),
        (["kb", "build", "obo", "x.obo", "--name", "u", "--output", "u"], 3, "no file x.obo"),
    ):
        capsys.readouterr()
        assert invoke(arguments) == code, arguments
        printed = capsys.readouterr()
        assert says in printed.err
        assert "Traceback" not in printed.err
        assert printed.out == ""


def test_build_umls_with_a_preset_and_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rrf_release().write_zip(tmp_path / "release.zip")
    base = ["kb", "build", "umls", "--release", "release.zip", "--name", "u", "--json"]
    assert invoke([*base, "--output", "a", "--preset", "mantra"]) == 0
    mantra = json.loads(capsys.readouterr().out)
    assert mantra["filters"]["preset"] == "mantra"
    assert mantra["languages"] == ["en"]
    assert mantra["counts"]["not_in_release:sources:MDR"] == 1
    given = ["--languages", "all", "--sources", "MSH, MSHGER", "--suppressible", "all", "--no-definitions"]
    assert invoke([*base, "--output", "b", "--preset", "mantra", *given]) == 0
    built = json.loads(capsys.readouterr().out)
    assert built["languages"] == ["de", "en"]
    assert built["filters"]["suppressible"] == ["E", "O", "Y"]
    assert built["definitions"] == 0
    assert invoke([*base, "--output", "c", "--preset", "mantra", "--sources", "NOPE"]) == 2
    assert "no name of 'NOPE'" in capsys.readouterr().err
    assert invoke(["kb", "concept", "b", "C0000101"]) == 3
    assert "its successors are C0000001" in capsys.readouterr().err


def test_list_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["kb", "list", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["open"]["built"] is False
    assert invoke(["kb", "list"]) == 0
    assert "at first use" in capsys.readouterr().out
