"""What every command of the command line must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytest
import typer

from bioelx_bench.cli.main import run_command
from bioelx_bench.cli.session import GlobalOptions, Session
from bioelx_bench.testing.component import ComponentConformance, expect


class CommandConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_app`; pytest then runs every check.

    A command does its work in the project's words: errors are `bioelx_bench.errors.BenchError`, results go
    through `ctx.obj.emit`, so that `--json` works.
    """

    @classmethod
    @abstractmethod
    def make_app(cls) -> typer.Typer:
        """The application: what the declaration's factory gives."""

    def run(self, *arguments: str) -> int:
        """Run the command; returns its exit code."""
        return run_command(self.make_app(), "command", list(arguments), Session(GlobalOptions()))

    def test_is_a_typer_application(self) -> None:
        app = self.make_app()
        expect(
            isinstance(app, typer.Typer),
            f"the factory gives a {type(app).__name__}, not a typer.Typer",
            "the command line runs it",
        )

    def test_help_says_what_it_does(self, capsys: pytest.CaptureFixture[str]) -> None:
        code = self.run("--help")
        shown = capsys.readouterr().out
        expect(code == 0 and "Usage" in shown, f"--help ends with {code}", "it is what users try first")

    def test_every_option_has_a_help_text(self) -> None:
        for path, command in leaves(typer.main.get_command(self.make_app()), ()):
            name = " ".join(path) or "the command"
            expect(command.help, f"{name} has no docstring", "it is the text of --help")
            without = [p.opts[0] for p in command.params if not getattr(p, "help", None) and p.name != "help"]
            expect(not without, f"{name}: no help text for {without}", "users see only --help")

    def test_an_unknown_option_is_a_usage_error(self) -> None:
        expect(
            self.run("--no-such-option") == 2, "an unknown option does not end with 2", "scripts rely on it"
        )


def leaves(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """The commands below a command, with their names; itself where it has none."""
    below = getattr(command, "commands", None)
    if not below:
        return [(path, command)]
    return [leaf for name, inner in below.items() for leaf in leaves(inner, (*path, name))]
