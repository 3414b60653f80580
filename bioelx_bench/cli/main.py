"""Entry point of `bioelx-bench`: lazy commands, options that may stand anywhere, errors without tracebacks.

Every command is a `typer.Typer` of its own, found through the plugins' declarations and imported only when it
runs, so this module needs no command to show the list of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bioelx_bench.cli.session import GlobalOptions, Session
from bioelx_bench.errors import BenchError, MissingError, UsageError
from bioelx_bench.visible import visible

GLOBAL_OPTIONS: Final = {
    "--json": "Print the result as JSON, alone on stdout.",
    "--offline": "Allow no connection beyond this machine.",
    "--verify": "Hash every cached file that is opened, whatever its size and date say.",
    "--plugin FILE": "Load a plugin from one Python file; may be repeated.",
    "--config FILE": "Use this project configuration file instead of ./bioelx-bench.toml.",
    "--debug": "Show tracebacks.",
}
"""Options of every command; they may stand anywhere on the command line."""

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells give it."""

TERMINATED: Final = 143
"""Exit code after SIGTERM, likewise."""

SLOW_IMPORT_SECONDS: Final = 1.0
"""A plugin that takes longer to import is named."""

FLAGS: Final = frozenset(name for name in GLOBAL_OPTIONS if " " not in name)
VALUES: Final = frozenset(name.split()[0] for name in GLOBAL_OPTIONS if " " in name)


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 shows codes, not an error
            stream.reconfigure(errors="backslashreplace")
    code = invoke(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if not isinstance(error, BrokenPipeError):
            print(f"error: the result cannot be written: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python does not try again when it ends
        code = code or 1
    sys.exit(code)


def invoke(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code is 0 fine, 1 failed, 2 wrong usage, 3 something is missing."""
    debug = "--debug" in arguments
    try:
        with terminable():
            options, rest = split_global_options(arguments)
            session = Session(options)
            with session.progress:
                return dispatch(session, rest)
    except KeyboardInterrupt as stop:
        return show_interrupted(terminated=isinstance(stop, Terminated))
    except BrokenPipeError:
        return 1
    except Exception as error:
        if debug:
            raise
        shown = user_error(error)
        show_error(shown)
        return shown.exit_code


def user_error(error: Exception) -> BenchError:
    """An exception as the error that is shown for it."""
    if isinstance(error, BenchError):
        return error
    if isinstance(error, ImportError):
        return MissingError(f"a Python module cannot be imported: {error}", hint="see `bioelx-bench doctor`")
    if isinstance(error, OSError):
        kind = MissingError if isinstance(error, FileNotFoundError) else BenchError
        return kind(
            f"a file or device cannot be used: {error.strerror or error}",
            where=None if error.filename is None else os.fsdecode(error.filename),
            hint="check that the path is what you mean, that it may be read or written, and that the disk has space",
        )
    if isinstance(error, UnicodeError):
        return UsageError(
            "a name or text is not valid Unicode",
            why=f"{error.reason}"
            if isinstance(error, UnicodeEncodeError | UnicodeDecodeError)
            else str(error),
            hint="rename the file, or write the text in UTF-8",
        )
    if isinstance(error, MemoryError):
        return BenchError(
            "the machine has too little memory for this", hint="lower batch size, k or the limit"
        )
    return BenchError(
        f"internal error: {type(error).__name__}: {error}",
        why="this is a bug in bioelx-bench or in a plugin, not your mistake",
        hint="repeat the command with --debug and report what it prints",
    )


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C while the block runs, where this thread may."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def dispatch(session: Session, arguments: list[str]) -> int:
    """Show help or the version, or run the command that the first argument names."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        show_help(session)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from bioelx_bench.plugins import installed_version

        print(f"bioelx-bench {installed_version('bioelx-bench')}")
        return 0
    if arguments[0].startswith("-"):
        raise UsageError(f"unknown option {arguments[0]!r}", hint="bioelx-bench --help")
    name, *rest = arguments
    found = session.plugins.get("commands", name)
    for slow in session.plugins.slow(SLOW_IMPORT_SECONDS):
        session.note(
            f"the plugin {slow.name} took {slow.seconds:.1f} s to import, which delays every command"
        )
    from bioelx_bench.options import load_object

    app = load_object(found.spec.factory, f"the command {name!r}")()
    if {"--help", "-h"} & set(rest[: rest.index("--")] if "--" in rest else rest):
        return run_command(app, name, rest, session)
    with session.stdout_for_results():
        return run_command(app, name, rest, session)


def run_command(app: Any, name: str, arguments: list[str], session: Session) -> int:
    """Run one Typer application with the session as its context object.

    Typer takes KeyboardInterrupt for itself, so what it makes of it is turned back.
    """
    import typer

    try:
        command = typer.main.get_command(app)
        answer = command.main(arguments, prog_name=f"bioelx-bench {name}", standalone_mode=False, obj=session)
    except typer.Abort as stop:
        return show_interrupted(terminated=isinstance(stop.__context__, Terminated))
    except typer.Exit as leave:
        return int(leave.exit_code)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return 2
    if answer == INTERRUPTED:  # what Typer makes of Ctrl-C
        return show_interrupted()
    return answer if isinstance(answer, int) else 0


def split_global_options(arguments: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Take the global options out of the arguments, wherever they stand before `--`.

    Returns:
        The options, and the remaining arguments.

    Raises:
        UsageError: An option lacks its value.
    """
    flags: set[str] = set()
    values: dict[str, list[str]] = {name: [] for name in VALUES}
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest += [argument, *pending]
        elif argument in FLAGS:
            flags.add(argument)
        elif name in VALUES:
            given = value if equals else next(pending, None)
            if given is None:
                raise UsageError(f"{name} needs a value", hint="bioelx-bench --help")
            values[name].append(given)
        else:
            rest.append(argument)
    return GlobalOptions(
        json="--json" in flags,
        offline="--offline" in flags,
        verify="--verify" in flags,
        debug="--debug" in flags,
        plugin_files=tuple(Path(p) for p in values["--plugin"]),
        config_file=Path(values["--config"][-1]) if values["--config"] else None,
    ), rest


def show_help(session: Session) -> None:
    """Print the commands and global options; imports no command."""
    from bioelx_bench.plugins import load_plugins

    plugins = load_plugins(session.plugin_files, kinds=("commands",))
    declared = plugins.declared["commands"]
    commands = {name: found[0].spec.summary for name, found in declared.items()}
    width = max(len(name) for name in (*commands, *GLOBAL_OPTIONS)) + 2
    print("Usage: bioelx-bench COMMAND [OPTIONS]\n")
    print("Evaluate biomedical entity linking: any retriever, any ranker, Recall@k on real benchmarks.\n")
    print("Commands:")
    for name, summary in commands.items():
        print(f"  {name:<{width}}{summary}")
    print("\nOptions of every command, anywhere on the line:")
    for name, summary in {**GLOBAL_OPTIONS, "--version": "Print the version.", "--help": "Help."}.items():
        print(f"  {name:<{width}}{summary}")
    print("\nStart with: bioelx-bench run --dataset xl-bel --retriever bm25")
    for broken in plugins.broken:
        shown = visible(f"plugin {broken.name} ({broken.distribution}) is broken: {broken.reason}")
        print(f"\n{shown}", file=sys.stderr)


def show_interrupted(*, terminated: bool = False) -> int:
    """Say after Ctrl-C or SIGTERM how to go on."""
    word = "Terminated" if terminated else "Interrupted"
    print(f"\n{word}. Nothing is lost: the same command continues where it stopped.", file=sys.stderr)
    return TERMINATED if terminated else INTERRUPTED


def show_error(error: BenchError) -> None:
    """Print an error on stderr, its first word red on a terminal."""
    word = "\x1b[1;31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    print(f"{word} {visible(str(error))}", file=sys.stderr)
