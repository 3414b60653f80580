"""Conformance classes for what a plugin declares, so that it is tested without a test being written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import BaseAliasSource, BaseRanker, BaseRetriever, DatasetRequest, Environment
from bioelx_bench.declarations import RankerFamilySpec
from bioelx_bench.errors import UsageError
from bioelx_bench.options import load_object, validate_options
from bioelx_bench.plugins import Plugins, RegisteredSpec, load_plugins
from bioelx_bench.testing.alias_sources import AliasSourceConformance
from bioelx_bench.testing.commands import CommandConformance
from bioelx_bench.testing.datasets import DatasetConformance
from bioelx_bench.testing.knowledge_bases import KnowledgeBaseConformance
from bioelx_bench.testing.metrics import MetricConformance
from bioelx_bench.testing.rankers import RankerConformance
from bioelx_bench.testing.retrievers import RetrieverConformance


@dataclass(frozen=True, slots=True, kw_only=True)
class KitRequest:
    """What to test.

    Attributes:
        plugin: Name of the plugin.
        component: One of its components; None for all.
        options: Options of the component, as `key=value` gives them.
        files: Plugins in one file that are loaded.
        data_root: Folder with a dataset's files.
        tolerance: How much a score may differ between batches.
    """

    plugin: str
    component: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    data_root: Path | None = None
    tolerance: float = 0.0


def conformance_classes(request: KitRequest) -> dict[str, type]:
    """A test class for each thing that the plugin declares, by the name that pytest shows.

    Raises:
        UsageError: There is no such plugin or component, it declares nothing that has a kit, or options do not fit.
    """
    plugins = load_plugins(request.files)
    known = [plugin.name for plugin in plugins.loaded]
    if request.plugin not in known:
        broken = next((b.reason for b in plugins.broken if b.name == request.plugin), None)
        raise UsageError(
            f"there is no plugin {request.plugin!r}"
            if broken is None
            else f"{request.plugin!r} cannot be loaded",
            why=broken,
            hint=f"bioelx-bench plugins shows them: {', '.join(known)}; --plugin FILE loads one in a file",
        )
    found = {
        f"{label} {registered.spec.name}": make(registered, request)
        for kind, (label, make) in KITS.items()
        for registered in plugins.all(kind)
        if registered.plugin.name == request.plugin and request.component in (None, registered.spec.name)
    }
    if not found:
        raise UsageError(
            f"the plugin {request.plugin!r} declares nothing "
            + (f"named {request.component!r}" if request.component else "that has a kit"),
            why=f"there are kits for {', '.join(KITS)}",
            hint=f"bioelx-bench plugins shows what it declares: {declared_by(plugins, request.plugin)}",
        )
    return found


def declared_by(plugins: Plugins, plugin: str) -> str:
    """What a plugin declares, for messages."""
    return ", ".join(
        f"{kind} {d.spec.name}"
        for kind in plugins.declared
        for d in plugins.all(kind)
        if d.plugin.name == plugin
    )


def component_of(registered: RegisteredSpec, request: KitRequest, environment: Environment) -> Any:
    """A component with the options of the request."""
    name = registered.spec.name
    model = load_object(registered.spec.options, repr(name))
    options = validate_options(model, request.options, name, "-O")
    return load_object(registered.spec.factory, repr(name))(options, environment)


def retriever_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared retriever."""

    class Kit(RetrieverConformance):
        units = registered.spec.units
        score_tolerance = request.tolerance
        plugin_files = request.files

        @classmethod
        def make_retriever(cls, environment: Environment) -> BaseRetriever:
            made: BaseRetriever = component_of(registered, request, environment)
            return made

    return Kit


def ranker_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared ranker, or of a family of rankers (by `-O model=`)."""
    if isinstance(registered.spec, RankerFamilySpec) and not request.options:
        raise UsageError(
            f"{registered.spec.name!r} is a family of rankers",
            why="only one of them can be tested",
            hint=f"bioelx-bench plugins test {request.plugin} {registered.spec.name} -O model=NAME",
        )

    class Kit(RankerConformance):
        plugin_files = request.files

        @classmethod
        def make_ranker(cls, environment: Environment) -> BaseRanker:
            made: BaseRanker = component_of(registered, request, environment)
            return made

    return Kit


def dataset_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared dataset: its default revision and split, its first subset."""
    spec = registered.spec
    given = validate_options(load_object(spec.options, repr(spec.name)), request.options, spec.name, "-O")

    class Kit(DatasetConformance):
        revision = spec.revisions[0]
        subset = spec.subsets[0]
        split = spec.splits_of(spec.revisions[0])[0]
        options = given.model_dump() if request.options else {}
        data_root = request.data_root
        plugin_files = request.files

        @classmethod
        def make_dataset(cls, wanted: DatasetRequest) -> Any:
            return load_object(spec.factory, repr(spec.name))(wanted)

    return Kit


def knowledge_base_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared knowledge base."""

    class Kit(KnowledgeBaseConformance):
        plugin_files = request.files

        @classmethod
        def build(cls, folder: Path, environment: Environment) -> None:
            load_object(registered.spec.factory, repr(registered.spec.name))(folder, environment)

    return Kit


def alias_source_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared source of aliases."""

    class Kit(AliasSourceConformance):
        plugin_files = request.files

        @classmethod
        def make_source(cls, environment: Environment) -> BaseAliasSource:
            made: BaseAliasSource = component_of(registered, request, environment)
            return made

    return Kit


def metric_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared metric."""

    class Kit(MetricConformance):
        plugin_files = request.files

        @classmethod
        def make_metric(cls) -> Any:
            return load_object(registered.spec.factory, repr(registered.spec.name))

    return Kit


def command_kit(registered: RegisteredSpec, request: KitRequest) -> type:
    """The conformance class of a declared command."""

    class Kit(CommandConformance):
        plugin_files = request.files

        @classmethod
        def make_app(cls) -> Any:
            return load_object(registered.spec.factory, repr(registered.spec.name))()

    return Kit


KITS: Final[Mapping[str, tuple[str, Callable[[RegisteredSpec, KitRequest], type]]]] = {
    "retrievers": ("retriever", retriever_kit),
    "rankers": ("ranker", ranker_kit),
    "datasets": ("dataset", dataset_kit),
    "knowledge_bases": ("knowledge base", knowledge_base_kit),
    "alias_sources": ("alias source", alias_source_kit),
    "metrics": ("metric", metric_kit),
    "commands": ("command", command_kit),
}
"""The kit of each kind of declaration, and what one of the kind is called."""


def run_kit(classes: Mapping[str, type], workplace: Path, extra: Sequence[object] = ()) -> KitReport:
    """Run conformance classes with pytest.

    Args:
        classes: The classes by shown name.
        workplace: An empty folder in which the test module is written.
        extra: More pytest plugins.
    """
    import pytest

    module = workplace / "test_conformance.py"
    module.write_text('"""Filled by bioelx-bench plugins test."""\n', encoding="utf-8")
    report = KitReport(classes)
    arguments = [str(module), f"--rootdir={workplace}", "-c", str(workplace / "none.ini")]
    (workplace / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    pytest.main(
        [
            *arguments,
            "-p",
            "no:cacheprovider",
            "-p",
            "no:terminal",
            "-p",
            "no:xdist",
            "--import-mode=importlib",
        ],
        plugins=[report, *extra],
    )
    return report


class KitReport:
    """A pytest plugin that puts the classes into the test module and keeps what came of each check.

    Attributes:
        checks: Component, check, `passed`, `failed` or `skipped`, and what pytest says of it.
    """

    def __init__(self, classes: Mapping[str, type]) -> None:
        self.classes = {
            f"Test_{re.sub(r'[^a-z0-9]', '_', name)}": (name, kit) for name, kit in classes.items()
        }
        self.checks: list[tuple[str, str, str, str]] = []

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Collect the classes as if they stood in the module."""
        import pytest

        made: Any = pytest.Module.from_parent(parent, path=module_path)
        for name, (_, kit) in self.classes.items():
            kit.__name__ = kit.__qualname__ = name
            setattr(made.obj, name, kit)
        return made

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the outcome of a check; what fails before or after it counts as well."""
        if report.when != "call" and report.outcome == "passed":
            return
        holder, _, check = report.nodeid.rpartition("::")
        name = self.classes.get(holder.rpartition("::")[2], (holder, None))[0]
        self.checks.append((name, readable(check), report.outcome, reason_of(report)))

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what failed before there was a check."""
        if report.failed:
            self.checks.append(("the tests", "can be collected", "failed", str(report.longrepr)))

    @property
    def failed(self) -> list[tuple[str, str, str, str]]:
        """The checks that failed."""
        return [check for check in self.checks if check[2] == "failed"]


def readable(check: str) -> str:
    """The words of a check's name: `test_batches_do_not_matter` is `batches do not matter`."""
    return check.removeprefix("test_").replace("_", " ")


def reason_of(report: Any) -> str:
    """Why a check failed or was skipped: the message alone where it is one, else the end of the traceback."""
    if report.outcome == "passed":
        return ""
    if report.outcome == "skipped":
        return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "") or report.longrepr).removeprefix("Failed: ")
