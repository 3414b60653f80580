"""From what the user typed to components: names, options by precedence, instances."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bioelx_bench.base import BaseRanker, BaseRetriever, Environment
from bioelx_bench.config import Config
from bioelx_bench.declarations import PresetSpec, RankerFamilySpec
from bioelx_bench.errors import UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.options import identity_options, load_object, parse_pairs, validate_options
from bioelx_bench.plugins import Plugins, RegisteredSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedComponent:
    """A retriever or ranker with its options.

    Attributes:
        requested: What the user typed.
        declared: The declaration and its plugin.
        given: Options as given (files, preset, command line), before defaults.
        options: The validated options object.
    """

    requested: str
    declared: RegisteredSpec
    given: Mapping[str, Any]
    options: BaseModel

    @property
    def name(self) -> str:
        """The declared name."""
        return str(self.declared.spec.name)

    def make(self, environment: Environment) -> Any:
        """Load the factory and make the component."""
        factory = load_object(self.declared.spec.factory, f"{self.requested!r}")
        return factory(self.options, environment)

    def with_effective_options(self, component: BaseRetriever | BaseRanker) -> ResolvedComponent:
        """This with the options the made component works with, where it says so by an attribute `options`.

        A model may bring values of its own for options that nobody gave.
        """
        options = component.options
        return replace(self, options=options) if isinstance(options, type(self.options)) else self

    def identity(self) -> dict[str, Any]:
        """What of it a run's id depends on, without the model."""
        return {
            "name": self.declared.qualified_name,
            "version": self.declared.plugin.version,
            "options": identity_options(self.options),
        }

    def describe(self) -> dict[str, Any]:
        """The form in which a result records it."""
        return {
            "name": self.requested,
            "plugin": self.declared.qualified_name,
            "version": self.declared.plugin.version,
            "code": source_hash(self.declared.spec.factory),
            "options": self.options.model_dump(mode="json"),
            "options_given": {
                k: str(v) for k, v in self.given.items() if k in type(self.options).model_fields
            },
        }


def resolve_retriever(
    plugins: Plugins, config: Config, name: str, pairs: Sequence[str], preset: PresetSpec | None = None
) -> ResolvedComponent:
    """Find a retriever; options: command line, then preset, then configuration files, then defaults.

    Raises:
        UsageError: Unknown name or option.
        MissingError: A plugin that might hold it is broken.
    """
    declared = plugins.get("retrievers", name)
    given = config.component("retrievers", name)
    if preset is not None and preset.retriever == name:
        given |= dict(preset.retriever_options)
    given |= parse_pairs(pairs, "-R")
    return validated(name, declared, given, "-R")


def resolve_ranker(
    plugins: Plugins, config: Config, name: str, pairs: Sequence[str], preset: PresetSpec | None = None
) -> ResolvedComponent | None:
    """Find a ranker by declared name, by an alias of the configuration, or through a family of names.

    `none` is no ranker. A table `[rankers.NAME]` that holds `model` makes NAME an alias for that model; any
    other table gives options to the ranker of that name.

    Raises:
        UsageError: Unknown name or option.
        MissingError: A plugin that might hold it is broken.
    """
    if name == "none":
        if pairs:
            raise UsageError("-K gives options to a ranker, but there is none", hint="add --ranker NAME")
        return None
    given = config.component("rankers", name)
    target = str(given.get("model", name))
    implied: dict[str, Any] = {}
    declared = plugins.find("rankers", name) if target == name else None
    if declared is None:
        declared, implied = match_family(plugins, target)
    if declared is None:
        declared = plugins.get("rankers", name)
    options = {**implied, **given}
    if implied and "model" in given:
        options["model"] = implied.get("model", given["model"])
    if preset is not None and preset.ranker == name:
        options |= dict(preset.ranker_options)
    options |= parse_pairs(pairs, "-K")
    return validated(name, declared, options, "-K")


def match_family(plugins: Plugins, name: str) -> tuple[RegisteredSpec | None, dict[str, Any]]:
    """The family of rankers that takes this name, and the options the name stands for."""
    for declared in plugins.all("rankers"):
        if isinstance(declared.spec, RankerFamilySpec):
            matcher = load_object(declared.spec.matcher, f"the ranker family {declared.spec.name!r}")
            options = matcher(name)
            if options is not None:
                return declared, dict(options)
    return None, {}


def validated(name: str, declared: RegisteredSpec, given: Mapping[str, Any], flag: str) -> ResolvedComponent:
    """Validate options against the component's model."""
    model = load_object(declared.spec.options, f"{name!r}")
    options = validate_options(model, given, name, flag)
    return ResolvedComponent(requested=name, declared=declared, given=given, options=options)


def source_hash(factory: str) -> str:
    """sha256 of the source file that holds a factory."""
    source = inspect.getsourcefile(inspect.unwrap(load_object(factory, factory)))
    return "" if source is None else hash_file(Path(source))
