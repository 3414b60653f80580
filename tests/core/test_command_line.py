from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke, split_global_options
from bioelx_bench.config import load_config
from bioelx_bench.errors import UsageError

HEAVY = {"torch", "transformers", "datasets", "evaluate", "pyserini", "litellm", "jnius", "pyarrow", "duckdb"}


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "retrievers"], ["plugins"], ["config"]])
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from bioelx_bench.cli.main import invoke; code = invoke(sys.argv[1:]);"
        "print('|'.join(sorted({m.split('.')[0] for m in sys.modules})), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.strip().splitlines()[-1].split("|"))
    assert imported & HEAVY == set()


def test_global_options_may_stand_anywhere() -> None:
    options, rest = split_global_options(
        ["run", "--json", "--k", "5", "--plugin=a.py", "--plugin", "b.py", "--", "--json"]
    )
    assert options.json
    assert options.plugin_files == (Path("a.py"), Path("b.py"))
    assert rest == ["run", "--k", "5", "--", "--json"]
    with pytest.raises(UsageError):
        split_global_options(["run", "--config"])


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    listed = capsys.readouterr().out
    for command in ("run", "list", "plugins", "datasets", "kb", "doctor", "config", "leaderboard"):
        assert f"\n  {command} " in listed
        assert invoke([command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["list"], ["list", "datasets"], ["plugins"], ["config"]])
def test_json_stands_alone_on_stdout(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_unknown_commands_and_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lits"]) == 2
    assert "did you mean 'list'" in capsys.readouterr().err
    assert invoke(["list", "retrieverz"]) == 2
    assert "did you mean 'retrievers'" in capsys.readouterr().err
    assert invoke([]) == 2


def test_settings_by_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("BIOELX_BENCH_CACHE", raising=False)
    user = tmp_path / "user" / "bioelx-bench" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('k = 20\nkb = "mine"\n[rankers.llama3]\nmodel = "ollama_chat/llama3"\n')
    (tmp_path / "bioelx-bench.toml").write_text("k = 30\n")
    config = load_config()
    assert (config.get("k"), config.settings["k"].origin) == (30, "bioelx-bench.toml")
    assert (config.get("kb"), config.settings["kb"].origin) == ("mine", str(user))
    assert config.settings["seed"].origin == "default"
    assert config.component("rankers", "llama3") == {"model": "ollama_chat/llama3"}
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(tmp_path / "elsewhere"))
    assert load_config().get("cache") == str(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retreiver = 'x'", "did you mean 'retriever'"),
        ("k = 'many'", "k must be a whole"),
        ("k = ", "not TOML"),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=expected):
        load_config(path)


def test_secrets_of_the_configuration_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        '[rankers.mine]\nmodel = "openai/x"\napi_key = "sk-planted"\napi_key_env = "MY_KEY"\n'
        'base_url = "https://me:planted1@example.org/v1"\nheader = "Bearer planted2.abcdef"\n'
        'revision = "0123456789abcdef0123456789abcdef01234567"\n'
        '[rankers.mine.params]\nx = [{y = "sk-planted3abc", vertex_credentials = "planted4"}]\n'
    )
    assert invoke(["config", "--config", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "planted" not in shown
    assert "example.org" in shown
    assert "0123456789abcdef" in shown
    assert "MY_KEY" in shown
