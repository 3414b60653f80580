"""Loading plugins one at a time, and looking up what they declare.

A plugin that fails to load, declares what it should not or takes another's name is broken: it is named
with its reason, everything else works, and only a run that needs it stops.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any, Final

import pluggy

from bioelx_bench import hookspecs
from bioelx_bench.declarations import (
    AliasSourceSpec,
    CheckSpec,
    CommandSpec,
    DatasetSpec,
    KnowledgeBaseSpec,
    MetricSpec,
    ModelSourceSpec,
    PresetSpec,
    RankerFamilySpec,
    RankerSpec,
    RetrieverSpec,
)
from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.markers import PROJECT

DISABLE_VARIABLE: Final = "BIOELX_BENCH_DISABLE_PLUGINS"
CORE: Final = "core"

REASON_LENGTH: Final = 300
"""Characters of an exception that are shown, on one line."""

KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "datasets": (DatasetSpec,),
    "knowledge_bases": (KnowledgeBaseSpec,),
    "alias_sources": (AliasSourceSpec,),
    "retrievers": (RetrieverSpec,),
    "rankers": (RankerSpec, RankerFamilySpec),
    "metrics": (MetricSpec,),
    "presets": (PresetSpec,),
    "commands": (CommandSpec,),
    "model_sources": (ModelSourceSpec,),
    "checks": (CheckSpec,),
}
"""Every hook that returns declarations, with the types it may return."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A loaded plugin.

    Attributes:
        name: Entry point name, or the stem of a local file.
        version: Version of its distribution, or `local`.
        distribution: Name of its distribution, or the path of a local file.
        hooks: Names of the hooks it implements.
        seconds: How long its import took.
    """

    name: str
    version: str
    distribution: str
    hooks: tuple[str, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why."""

    name: str
    distribution: str
    reason: str


@dataclass(frozen=True, slots=True)
class RegisteredSpec:
    """A declaration with the plugin that made it."""

    plugin: Plugin
    spec: Any

    @property
    def qualified_name(self) -> str:
        """`plugin/name`, which is unique."""
        return f"{self.plugin.name}/{self.spec.name}"


@dataclass(slots=True)
class Plugins:
    """Everything that is declared, by kind and name. Made by `load_plugins`."""

    manager: pluggy.PluginManager
    loaded: list[Plugin] = field(default_factory=list)
    broken: list[BrokenPlugin] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    declared: dict[str, dict[str, list[RegisteredSpec]]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )

    def all(self, kind: str) -> list[RegisteredSpec]:
        """All declarations of a kind, by name, then plugin."""
        table = self.declared[kind]
        return [d for name in sorted(table) for d in sorted(table[name], key=lambda d: d.plugin.name)]

    def names(self, kind: str) -> list[str]:
        """What a user may type for a kind: plain names, qualified where two plugins share one."""
        return [
            d.qualified_name if len(self.declared[kind][d.spec.name]) > 1 else d.spec.name
            for d in self.all(kind)
        ]

    def find(self, kind: str, name: str) -> RegisteredSpec | None:
        """The declaration of this (possibly qualified) name, or None.

        Raises:
            UsageError: Several plugins declare the name; the error says how to qualify it.
        """
        table = self.declared[kind]
        matches = list(table.get(name, ()))
        if "/" in name:
            matches += [d for ds in table.values() for d in ds if d.qualified_name == name]
        if len(matches) > 1:
            choices = " or ".join(d.qualified_name for d in matches)
            raise UsageError(
                f"{len(matches)} plugins declare {label(kind)} {name!r}",
                why="each of them could be meant, and figures must be traceable to one",
                hint=f"write {choices}",
            )
        return matches[0] if matches else None

    def get(self, kind: str, name: str) -> RegisteredSpec:
        """The declaration of this (possibly qualified) name.

        Raises:
            UsageError: The name is unknown, or several plugins declare it.
            MissingError: The name is unknown, and a broken plugin might have declared it.
        """
        if found := self.find(kind, name):
            return found
        from bioelx_bench.options import did_you_mean

        what = f"unknown {label(kind)} {name!r}{did_you_mean(name, self.names(kind))}"
        if self.broken:
            broken = "; ".join(f"{q.name} ({q.distribution}): {q.reason}" for q in self.broken)
            raise MissingError(
                what, why=f"these plugins could not be loaded: {broken}", hint="bioelx-bench plugins"
            )
        raise UsageError(what, hint=f"bioelx-bench list {kind.replace('_', '-')}")

    def slow(self, seconds: float) -> list[Plugin]:
        """Plugins whose import took longer than so many seconds."""
        return [plugin for plugin in self.loaded if plugin.seconds > seconds]

    def call_events(self, hook: str, **arguments: Any) -> list[str]:
        """Call a run-event hook of every plugin; returns a message for each one that raised."""
        failures = []
        for plugin in self.loaded:
            caller = subset_caller(self.manager, hook, plugin.name)
            try:
                with redirect_stdout(sys.stderr):
                    caller(**arguments)
            except (Exception, SystemExit) as error:
                failures.append(f"plugin {plugin.name}: {hook} raised {type(error).__name__}: {error}")
        return failures


def label(kind: str) -> str:
    """The singular of a kind, for messages: `knowledge_bases` is `knowledge base`."""
    return kind.replace("_", " ").removesuffix("s")


def load_plugins(
    files: Sequence[Path] = (), disable: str | None = None, kinds: Iterable[str] = KINDS
) -> Plugins:
    """Load the core's own declarations, installed plugins and plugins in local files.

    Args:
        files: Python files that each hold one plugin.
        disable: `all`, or plugin names with commas between; by default `BIOELX_BENCH_DISABLE_PLUGINS`. Local
            files are loaded all the same, since they are asked for.
        kinds: What is asked for; other declarations are not made.

    Raises:
        MissingError: One of `files` is not there.
    """
    setting = os.environ.get(DISABLE_VARIABLE, "") if disable is None else disable
    unwanted = {word.strip() for word in setting.split(",") if word.strip()}
    for path in files:
        if not path.is_file():
            raise MissingError(f"there is no plugin file {path}", where="--plugin")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager)
    core = partial(importlib.import_module, "bioelx_bench.builtin")
    add(plugins, CORE, "bioelx-bench", installed_version("bioelx-bench"), core, kinds)
    points = sorted(entry_points(group=PROJECT), key=lambda p: (p.name, p.value))
    names = Counter(point.name for point in points)
    for point in points:
        distribution, version = describe(point)
        if point.name in unwanted or "all" in unwanted or "1" in unwanted:
            plugins.disabled.append(point.name)
        elif names[point.name] > 1:
            # none of them is taken: which one would win must not depend on how the others are called
            owners = ", ".join(sorted(describe(p)[0] for p in points if p.name == point.name))
            reason = f"several distributions have a plugin {point.name!r} ({owners}); uninstall all but one"
            plugins.broken.append(BrokenPlugin(point.name, distribution, reason))
        else:
            add(plugins, point.name, distribution, version, point.load, kinds)
    for path in files:
        add(plugins, path.stem, str(path), "local", partial(load_file, path), kinds)
    return plugins


def describe(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution an entry point comes from."""
    return (point.dist.name, point.dist.version) if point.dist else (point.value, "unknown")


def installed_version(distribution: str) -> str:
    """Version of an installed distribution, or `unknown` when run from a bare checkout."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def load_file(path: Path) -> ModuleType:
    """Import a plugin from one file, under a name that cannot clash with an installed module."""
    name = "bioelx_bench_local_" + re.sub(r"\W", "_", path.stem)
    other = getattr(sys.modules.get(name), "__file__", None)
    if other is not None and Path(other).resolve() != path.resolve():
        raise ImportError(f"the plugin file {other} is loaded as {name!r} too; rename one of the files")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that factories are found as f"{__name__}:attribute"
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def add(
    plugins: Plugins,
    name: str,
    distribution: str,
    version: str,
    load: Callable[[], object],
    kinds: Iterable[str] = KINDS,
) -> None:
    """Load one plugin and take its declarations, or record it as broken."""
    manager = plugins.manager
    start = time.perf_counter()
    try:
        if other := next((p for p in plugins.loaded if p.name == name), None):
            raise ValueError(f"the plugin name {name!r} is already taken by {other.distribution}")
        with redirect_stdout(sys.stderr):  # stdout is for results alone, whatever a plugin prints
            hooks = register(manager, load(), name)
            taken = [
                (kind, spec)
                for kind in kinds
                if kind in hooks
                for spec in declarations_of(manager, kind, name)
            ]
    except (Exception, SystemExit) as error:  # a plugin is foreign code: whatever it raises is its own fault
        if manager.has_plugin(name) and all(p.name != name for p in plugins.loaded):
            manager.unregister(name=name)
        reason = shorten(f"{type(error).__name__}: {error}", REASON_LENGTH)
        plugins.broken.append(BrokenPlugin(name, distribution, reason))
        return
    plugin = Plugin(name, version, distribution, hooks, time.perf_counter() - start)
    plugins.loaded.append(plugin)
    for kind, spec in taken:
        plugins.declared[kind].setdefault(spec.name, []).append(RegisteredSpec(plugin, spec))


def register(manager: pluggy.PluginManager, plugin: object, name: str) -> tuple[str, ...]:
    """Register a plugin; returns the names of the hooks it implements.

    Raises:
        PluginValidationError: It implements a hook with arguments that do not exist.
        ValueError: It has no hook or one that does not exist, or is the same object as another plugin.
    """
    hash(plugin)  # pluggy puts plugins into sets, later, where the fault would fall on another plugin
    if (other := manager.get_name(plugin)) is not None:
        raise ValueError(f"it is the same module as the plugin {other!r}")
    manager.register(plugin, name=name)
    callers = manager.get_hookcallers(plugin) or []
    known = [hook for hook, caller in vars(manager.hook).items() if getattr(caller, "spec", None)]
    for caller in callers:
        if caller.name not in known:
            from bioelx_bench.options import did_you_mean

            raise ValueError(f"there is no hook {caller.name!r}{did_you_mean(caller.name, known)}")
    manager.check_pending()
    if not callers:
        raise ValueError("it implements no hook: mark its functions with @bioelx_bench.hookimpl")
    return tuple(sorted(caller.name for caller in callers))


def subset_caller(manager: pluggy.PluginManager, hook: str, name: str) -> Any:
    """A caller of one hook that calls one plugin only."""
    others = [p for n, p in manager.list_name_plugin() if n != name and p is not None]
    return manager.subset_hook_caller(hook, remove_plugins=others)


def declarations_of(manager: pluggy.PluginManager, kind: str, name: str) -> list[Any]:
    """One plugin's declarations of a kind, checked.

    Raises:
        TypeError: It returns something else than declarations of that kind.
        ValueError: A name is not well formed or is declared twice.
    """
    found: list[Any] = []
    answer: Any
    answers = subset_caller(manager, kind, name)() or [None]  # pluggy leaves out an answer that is None
    for answer in answers:
        if isinstance(answer, str) or not isinstance(answer, Iterable):
            raise TypeError(
                f"the hook {kind} must return a list of declarations, not {type(answer).__name__}"
            )
        found.extend(answer)
    allowed = KINDS[kind]
    spec: Any
    for spec in found:
        if not isinstance(spec, allowed):
            wanted = " or ".join(t.__name__ for t in allowed)
            raise TypeError(f"the hook {kind} must return {wanted}, not {type(spec).__name__}")
        check_declaration(kind, spec)
    names = [spec.name for spec in found]
    for repeated in {n for n in names if names.count(n) > 1}:
        raise ValueError(f"declares {label(kind)} {repeated!r} twice")
    return found


def check_declaration(kind: str, spec: Any) -> None:
    """Check what every declaration holds, so that a mistake is named when the plugin is loaded.

    Raises:
        ValueError: A name or an import path is not well formed.
    """
    if not isinstance(spec.name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", spec.name):
        raise ValueError(
            f"{label(kind)} name {spec.name!r} must be lower-case letters, digits, '.', '-', '_'"
        )
    for attribute in ("factory", "options", "matcher"):
        path = getattr(spec, attribute, None)
        if path is not None and not (isinstance(path, str) and re.fullmatch(r"[\w.]+:[\w.]+", path)):
            raise ValueError(
                f"{label(kind)} {spec.name!r}: {attribute} must be 'package.module:attribute', not {path!r}"
            )
