"""From a name or a live object to a component: options by precedence, code, instance."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel

from bioelx_bench.base import BaseRanker, BaseRetriever, Environment
from bioelx_bench.config import Config
from bioelx_bench.declarations import PresetSpec, RankerFamilySpec
from bioelx_bench.errors import UsageError
from bioelx_bench.options import identity_options, load_object, validate_options
from bioelx_bench.plugins import Plugins, RegisteredSpec
from bioelx_bench.records import Unit
from bioelx_bench.results import ComponentInfo
from bioelx_bench.runs.code_identity import code_of, state_of, version_of
from bioelx_bench.runs.foreign import Origin, calling
from bioelx_bench.runs.portable import identifying_options, local_path, without_folders
from bioelx_bench.runs.run_config import flags_of

Component = BaseRetriever | BaseRanker

SIGNATURES: Final = {
    "search": 'search(self, mentions, k, unit="concept") -> one list of Candidate a mention',
    "rank": "rank(self, mention, candidates) -> Ranking",
}
"""What a live object must have, by method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedComponent:
    """A retriever or ranker with its options, not yet made.

    Attributes:
        kind: `retriever` or `ranker`.
        name: What the user typed, or the class of a live object.
        plugin: `plugin/name` of its declaration; None for a live object.
        version: Version of its distribution.
        code: Hash of its source code.
        units: What it can be asked for.
        given: Options as given, before defaults.
        options: The validated options object; None for a live object that has none.
        factory: What makes it from options and environment; None for a live object.
        live: The live object.
        state: What a live object's results depend on, as far as can be told.
        reusable: Whether what it computes may be kept for a later call.
    """

    kind: str
    name: str
    plugin: str | None = None
    version: str
    code: str
    units: tuple[Unit, ...] = ("concept",)
    given: Mapping[str, Any]
    options: BaseModel | None
    factory: Any = None
    live: Component | None = None
    state: Mapping[str, Any] | None = None
    reusable: bool = True

    @property
    def origin(self) -> Origin:
        """Whose code it is, for errors."""
        return Origin(self.kind, self.name, self.plugin, self.factory if self.live is None else self.live)

    def make(self, environment: Environment) -> Component:
        """The component.

        Raises:
            BenchError: Its factory raised, or gave something else.
        """
        if self.live is not None:
            return self.live
        with calling(self.origin, "its factory"):
            made = self.factory(self.options, environment)
        check_component(self.kind, self.name, made)
        return made  # type: ignore[no-any-return]

    def with_effective_options(self, component: Component) -> ResolvedComponent:
        """This with the options the made component works with: a model may bring values of its own."""
        options = component.options
        if self.live is not None:
            return replace(self, options=options)
        return replace(self, options=options) if isinstance(options, type(self.options)) else self

    def identity(self, component: Component) -> dict[str, Any]:
        """What of it a run's id depends on."""
        options = {} if self.options is None else identity_options(self.options)
        found = {
            "name": self.plugin or self.name,
            "version": self.version,
            "code": self.code,
            "options": identifying_options(options, has_revision=component.model_revision is not None),
            "model": component.model_revision,
            "identity": without_folders(dict(component.identity())),
        }
        return found if self.state is None else found | {"state": self.state}

    def info(self, component: Component) -> ComponentInfo:
        """The form in which a result records it."""
        return ComponentInfo(
            **self.described(), model=model_name(self.options), model_revision=component.model_revision
        )

    def described(self) -> dict[str, Any]:
        """What is known of it before it is made."""
        options = {} if self.options is None else self.options.model_dump(mode="json")
        known = () if self.options is None else type(self.options).model_fields
        return {
            "name": without_folders(self.name),
            "plugin": self.plugin,
            "version": self.version,
            "code": self.code,
            "options": without_folders(options),
            "options_given": {k: str(without_folders(str(v))) for k, v in self.given.items() if k in known},
        }


def model_name(options: BaseModel | None) -> str | None:
    """Display name of a component's model: the folder's name for a local one."""
    model = getattr(options, "model", None)
    if not isinstance(model, str) or not model:
        return None
    path = local_path("model", model)
    return str(without_folders(model)) if path is None else path.resolve().name


def check_component(kind: str, name: str, made: object) -> None:
    """Refuse what is no retriever or ranker.

    Raises:
        UsageError: It lacks a method, which is named with the signature wanted, or is of another class.
    """
    base, method = (BaseRetriever, "search") if kind == "retriever" else (BaseRanker, "rank")
    if isinstance(made, base):
        return
    if inspect.isclass(made):
        raise UsageError(f"the {kind} {name!r} is a class", hint=f"give an object: {made.__name__}(...)")
    if not callable(getattr(made, method, None)):
        raise UsageError(
            f"{name!r} is no {kind}: it has no method {method!r}",
            why=f"wanted: {SIGNATURES[method]}",
            hint=f"make its class a subclass of bioelx_bench.base.{base.__name__}",
        )
    raise UsageError(
        f"{name!r} is no {kind}: its class is not a subclass of bioelx_bench.base.{base.__name__}",
        why="the base class has the defaults of everything that is optional",
        hint=f"class {type(made).__name__}({base.__name__}): ...",
    )


def live_component(kind: str, made: Component) -> ResolvedComponent:
    """A live object as a component.

    Raises:
        UsageError: It is no retriever or ranker.
    """
    name = type(made).__name__
    check_component(kind, name, made)
    state, whole = state_of(made)
    base = BaseRetriever if kind == "retriever" else BaseRanker
    tells = (
        whole
        or made.options is not None
        or made.model_revision is not None
        or type(made).identity is not base.identity
    )
    options = made.options
    plain = options is not None or type(made).identity is not base.identity
    return ResolvedComponent(
        kind=kind,
        name=name,
        version=version_of(made),
        code=code_of(made),
        units=made.units if isinstance(made, BaseRetriever) else ("concept",),
        given={},
        options=options,
        live=made,
        state=None if plain else state,
        reusable=tells,
    )


def declared_component(
    kind: str, name: str, declared: RegisteredSpec, given: Mapping[str, Any], places: Mapping[str, str]
) -> ResolvedComponent:
    """A declared component with validated options.

    Raises:
        UsageError: An option is unknown or of the wrong type.
        MissingError: Its module cannot be imported.
    """
    spec = declared.spec
    model = load_object(spec.options, f"{name!r}")
    flag = flags_of(f"{kind}_options")[-1]
    options = validate_options(model, given, name, flag, places)
    factory = load_object(spec.factory, f"{name!r}")
    return ResolvedComponent(
        kind=kind,
        name=name,
        plugin=declared.qualified_name,
        version=declared.plugin.version,
        code=code_of(factory),
        units=getattr(spec, "units", ("concept",)),
        given=given,
        options=options,
        factory=factory,
    )


def gather_options(
    config: Config, kind: str, name: str, preset: PresetSpec | None, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Options of a component by precedence (given, preset, files), and the place of each for errors."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    table = config.tables.get(f"{kind}s", {}).get(name)
    if table is not None:
        values |= table.value
        places |= {key: f"[{kind}s.{name}] {key} in {table.origin}" for key in table.value}
    if preset is not None and getattr(preset, kind) == name:
        extra = getattr(preset, f"{kind}_options")
        values |= extra
        places |= dict.fromkeys(extra, f"the preset {preset.name}")
    values |= given
    for key in given:
        places.pop(key, None)
    return values, places


def resolve_retriever(
    plugins: Plugins, config: Config, name: str, given: Mapping[str, Any], preset: PresetSpec | None = None
) -> ResolvedComponent:
    """Find a retriever; options: given ones, then preset, then configuration files, then defaults.

    Raises:
        UsageError: Unknown name or option.
        MissingError: A plugin that might hold it is broken.
    """
    declared = plugins.get("retrievers", name)
    values, places = gather_options(config, "retriever", name, preset, given)
    return declared_component("retriever", name, declared, values, places)


def resolve_ranker(
    plugins: Plugins, config: Config, name: str, given: Mapping[str, Any], preset: PresetSpec | None = None
) -> ResolvedComponent | None:
    """Find a ranker by declared name, by an alias of the configuration, or through a family of names.

    `none` is no ranker. A table `[rankers.NAME]` that holds `model` makes NAME an alias for that model; any
    other table gives options to the ranker of that name.

    Raises:
        UsageError: Unknown name or option.
        MissingError: A plugin that might hold it is broken.
    """
    if name == "none":
        if given:
            raise UsageError(
                f"{flags_of('ranker_options')[-1]} gives options to a ranker, but there is none",
                hint="add --ranker NAME",
            )
        return None
    table = config.component("rankers", name)
    target = str(table.get("model", name))
    implied: dict[str, Any] = {}
    declared = plugins.find("rankers", name) if target == name else None
    if declared is None:
        declared, implied = match_family(plugins, target)
    if declared is None:
        declared = plugins.get("rankers", name)
    values, places = gather_options(config, "ranker", name, preset, given)
    values = {**implied, **values}
    if implied and "model" in table and "model" not in given:
        values["model"] = implied.get("model", table["model"])
    return declared_component("ranker", name, declared, values, places)


def match_family(plugins: Plugins, name: str) -> tuple[RegisteredSpec | None, dict[str, Any]]:
    """The family of rankers that takes this name, and the options the name stands for."""
    for declared in plugins.all("rankers"):
        if isinstance(declared.spec, RankerFamilySpec):
            matcher = load_object(declared.spec.matcher, f"the ranker family {declared.spec.name!r}")
            options = matcher(name)
            if options is not None:
                return declared, dict(options)
    return None, {}
