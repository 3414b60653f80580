"""What every command shares: plugins, settings, cache, output and the options that may stand anywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioelx_bench.cache import Cache
from bioelx_bench.config import Config, load_config
from bioelx_bench.plugins import Plugins, load_plugins
from bioelx_bench.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.base import Environment
    from bioelx_bench.kb.store import KnowledgeBase


@dataclass(slots=True, frozen=True, kw_only=True)
class GlobalOptions:
    """The options that may stand anywhere on the command line, see `bioelx_bench.cli.main`."""

    json: bool = False
    offline: bool = False
    debug: bool = False
    plugin_files: tuple[Path, ...] = ()
    config_file: Path | None = None


class Session:
    """One invocation of the command line; commands get it as `ctx.obj`."""

    def __init__(self, options: GlobalOptions) -> None:
        self.options = options
        self.progress = Progress(enabled=False if options.json and not sys.stderr.isatty() else None)

    @cached_property
    def config(self) -> Config:
        """All settings with their origin."""
        return load_config(self.options.config_file)

    @cached_property
    def plugins(self) -> Plugins:
        """Loaded plugins and their declarations."""
        return load_plugins(self.options.plugin_files)

    @cached_property
    def cache(self) -> Cache:
        """The cache folder."""
        return Cache(Path(self.config.get("cache")))

    @property
    def offline(self) -> bool:
        """Whether connections beyond this machine are forbidden."""
        return self.options.offline or bool(self.config.get("offline"))

    def environment(self, *, seed: int = 0, kb: KnowledgeBase | None = None) -> Environment:
        """What components are given beside their options."""
        from bioelx_bench.base import Environment

        return Environment(
            cache=self.cache,
            offline=self.offline,
            seed=seed,
            progress=self.progress,
            kb=kb,
            plugins=self.plugins,
        )

    @cached_property
    def console(self) -> Console:
        """Human output, on stdout."""
        from rich.console import Console

        return Console(highlight=False)

    def emit(self, data: Mapping[str, Any] | list[Any], human: Callable[[Console], None]) -> None:
        """Print a command's result: with `--json` the data, alone on stdout, else what `human` prints."""
        if self.options.json:
            print(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False))
        else:
            human(self.console)

    def note(self, message: str) -> None:
        """Tell the user something beside the result, on stderr."""
        from rich.console import Console

        Console(stderr=True, highlight=False).print(message, markup=False)
