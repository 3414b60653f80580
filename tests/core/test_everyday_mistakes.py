"""Mistakes people make: one sentence each, the right exit code, and never the word bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke

CONFIGS = {
    "k text": 'k = "many"',
    "k true": "k = true",
    "k zero": "k = 0",
    "k list": "k = [1]",
    "seed": "seed = -1",
    "seed fraction": "seed = 1.5",
    "offline": 'offline = "yes"',
    "cache": "cache = 3",
    "output": "output = 3",
    "retriever": "retriever = 3",
    "kb": "kb = []",
    "unknown": "kay = 3",
    "table": "retrievers = 3",
    "inner table": "[rankers]\nx = 3",
    "no toml": "k = ",
    "depth": "rerank_depth = 0",
    "errors": "max_errors = -1",
    "not a number": "max_errors = nan",
    "metrics": "metrics = 3",
    "unknown preset": 'preset = "no-such"\n',
}

RUNS: dict[str, tuple[list[str], int]] = {
    "seed": (["--seed", "-1"], 2),
    "seed text": (["--seed", "x"], 2),
    "seed huge": (["--seed", "9" * 30], 2),
    "k zero": (["--k", "0"], 2),
    "k negative": (["--k", "-5"], 2),
    "k text": (["--k", "ten"], 2),
    "limit": (["--limit", "0"], 2),
    "depth": (["--rerank-depth", "0"], 2),
    "unknown retriever": (["--retriever", "no-such"], 2),
    "unknown ranker": (["--ranker", "no-such"], 2),
    "unknown dataset": (["--dataset", "no-such"], 2),
    "empty dataset": (["--dataset", ""], 2),
    "revision": (["--dataset", "xl-bel@v9"], 2),
    "no revision": (["--dataset", "xl-bel@"], 2),
    "subset": (["--subset", "xx"], 2),
    "split": (["--split", "nosplit"], 2),
    "protocol": (["--protocol", "none"], 2),
    "policy": (["--policy", "match"], 2),
    "policy value": (["--policy", "match=most"], 2),
    "policy twice": (["--policy", "nil=skip", "--policy", "nil=count"], 2),
    "metric": (["--metric", "no-such"], 2),
    "option": (["-R", "siez=3"], 2),
    "option type": (["-R", "size=three"], 2),
    "option without value": (["-R", "size"], 2),
    "ranker option without ranker": (["-K", "x=1"], 2),
    "preset": (["--preset", "no-such"], 2),
    "unknown flag": (["--no-such-flag"], 2),
    "stray argument": (["stray"], 2),
    "missing value": (["--k"], 2),
    "unknown kb": (["--kb", "no-such-kb"], 2),
    "kb folder": (["--kb", "/no/such/folder"], 3),
    "kb empty folder": (["--kb", "{folder}"], 3),
    "kb file": (["--kb", "{file}"], 3),
    "kb brackets": (["--kb", "./[/red] [bold]"], 3),
    "kb long": (["--kb", "./" + "x" * 300], 1),
    "kb loop": (["--kb", "{loop}"], 3),
    "kb surrogate": (["--kb", "./\udcff"], 3),
    "retriever surrogate": (["--retriever", "\udcff"], 2),
    "retriever escape": (["--retriever", "\x1b[31mred"], 2),
    "output file": (["--output", "{file}"], 1),
    "output below file": (["--output", "{file}/runs"], 1),
    "output device": (["--output", "/dev/full"], 1),
    "output long": (["--output", "{folder}/" + "x" * 300], 1),
    "output loop": (["--output", "{loop}"], 1),
    "errors": (["--max-errors", "-1"], 2),
    "errors text": (["--max-errors", "few"], 2),
    "table": (["--dataset", "table", "-D", "path=/no/such/file.tsv"], 3),
    "table without path": (["--dataset", "table"], 2),
    "table folder": (["--dataset", "table", "-D", "path={folder}"], 3),
    "dataset option": (["--dataset", "xl-bel", "-D", "x=1"], 2),
    "plugin": (["--plugin", "/no/such/plugin.py"], 3),
    "plugin folder": (["--plugin", "{folder}"], 3),
    "config": (["--config", "/no/such.toml"], 2),
    "config folder": (["--config", "{folder}"], 2),
    "config bytes": (["--config", "{bytes}"], 2),
    "config loop": (["--config", "{loop}"], 2),
    "config without value": (["--config"], 2),
}

OTHERS: dict[str, tuple[list[str], int]] = {
    "no command": ([], 2),
    "unknown command": (["rnu"], 2),
    "unknown global": (["--no-such"], 2),
    "escape": (["\x1b[2J"], 2),
    "surrogate": (["\udcff"], 2),
    "kind": (["list", "nothing"], 2),
    "link nothing": (["link"], 2),
    "link brackets": (["link", "a [b"], 2),
    "link file": (["link", "--file", "/no/such.txt"], 3),
    "link folder": (["link", "--file", "{folder}"], 1),
    "link bytes": (["link", "--file", "{bytes}"], 1),
    "link json": (["link", "--file", "{bad}"], 1),
}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    for name, content in (("file", b"x"), ("bytes", b"\xff\xfe\x00\xd8"), ("bad.jsonl", b"[1]\n")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = {"file": "file", "bytes": "bytes", "bad": "bad.jsonl", "folder": "folder", "loop": "loop"}
    return {key: str(tmp_path / name) for key, name in names.items()}


def filled(arguments: list[str], places: dict[str, str]) -> list[str]:
    found = []
    for argument in arguments:
        for key, place in places.items():
            argument = argument.replace("{" + key + "}", place)
        found.append(argument)
    return found


def check(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(arguments) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    for word in ("internal error", "bug", "Traceback", "\x1b[2J"):
        assert word not in captured.err
    assert captured.err or not arguments
    captured.err.encode("utf-8")


@pytest.mark.parametrize("mistake", list(RUNS))
def test_a_run(
    mistake: str, run_arguments: list[str], places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code = RUNS[mistake]
    check([*[a.replace("150", "5") for a in run_arguments], *filled(arguments, places)], code, capsys)


@pytest.mark.parametrize("mistake", list(OTHERS))
def test_another_command(mistake: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments, code = OTHERS[mistake]
    check(filled(arguments, places), code, capsys)


@pytest.mark.parametrize("mistake", list(CONFIGS))
def test_a_configuration(
    mistake: str, run_arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "[red] settings.toml"
    path.write_text(CONFIGS[mistake])
    check([*run_arguments, "--config", str(path), "--dry-run"], 2, capsys)
