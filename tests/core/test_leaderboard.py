from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.leaderboard.entry import CANDIDATES_SCHEMA, RANKINGS_SCHEMA, read_entry, training_of
from bioelx_bench.leaderboard.pages import build_pages, cell
from bioelx_bench.runs.seal import seal

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PLUGINS = ("--plugin", str(HERE / "word_plugin.py"), "--plugin", str(HERE / "little_dataset.py"))


@dataclass
class Board:
    """A leaderboard with one ranked entry, and how to ask for it."""

    folder: Path
    entry: Path
    run: Path
    kb: Path

    def ask(self, command: str, *more: str) -> int:
        extra = ["--kb", str(self.kb)] if command in {"add", "check"} else []
        return invoke(["leaderboard", command, *more, "--folder", str(self.folder), *extra, *PLUGINS])

    def edit(self, name: str, change: Callable[[Any], None]) -> None:
        """Change a JSON file."""
        path = self.entry / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    def rewrite(self, name: str, schema: pa.Schema, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change a table and write its new hash into the manifest, as a forger would."""
        rows = parquet.read_table(self.entry / name).to_pylist()
        change(rows)
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), self.entry / name)
        self.edit("manifest.json", lambda m: m["files"].update({name: hash_file(self.entry / name)}))


@pytest.fixture
def board(small_kb: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Board:
    arguments = ["run", *PLUGINS, "--dataset", "little", "--kb", str(small_kb), "--retriever", "words"]
    arguments += ["--ranker", "context", "--output", str(tmp_path / "runs"), "--json"]
    assert invoke(arguments) == 0, capsys.readouterr().err
    run = tmp_path / "runs" / json.loads(capsys.readouterr().out)["run_id"]
    found = Board(tmp_path / "board", tmp_path / "board" / "results" / "little@1" / run.name, run, small_kb)
    assert found.ask("add", str(run)) == 0
    assert found.ask("build", "--site", str(tmp_path / "site")) == 0
    out = capsys.readouterr()
    assert "not recomputed" not in out.err
    return found


def test_a_run_becomes_a_row_that_recomputes(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert board.ask("check") == 0
    assert "1 entries, 1 recomputed" in capsys.readouterr().out
    result = json.loads((board.entry / "result.json").read_text())
    page = (board.folder / "little.md").read_text()
    recall = result["scores"]["macro"]["ranking"]["figures"]["recall@1"]
    assert 0 < recall < 1
    assert f"**{100 * recall:.1f}**" in page
    assert str(tmp_path) not in page
    assert str(tmp_path) not in (board.entry / "manifest.json").read_text()
    site = (tmp_path / "site" / "index.html").read_text()
    assert f"{100 * recall:.1f}" in site
    assert "http://" not in site.replace("http://www.w3.org", "")
    text = " ".join(str(parquet.read_table(p).to_pylist()) for p in board.entry.glob("*.parquet"))
    assert "diabetes" not in text.lower()


def test_a_ranked_row_shows_what_ranking_adds(board: Board, tmp_path: Path) -> None:
    scores = json.loads((board.entry / "result.json").read_text())["scores"]["macro"]
    before, after = (scores[stage]["figures"]["recall@1"] for stage in ("retrieval", "ranking"))
    overview = (board.folder / "README.md").read_text()
    assert f"| {100 * before:.1f} | {100 * (after - before):+.1f} |" in overview
    assert f"{100 * before:.1f}" in (board.folder / "little.md").read_text()
    assert "R@1 before ranking" in (tmp_path / "site" / "index.html").read_text()


def test_pages_without_entries_show_what_papers_report() -> None:
    pages = build_pages([])
    assert "0 runs" in pages["README.md"]
    assert "| XL-BEL, Thai | BioELX | +30.8 | |" in pages["reported.md"]


def test_training_data_comes_from_the_notes(board: Board) -> None:
    result = read_entry(board.entry).result
    noted = result.notes.model_copy(
        update={"retriever": {"training_datasets": ["little@1 test", "emea@1 train"]}}
    )
    found = training_of(result.model_copy(update={"notes": noted}))
    assert found == ["emea@1 train", "little@1 test"]


def figures(content: Any) -> dict[str, Any]:
    return content["scores"]["en"]["ranking"]["figures"]  # type: ignore[no-any-return]


def foreign(rows: list[dict[str, Any]]) -> None:
    next(row for row in rows if row["concepts"])["concepts"][0] = "C8888888"


def swapped(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["concepts"].reverse()


def limited(content: Any) -> None:
    content["dataset"]["limit"] = 5


def one_subset(content: Any) -> None:
    content["dataset"]["subsets"] = ["en"]
    del content["dataset"]["sha256"]["de"], content["scores"]["de"]


def nested(content: Any) -> None:
    value: Any = []
    for _ in range(200):
        value = [value]
    content["k"] = value


FORGED: dict[str, tuple[Callable[[Board], None], str]] = {
    "edited score": (
        lambda b: b.edit("result.json", lambda r: figures(r).update({"recall@1": 0.0})),
        "(scores.en.ranking.figures.recall@1)",
    ),
    "edited rankings": (lambda b: b.rewrite("rankings.parquet", RANKINGS_SCHEMA, swapped), "the ids give"),
    "edited table without its hash": (
        lambda b: (b.entry / "candidates.parquet").write_bytes(b"PAR1"),
        "its hash is not the one",
    ),
    "wrong run id": (
        lambda b: b.edit("manifest.json", lambda m: m["identity"].update({"seed": 7})),
        "is not the run id",
    ),
    "wrong hash of the data": (
        lambda b: b.edit("result.json", lambda r: r["dataset"]["sha256"].update({"en": "0" * 64})),
        "(identity.data)",
    ),
    "concept outside the KB": (
        lambda b: b.rewrite("candidates.parquet", CANDIDATES_SCHEMA, foreign),
        "'C8888888', a candidate of little/en/1, is no concept",
    ),
    "recall above coverage": (
        lambda b: b.edit("result.json", lambda r: figures(r).update({"recall@1": 1.0})),
        "is above the coverage",
    ),
    "first mentions only": (lambda b: b.edit("result.json", limited), "covers only the first 5"),
    "a subset of the languages": (lambda b: b.edit("result.json", one_subset), "covers 1 of 2 subsets"),
    "failed mentions": (
        lambda b: b.edit("result.json", lambda r: r["usage"].update({"errors": 3})),
        "of 40 mentions failed",
    ),
    "trained on the test data": (
        lambda b: b.edit("manifest.json", lambda m: m.update({"training": ["little@1 test"]})),
        "was trained on little@1 test",
    ),
    "edited slice": (
        lambda b: b.edit(
            "result.json",
            lambda r: r["scores"]["en"]["slices"]["seen"]["ranking"]["figures"].update({"recall@1": 0.123}),
        ),
        "(scores.en.slices.seen.ranking.figures.recall@1)",
    ),
    "stale page": (lambda b: (b.folder / "little.md").write_text("# mine"), "the page is not what"),
    "oversized": (lambda b: (b.entry / "result.json").write_bytes(b" " * (5 << 20)), "larger than 4 MiB"),
    "climbing run id": (
        lambda b: b.edit("result.json", lambda r: r.update({"run_id": "../../../../etc"})),
        "(field run_id)",
    ),
    "climbing dataset": (
        lambda b: b.edit("result.json", lambda r: r["dataset"].update({"name": "../x"})),
        "(field dataset.name)",
    ),
    "NaN": (
        lambda b: (b.entry / "result.json").write_text(
            (b.entry / "result.json").read_text().replace("0.0", "NaN", 1)
        ),
        "is not JSON",
    ),
    "text for a number": (
        lambda b: b.edit("result.json", lambda r: figures(r).update({"recall@1": "1.0"})),
        "(field scores.en.ranking.figures.recall@1",
    ),
    "a list for a number": (lambda b: b.edit("result.json", lambda r: r.update({"k": [50]})), "(field k)"),
    "deep nesting": (lambda b: b.edit("result.json", nested), "recursion limit"),
    "deeper nesting": (lambda b: (b.entry / "result.json").write_text("[" * 100_000), "is not JSON"),
    "private address": (
        lambda b: b.edit("manifest.json", lambda m: m.update({"command": ["api=http://10.0.0.7:80/v1"]})),
        "private address",
    ),
    "home path": (
        lambda b: b.edit("manifest.json", lambda m: m.update({"command": ["model=/home/someone/m"]})),
        "names a folder",
    ),
    "another file": (lambda b: (b.entry / "x.html").write_text("x"), "x.html is no file of an entry"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_submission_is_refused_in_one_sentence(
    board: Board, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge, expected = FORGED[kind]
    forge(board)
    assert board.ask("check") == 1
    err = capsys.readouterr().err
    assert expected in err
    assert "internal error" not in err
    assert "Traceback" not in err


def test_one_bad_file_does_not_stop_the_others(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    bad = board.entry.parent / "0123456789abcdef"
    shutil.copytree(board.entry, bad)
    (bad / "result.json").write_text("{}")
    assert board.ask("build") == 0
    assert "0123456789abcdef" in capsys.readouterr().err
    assert board.run.name in (board.folder / "little.md").read_text()
    assert board.ask("check") == 1


def test_a_run_that_would_be_refused_is_not_added(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", *PLUGINS, "--dataset", "little", "--kb", str(board.kb), "--retriever", "words"]
    for more, expected in ((["--limit", "5"], "first 5 mentions"), (["--subset", "en"], "1 of 2 subsets")):
        assert invoke([*arguments, *more, "--output", str(tmp_path / "other"), "--json"]) == 0
        run = tmp_path / "other" / json.loads(capsys.readouterr().out)["run_id"]
        assert board.ask("add", str(run)) == 2
        assert expected in capsys.readouterr().err
    assert len(list(board.folder.glob("results/*/*"))) == 1
    assert board.ask("add", "no-such-run") == 3


def test_what_cannot_be_recomputed_is_said(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["leaderboard", "check", "--folder", str(board.folder), *PLUGINS]) == 0
    captured = capsys.readouterr()
    assert "not recomputed" in captured.err
    assert "1 entries, 0 recomputed" in captured.out


def test_one_system_is_one_row(board: Board) -> None:
    from bioelx_bench.leaderboard.board import read_board
    from bioelx_bench.leaderboard.rows import groups_of

    def move(content: Any) -> None:
        content["retriever"]["options_given"] = {"model": "another/folder/of/it"}

    twin = board.entry.parent / "0123456789abcdef"
    shutil.copytree(board.entry, twin)
    Board(board.folder, twin, board.run, board.kb).edit("result.json", move)
    entries = read_board(board.folder).entries
    assert len(entries) == 2
    assert [len(group.rows) for group in groups_of(entries)] == [1]


def test_hostile_text_is_inert_on_pages(board: Board, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>|[x](javascript:y)`\u202e\x1b[31m http://evil.example"
    board.edit("result.json", lambda r: r["retriever"].update({"name": hostile}))
    assert board.ask("build", "--site", str(tmp_path / "s")) == 0
    page = (board.folder / "little.md").read_text()
    site = (tmp_path / "s" / "index.html").read_text()
    assert "<script>alert" not in page + site
    assert "[x](javascript" not in page
    assert "http://evil" not in page
    assert not {"\u202e", "\x1b"} & set(page + site)


def test_a_submission_is_prepared_and_nothing_pushed(board: Board, tmp_path: Path) -> None:
    assert board.ask("submit", str(board.run), "--to", str(tmp_path / "s")) == 0
    text = (tmp_path / "s" / "pull_request.md").read_text()
    assert board.run.name in text
    assert (
        tmp_path / "s" / "branch.txt"
    ).read_text().strip() == f"leaderboard/little-words-{board.run.name[:8]}"


def test_an_id_follows_from_the_identity(board: Board) -> None:
    manifest = json.loads((board.entry / "manifest.json").read_text())
    assert hash_json(manifest["identity"])[:16] == board.run.name


def test_foreign_text_cannot_break_a_table() -> None:
    assert cell("a|b\n[x](y) <b>") == "a\\|b \\[x\\](y) \\<b\\>"


def test_the_repository_s_own_pages_agree_with_its_results() -> None:
    assert invoke(["leaderboard", "check", "--folder", str(REPOSITORY / "leaderboards")]) == 0


def test_figures_that_cannot_be_are_on_no_page(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    def lie(result: dict[str, Any]) -> None:
        result["scores"]["micro"]["retrieval"]["figures"]["mrr"] = 1.5

    board.edit("result.json", lie)
    assert board.ask("build") == 0
    assert "1.5 is no share" in capsys.readouterr().err
    assert board.run.name not in (board.folder / "README.md").read_text()
    assert board.ask("check") == 1


def test_an_entry_without_some_of_its_mentions_is_refused(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    board.rewrite("candidates.parquet", CANDIDATES_SCHEMA, lambda rows: rows.pop())
    assert board.ask("check") == 1
    assert "rows for" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"identity": 3}', "\udcff"])
def test_a_run_with_a_damaged_manifest_is_refused_in_one_sentence(
    board: Board, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (board.run / "manifest.json").write_text(content, errors="surrogateescape")
    seal(board.run)
    assert board.ask("add", str(board.run)) == 1
    error = capsys.readouterr().err
    assert "the manifest of the run is damaged" in error
    assert "internal error" not in error
