from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.leaderboard.pages import build_pages, cell

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def full_run(run_arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Path, dict[str, Any]]:
    at = run_arguments.index("--limit")
    arguments = run_arguments[:at] + run_arguments[at + 2 :]
    assert invoke(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    return Path(arguments[arguments.index("--output") + 1]) / result["run_id"], result


def test_a_run_becomes_a_row(full_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, result = full_run
    board = tmp_path / "board"
    assert invoke(["leaderboard", "add", str(folder), "--folder", str(board)]) == 0
    assert invoke(["leaderboard", "build", "--folder", str(board)]) == 0
    page = (board / "xl-bel.md").read_text()
    assert f"{100 * result['scores']['macro']['retrieval']['figures']['recall@1']:.1f} [" in page
    assert result["run_id"] in page
    assert (board / "README.md").read_text().count("xl-bel") >= 2
    assert invoke(["leaderboard", "check", "--folder", str(board)]) == 0
    assert build_pages(board) == build_pages(board)


def test_a_changed_page_is_found(
    full_run: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    invoke(["leaderboard", "add", str(full_run[0]), "--folder", str(board)])
    invoke(["leaderboard", "build", "--folder", str(board)])
    page = board / "xl-bel.md"
    page.write_text(page.read_text().replace("[", "[9", 1))
    assert invoke(["leaderboard", "check", "--folder", str(board)]) == 1
    assert "xl-bel.md" in capsys.readouterr().err


def test_partial_and_foreign_results_are_refused(
    run_arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(run_arguments) == 0
    result = json.loads(capsys.readouterr().out)
    folder = Path(run_arguments[run_arguments.index("--output") + 1]) / result["run_id"]
    assert invoke(["leaderboard", "add", str(folder), "--folder", str(tmp_path / "board")]) == 2
    assert "--limit" in capsys.readouterr().err
    foreign = tmp_path / "result.json"
    foreign.write_text("{}")
    assert invoke(["leaderboard", "add", str(foreign), "--folder", str(tmp_path / "board")]) == 1
    assert invoke(["leaderboard", "add", "no-such-run"]) == 3


def test_foreign_text_cannot_break_a_table() -> None:
    assert cell("a|b\n[x](y) <b>") == "a\\|b \\[x\\](y) \\<b\\>"


def test_the_repository_s_own_pages_agree_with_its_results() -> None:
    assert invoke(["leaderboard", "check", "--folder", str(REPOSITORY / "leaderboards")]) == 0
