"""What every use of the library shares: settings, plugins, cache and progress; command line and API make one each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bioelx_bench.cache import Cache
from bioelx_bench.plugins import Plugins, load_plugins
from bioelx_bench.progress import Progress

if TYPE_CHECKING:
    from bioelx_bench.base import Environment
    from bioelx_bench.config import Config
    from bioelx_bench.kb.store import KnowledgeBase


@dataclass(kw_only=True)
class Workspace:
    """Settings, plugins, cache and progress, each made when it is first used.

    Attributes:
        plugin_files: Python files that each hold one plugin.
        config_file: The project's configuration file; by default `bioelx-bench.toml` in the working folder.
        offline_asked: Whether connections beyond this machine are forbidden, whatever the files say.
        verify: Whether every file of the cache is hashed at each opening, and not only when its stamp changed.
        progress: Progress display.
    """

    plugin_files: Sequence[Path] = ()
    config_file: Path | None = None
    offline_asked: bool = False
    verify: bool = False
    progress: Progress = field(default_factory=Progress)

    @cached_property
    def config(self) -> Config:
        """All settings with their origin."""
        from bioelx_bench.config import load_config

        return load_config(self.config_file)

    @cached_property
    def plugins(self) -> Plugins:
        """Loaded plugins and their declarations."""
        return load_plugins(self.plugin_files)

    @cached_property
    def cache(self) -> Cache:
        """The cache folder."""
        return Cache(Path(self.config.get("cache")).expanduser(), verify=self.verify)

    @property
    def offline(self) -> bool:
        """Whether connections beyond this machine are forbidden."""
        return self.offline_asked or bool(self.config.get("offline"))

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
