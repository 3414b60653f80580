"""Entry point of `bioelx-bench`: lazy commands, options that may stand anywhere, errors without tracebacks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import typer
from typer.core import TyperGroup

from bioelx_bench.cli.session import GlobalOptions, Session
from bioelx_bench.errors import BenchError, MissingError
from bioelx_bench.options import load_object

GLOBAL_FLAGS = {"--json", "--offline", "--debug"}
GLOBAL_VALUES = {"--plugin", "--config"}


class LazyGroup(TyperGroup):
    """A group whose commands are the declared ones; a command's module is imported when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Core commands in their order, then those of plugins."""
        declared = session_of(ctx).plugins.declared["commands"]
        return list(declared)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        found = session_of(ctx).plugins.find("commands", cmd_name)
        if found is None:
            return None
        app = load_object(found.spec.factory, f"the command {cmd_name!r}")()
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Resolve the command, suggesting a near one where it is unknown."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            session_of(ctx).plugins.get("commands", args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands from the declarations, importing none of them."""
        declared = session_of(ctx).plugins.all("commands")
        order = {name: at for at, name in enumerate(self.list_commands(ctx))}
        rows = [(d.spec.name, d.spec.summary) for d in sorted(declared, key=lambda d: order[d.spec.name])]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Plain click help: quick, and the same on every terminal."""
        click.Group.format_help(self, ctx, formatter)


def session_of(ctx: click.Context) -> Session:
    """The session of this invocation."""
    session = ctx.find_object(Session)
    if session is None:
        raise RuntimeError("the command line was entered without a session")
    return session


def make_root() -> click.Group:
    """The root command with the options that may stand anywhere."""
    return LazyGroup(
        name="bioelx-bench",
        help="Evaluate biomedical entity linking: any retriever, any ranker, Recall@k on real benchmarks.",
        params=[
            click.Option(["--json"], is_flag=True, help="Print the result as JSON, alone on stdout."),
            click.Option(["--offline"], is_flag=True, help="Allow no connection beyond this machine."),
            click.Option(["--plugin"], multiple=True, metavar="FILE", help="Load a plugin from one Python file."),
            click.Option(["--config"], metavar="FILE", help="Use this project configuration file."),
            click.Option(["--debug"], is_flag=True, help="Show tracebacks."),
            click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show_version),
        ],
        callback=lambda **_: None,
        epilog="The options above may stand anywhere on the command line.",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
    )


def show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print the version and leave."""
    if value:
        from bioelx_bench.plugins import installed_version

        click.echo(f"bioelx-bench {installed_version('bioelx-bench')}")
        ctx.exit()


def split_global_options(arguments: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Take the global options out of the arguments, wherever they stand before `--`.

    Returns:
        The options, and the remaining arguments.
    """
    flags: set[str] = set()
    values: dict[str, list[str]] = {name: [] for name in GLOBAL_VALUES}
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest += [argument, *pending]
        elif argument in GLOBAL_FLAGS:
            flags.add(argument)
        elif name in GLOBAL_VALUES:
            given = value if equals else next(pending, None)
            if given is None:
                raise click.UsageError(f"Option {name!r} requires an argument.")
            values[name].append(given)
        else:
            rest.append(argument)
    return GlobalOptions(
        json="--json" in flags,
        offline="--offline" in flags,
        debug="--debug" in flags,
        plugin_files=tuple(Path(p) for p in values["--plugin"]),
        config_file=Path(values["--config"][-1]) if values["--config"] else None,
    ), rest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code: 0 fine, 1 failed, 2 wrong usage, 3 something missing."""
    debug = "--debug" in arguments
    try:
        options, rest = split_global_options(arguments)
        session = Session(options)
        with session.progress:
            answer = make_root().main(rest, prog_name="bioelx-bench", standalone_mode=False, obj=session)
        return answer if isinstance(answer, int) else 0
    except BenchError as error:
        if debug:
            raise
        show_error(error)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted. Nothing is lost: the same command continues where it stopped.", err=True)
        return 130
    except BrokenPipeError:
        return 1
    except ImportError as error:
        if debug:
            raise
        show_error(
            MissingError(f"a Python module cannot be imported: {error}", mend="pip install it, or see `bioelx-bench doctor`")
        )
        return 3
    except Exception as error:
        if debug:
            raise
        show_error(
            BenchError(
                f"internal error: {type(error).__name__}: {error}",
                why="this is a bug in bioelx-bench or in a plugin, not your mistake",
                mend="repeat the command with --debug and report what it prints",
            )
        )
        return 1


def show_error(error: BenchError) -> None:
    """Print an error on stderr."""
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(error.what, err=True)
    for name, text in error.details():
        click.echo(f"  {name}: {text}", err=True)
