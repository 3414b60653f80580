"""What every command shares: workspace, output and the options that may stand anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bioelx_bench.progress import Progress
from bioelx_bench.visible import UNSAFE, visible
from bioelx_bench.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(slots=True, frozen=True, kw_only=True)
class GlobalOptions:
    """The options that may stand anywhere on the command line, see `bioelx_bench.cli.main`."""

    json: bool = False
    offline: bool = False
    verify: bool = False
    debug: bool = False
    plugin_files: tuple[Path, ...] = ()
    config_file: Path | None = None


class Session(Workspace):
    """One invocation of the command line; commands get it as `ctx.obj`.

    Attributes:
        options: The global options.
        out: Where results go: stdout, also while it is redirected.
    """

    def __init__(self, options: GlobalOptions) -> None:
        super().__init__(
            plugin_files=options.plugin_files,
            config_file=options.config_file,
            offline_asked=options.offline,
            verify=options.verify,
            progress=Progress(enabled=False if options.json and not sys.stderr.isatty() else None),
        )
        self.options = options
        self.out: TextIO = sys.stdout

    @cached_property
    def console(self) -> Console:
        """Human output, on stdout."""
        return make_console(self.out)

    def emit(self, data: Mapping[str, Any] | list[Any], human: Callable[[Console], None]) -> None:
        """Print a command's result: with `--json` the data, alone on stdout, else what `human` prints."""
        if self.options.json:
            print(json_text(data), file=self.out, flush=True)
        else:
            human(self.console)

    def note(self, message: str) -> None:
        """Tell the user something beside the result, on stderr."""
        make_console(sys.stderr).print(visible(message), markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def stdout_for_results(self) -> Iterator[None]:
        """Send whatever prints to stderr while the block runs, native code included; `emit` still reaches stdout.

        Only with `--json`, whose reader takes all of stdout for the result.
        """
        if not self.options.json:
            yield
            return
        with contextlib.ExitStack() as stack:
            sys.stdout.flush()
            with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, as in tests
                if sys.stdout.fileno() == 1:
                    saved = os.dup(1)
                    self.out = stack.enter_context(
                        os.fdopen(saved, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
                    )
                    os.dup2(2, 1)
                    stack.callback(os.dup2, saved, 1)
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            yield


def json_text(data: Any) -> str:
    """JSON as it may stand on a terminal too: what could move the cursor or reorder text is escaped."""
    text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False)
    return UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def make_console(file: TextIO) -> Console:
    """A console that shows control characters, escapes and direction marks in data as visible codes."""
    from rich.console import Console
    from rich.segment import Segment
    from rich.text import Text

    class SafeConsole(Console):
        """Texts are made visible before their width is taken; what is not a plain string, when it is drawn."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text), **options)

        def render(self, *drawn: Any, **options: Any) -> Iterator[Segment]:
            for part in super().render(*drawn, **options):
                yield part if part.control else Segment(visible(part.text), part.style)

    return SafeConsole(file=file, highlight=False)
