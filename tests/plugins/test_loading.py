"""Loading plugins: what is right is taken, what is wrong is set aside and named, one at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.options import load_object
from bioelx_bench.plugins import KINDS, Plugins, load_plugins
from bioelx_bench.testing import make_knowledge_base

SHIPPED = "bm25,llm,offline,sapbert"
"""The plugins of this repository, which may be installed or not."""

HEAD = "from bioelx_bench import hookimpl\nfrom bioelx_bench.declarations import *\n"


def retriever_plugin(*names: str) -> str:
    specs = ", ".join(f"RetrieverSpec(name={n!r}, summary='', factory='nothing:Here')" for n in names)
    return HEAD + f"@hookimpl\ndef retrievers():\n    return [{specs}]\n"


def reason(plugins: Plugins, name: str) -> str:
    found = [q.reason for q in plugins.broken if q.name == name]
    assert len(found) == 1, plugins.broken
    assert name not in [p.name for p in plugins.loaded]
    assert all(d.plugin.name != name for kind in KINDS for d in plugins.all(kind))
    return found[0]


def test_an_installed_plugin_is_loaded_with_its_distribution(install: Callable[..., Path]) -> None:
    install("good", retriever_plugin("one", "two"))
    plugins = load_plugins()
    plugin = next(p for p in plugins.loaded if p.name == "good")
    assert (plugin.distribution, plugin.version, plugin.hooks) == ("dist-good", "1.2", ("retrievers",))
    assert plugins.get("retrievers", "one").qualified_name == "good/one"
    assert plugins.get("retrievers", "good/two").spec.name == "two"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'"),
        ("raise RuntimeError('boom\\nand more')\n", "RuntimeError: boom and more"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("def (\n", "SyntaxError"),
        (
            HEAD + "@hookimpl\ndef retreivers():\n    return []\n",
            "no hook 'retreivers'; did you mean 'retrievers'",
        ),
        (HEAD + "@hookimpl\ndef retrievers(speed):\n    return []\n", "speed"),
        (HEAD + "def retrievers():\n    return []\n", "implements no hook"),
        (
            HEAD + "@hookimpl\ndef retrievers():\n    pass\n",
            "must return a list of declarations, not NoneType",
        ),
        (HEAD + "@hookimpl\ndef retrievers():\n    return 'bm25'\n", "not str"),
        (HEAD + "@hookimpl\ndef retrievers():\n    return 7\n", "not int"),
        (HEAD + "@hookimpl\ndef retrievers():\n    return ['bm25']\n", "must return RetrieverSpec, not str"),
        (
            HEAD
            + "@hookimpl\ndef retrievers():\n    return [RankerSpec(name='x', summary='', factory='a:b')]\n",
            "must return RetrieverSpec, not RankerSpec",
        ),
        (HEAD + "@hookimpl\ndef retrievers():\n    raise KeyError('x')\n", "KeyError"),
        (retriever_plugin("Big"), "must be lower-case"),
        (retriever_plugin("a/b"), "must be lower-case"),
        (retriever_plugin(""), "must be lower-case"),
        (retriever_plugin("x").replace("'x'", "None"), "must be lower-case"),
        (retriever_plugin("same", "same"), "declares retriever 'same' twice"),
        (
            retriever_plugin("x").replace("nothing:Here", "nothing.Here"),
            "factory must be 'package.module:attr",
        ),
        (HEAD + "@hookimpl\ndef retrievers():\n    yield 1\n", "must return RetrieverSpec, not int"),
    ],
)
def test_a_faulty_plugin_is_set_aside_with_the_reason_and_the_rest_works(
    install: Callable[..., Path], source: str, expected: str
) -> None:
    install("aaa-good", retriever_plugin("before"))
    install("faulty", source)
    install("zzz-good", retriever_plugin("after"))
    plugins = load_plugins()
    assert expected in reason(plugins, "faulty")
    assert "\n" not in reason(plugins, "faulty")
    assert plugins.get("retrievers", "before")
    assert plugins.get("retrievers", "after")
    assert plugins.get("commands", "run").plugin.name == "core"
    assert plugins.call_events("run_started", run=None) == []


def test_an_unknown_name_says_what_was_set_aside(install: Callable[..., Path]) -> None:
    install("faulty", "raise RuntimeError('boom')\n")
    with pytest.raises(MissingError, match="unknown retriever 'faulti'") as caught:
        load_plugins().get("retrievers", "faulti")
    assert "faulty (dist-faulty): RuntimeError: boom" in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_unknown_name_suggests_known_ones(install: Callable[..., Path]) -> None:
    install("good", retriever_plugin("lookup"))
    with pytest.raises(UsageError, match="did you mean 'lookup'") as caught:
        load_plugins(disable=SHIPPED).get("retrievers", "lokup")
    assert caught.value.exit_code == 2


def test_one_name_from_two_plugins_must_be_qualified(install: Callable[..., Path]) -> None:
    install("first", retriever_plugin("shared", "own"))
    install("second", retriever_plugin("shared"))
    plugins = load_plugins()
    with pytest.raises(UsageError, match="2 plugins declare retriever 'shared'") as caught:
        plugins.get("retrievers", "shared")
    assert caught.value.hint == "write first/shared or second/shared"
    assert plugins.get("retrievers", "second/shared").plugin.name == "second"
    assert {"first/shared", "second/shared", "own"} <= set(plugins.names("retrievers"))


def test_a_plugin_name_in_two_distributions_is_refused_for_both(install: Callable[..., Path]) -> None:
    """Else a package could take the place of another by the order of the alphabet."""
    install("twice", retriever_plugin("real"), "dist-b")
    install("twice", retriever_plugin("impostor"), "dist-a")
    plugins = load_plugins()
    refused = [q for q in plugins.broken if q.name == "twice"]
    assert [q.distribution for q in refused] == ["dist-a", "dist-b"]
    assert all("several distributions have a plugin 'twice' (dist-a, dist-b)" in q.reason for q in refused)
    assert plugins.find("retrievers", "real") is None
    assert plugins.find("retrievers", "impostor") is None


def test_nobody_takes_the_name_of_the_core(install: Callable[..., Path]) -> None:
    install("core", retriever_plugin("mine"))
    plugins = load_plugins()
    refused = [q for q in plugins.broken if q.name == "core"]
    assert [q.distribution for q in refused] == ["dist-core"]
    assert "already taken by bioelx-bench" in refused[0].reason
    assert plugins.get("commands", "run").plugin.distribution == "bioelx-bench"


def test_one_module_under_two_names_leaves_the_first_in_place(
    install_distribution: Callable[..., None],
) -> None:
    source = retriever_plugin("once") + "@hookimpl\ndef run_started(run):\n    raise ValueError('called')\n"
    install_distribution(
        "dist-alias", {"shared_module_plugin": source}, dict.fromkeys(("one", "two"), "shared_module_plugin")
    )
    plugins = load_plugins()
    assert "same module as the plugin 'one'" in reason(plugins, "two")
    assert plugins.get("retrievers", "once").plugin.name == "one"
    assert plugins.call_events("run_started", run=None) == [
        "plugin one: run_started raised ValueError: called"
    ]


@pytest.mark.parametrize("setting", ["all", "1", "good,other-good", " good , other-good ,"])
def test_the_environment_leaves_plugins_out(
    install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    install("good", retriever_plugin("one"))
    install("other-good", "raise RuntimeError('is not even imported')\n")
    monkeypatch.setenv("BIOELX_BENCH_DISABLE_PLUGINS", setting)
    plugins = load_plugins()
    assert {"good", "other-good"} <= set(plugins.disabled)
    assert plugins.find("retrievers", "one") is None
    assert "other-good" not in [q.name for q in plugins.broken]
    assert plugins.get("commands", "run")


def test_leaving_one_of_two_namesakes_out_keeps_neither(install: Callable[..., Path]) -> None:
    install("twice", retriever_plugin("one"), "dist-a")
    install("twice", retriever_plugin("two"), "dist-b")
    plugins = load_plugins(disable="twice")
    assert plugins.disabled == ["twice", "twice"]
    assert not [q for q in plugins.broken if q.name == "twice"]


class TestLocalFiles:
    def test_a_file_is_a_plugin_even_when_installed_ones_are_off(self, tmp_path: Path) -> None:
        file = tmp_path / "my-plugin.py"
        file.write_text(
            retriever_plugin("mine").replace("'nothing:Here'", "f'{__name__}:Made'") + "Made = int\n"
        )
        plugins = load_plugins([file], disable="all")
        found = plugins.get("retrievers", "mine")
        assert (found.plugin.name, found.plugin.version) == ("my-plugin", "local")
        assert found.plugin.distribution == str(file)
        assert load_object(found.spec.factory, "the retriever") is int

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match="there is no plugin file"):
            load_plugins([tmp_path / "absent.py"])
        with pytest.raises(MissingError, match="there is no plugin file"):
            load_plugins([tmp_path])

    def test_a_file_that_is_not_python_is_set_aside(self, tmp_path: Path) -> None:
        file = tmp_path / "notes.txt"
        file.write_text("hello")
        assert "not a Python file" in reason(load_plugins([file]), "notes")

    def test_a_faulty_file_is_set_aside_and_leaves_no_half_module(self, tmp_path: Path) -> None:
        file = tmp_path / "half.py"
        file.write_text("value = 1\nraise RuntimeError('boom')\n")
        assert reason(load_plugins([file]), "half") == "RuntimeError: boom"
        assert "bioelx_bench_local_half" not in sys.modules

    def test_two_files_that_would_be_one_module_are_not_mixed_up(self, tmp_path: Path) -> None:
        one, two = tmp_path / "name-clash.py", tmp_path / "name_clash.py"
        one.write_text(retriever_plugin("one"))
        two.write_text(retriever_plugin("two"))
        plugins = load_plugins([one, two])
        assert plugins.get("retrievers", "one")
        assert "rename one of the files" in reason(plugins, "name_clash")

    def test_two_files_of_one_name_are_refused(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "twin.py").write_text(retriever_plugin(folder))
        plugins = load_plugins([tmp_path / "a" / "twin.py", tmp_path / "b" / "twin.py"])
        assert plugins.get("retrievers", "a")
        assert "already taken" in plugins.broken[-1].reason


EVENTS = (
    HEAD
    + """
import json, sys
from pathlib import Path
LOG = Path(__file__).with_suffix(".log")

def note(*what):
    with LOG.open("a") as file:
        file.write(json.dumps(what) + "\\n")

@hookimpl
def run_started(run):
    print("events hear of it")
    note("started", run.dataset.name)

@hookimpl
def stage_finished(run, stage, seconds):
    note("stage", stage, seconds >= 0)

@hookimpl
def run_finished(run, result):
    note("finished", result.run_id)
"""
)


class TestEvents:
    def test_each_plugin_is_called_and_a_fault_stops_nobody(self, install: Callable[..., Path]) -> None:
        broken = HEAD + "@hookimpl\ndef stage_finished(stage):\n    raise {}\n"
        install("a-broken", broken.format("ValueError('no disk')"))
        install("b-leaves", broken.format("SystemExit(1)"))
        heard = HEAD + "heard = []\n@hookimpl\ndef stage_finished(stage, seconds):\n    heard.append(stage)\n"
        module = install("c-hears", heard).stem
        failures = load_plugins().call_events("stage_finished", run=None, stage="load", seconds=0.1)
        assert failures == [
            "plugin a-broken: stage_finished raised ValueError: no disk",
            "plugin b-leaves: stage_finished raised SystemExit: 1",
        ]
        assert sys.modules[module].heard == ["load"]

    def test_what_plugins_print_is_kept_from_stdout(
        self, install: Callable[..., Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        install("chatty", "print('at import')\n" + EVENTS.replace("note(", "str("))
        load_plugins().call_events("run_started", run=None)
        captured = capfd.readouterr()
        assert captured.out == ""
        assert "at import" in captured.err


def test_a_real_run_is_told_to_plugins(
    install: Callable[..., Path], tmp_path: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = install("events", EVENTS).with_suffix(".log")
    words = Path(__file__).parents[1] / "core" / "word_plugin.py"
    make_knowledge_base(tmp_path / "kb")
    command = f"run --plugin {words} --retriever words --dataset xl-bel --subset de --limit 5 --json"
    assert invoke([*command.split(), "--kb", f"{tmp_path}/kb", "--output", f"{tmp_path}/runs"]) == 0
    captured = capfd.readouterr()
    result = json.loads(captured.out)  # what the plugin prints is not there
    assert "events hear of it" in captured.err
    heard = [json.loads(line) for line in log.read_text().splitlines()]
    assert heard[0] == ["started", "xl-bel"]
    assert heard[-1] == ["finished", result["run_id"]]
    assert {stage for _, stage, _ in heard[1:-1]} >= {"index", "retrieve", "score"}


class TestCommandLine:
    """The same through the command, in a process of its own."""

    def command(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from bioelx_bench.cli.main import main; main()", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **options,  # type: ignore[call-overload]
        )

    def test_plugins_shows_who_was_set_aside(self, install: Callable[..., Path]) -> None:
        install("faulty", "print('noise')\nraise RuntimeError('boom')\n")
        done = self.command("plugins", "--json")
        assert done.returncode == 0
        found = json.loads(done.stdout)
        assert "RuntimeError: boom" in json.dumps(found)
        assert "noise" in done.stderr

    def test_a_run_that_needs_a_broken_plugin_stops_and_says_why(self, install: Callable[..., Path]) -> None:
        install("faulty", "raise RuntimeError('boom')\n")
        done = self.command("run", "--retriever", "wonderful", "--dry-run")
        assert done.returncode == 3
        assert "unknown retriever 'wonderful'" in done.stderr
        assert "RuntimeError: boom" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_plugin_file_is_exit_code_3(self) -> None:
        done = self.command("list", "--plugin", "absent.py")
        assert done.returncode == 3
        assert "there is no plugin file absent.py" in done.stderr
