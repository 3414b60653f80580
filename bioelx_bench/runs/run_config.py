"""Every option of a run, once: command line, configuration file, presets, keywords, manifest and help derive from it.

To add an option, add a field to `RunConfig`; if results depend on it, it is part of the run's id unless it says
`runtime=True`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean, parse_pairs, shown_pair

OptionValue = str | int | float | bool | Path | Sequence[str] | Mapping[str, object] | None
"""What a keyword of `bioelx_bench.evaluate` takes."""


def no_bool(value: object) -> object:
    """Refuse `true` where a number is wanted: pydantic would take it for 1."""
    if isinstance(value, bool):
        raise ValueError("a truth value is no number")
    return value


def split_words(value: object) -> object:
    """Text with commas between words as a list of the words."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list | tuple):
        words: list[object] = []
        for part in value:
            found = split_words(part) if isinstance(part, str) else (part,)
            words += found if isinstance(found, tuple) else ()
        return tuple(words)
    return value


def read_pairs(value: object) -> object:
    """`key=value` texts as a mapping."""
    if not isinstance(value, list | tuple):
        return value
    try:
        return parse_pairs([str(pair) for pair in value], "")
    except UsageError as error:
        raise ValueError(error.what) from error


Whole = Annotated[int, BeforeValidator(no_bool)]
Number = Annotated[float, BeforeValidator(no_bool)]
Words = Annotated[tuple[str, ...], BeforeValidator(split_words)]
Pairs = Annotated[dict[str, Any], BeforeValidator(read_pairs)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CliOption:
    """How a field of `RunConfig` appears on the command line and in files.

    Attributes:
        flags: Its flags; by default the field's name with dashes.
        runtime: Whether it is no part of the run's id.
        in_file: Whether `bioelx-bench.toml` may set it.
        allowed: The allowed values, for help.
    """

    flags: tuple[str, ...] = ()
    runtime: bool = False
    in_file: bool = True
    allowed: tuple[str, ...] = ()


def run_option(default: Any, description: str, cli: CliOption | None = None, **constraints: Any) -> Any:
    """Declare a field of `RunConfig`."""
    return Field(
        default,
        description=description,
        json_schema_extra={"cli": cli or CliOption()},  # type: ignore[dict-item]
        **constraints,
    )


class RunConfig(BaseModel):
    """Every option of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    dataset: str = run_option(
        "xl-bel", "benchmark: NAME, NAME@REVISION, or 'all' for every one that is available"
    )
    subset: Words = run_option(
        (), "subsets with commas between; all where none is given", CliOption(in_file=False)
    )
    split: str | None = run_option(
        None, "split of the dataset; its first one by default", CliOption(in_file=False)
    )
    data_root: Path | None = run_option(None, "local mirror of the upstream files", CliOption(runtime=True))
    dataset_options: Pairs = run_option(
        {}, "key=value for the dataset", CliOption(flags=("--dataset-option", "-D"), in_file=False)
    )
    kb: str = run_option("open", "knowledge base: NAME or FOLDER")
    preset: str | None = run_option(None, "a named combination of components")
    retriever: str | None = run_option(None, "retriever")
    retriever_options: Pairs = run_option(
        {}, "key=value for the retriever", CliOption(flags=("--retriever-option", "-R"), in_file=False)
    )
    ranker: str = run_option("none", "ranker, or 'none'")
    ranker_options: Pairs = run_option(
        {}, "key=value for the ranker", CliOption(flags=("--ranker-option", "-K"), in_file=False)
    )
    k: Whole = run_option(50, "candidates to retrieve", ge=1, le=100_000)
    rerank_depth: Whole = run_option(10, "candidates to rank", ge=1, le=100_000)
    protocol: str = run_option(
        "bioelx", "how candidates are counted", CliOption(allowed=("bioelx", "sapbert", "sapbert-fast"))
    )
    policies: Pairs = run_option(
        {},
        "a single policy of the protocol",
        CliOption(
            flags=("--policy",),
            in_file=False,
            allowed=("match=any|all", "nil=count|skip", "retired=map|keep"),
        ),
    )
    metrics: Words = run_option(
        (), "a further metric; no part of the run's id", CliOption(flags=("--metric",), runtime=True)
    )
    limit: Whole | None = run_option(None, "first N mentions of each subset", CliOption(in_file=False), ge=1)
    seed: Whole = run_option(0, "seed", ge=0, le=2**32 - 1)
    max_errors: Number | None = run_option(
        None,
        "mentions whose ranking may fail: a count, or below 1 a share (the ranker's own, mostly 0.01)",
        CliOption(runtime=True),
        ge=0,
        allow_inf_nan=False,
    )
    output: Path = run_option(Path("runs"), "folder of runs", CliOption(runtime=True))
    dry_run: bool = run_option(False, "show what would run, and stop", CliOption(runtime=True, in_file=False))
    fresh: bool = run_option(
        False,
        "do the run and its index anew, discarding what is there",
        CliOption(runtime=True, in_file=False),
    )


FIELDS: Final[Mapping[str, FieldInfo]] = RunConfig.model_fields


def cli_of(name: str) -> CliOption:
    """How an option appears on the command line."""
    extra = FIELDS[name].json_schema_extra
    found = extra.get("cli") if isinstance(extra, dict) else None
    return found if isinstance(found, CliOption) else CliOption()


def flags_of(name: str) -> tuple[str, ...]:
    """The option's flags."""
    return cli_of(name).flags or (f"--{name.replace('_', '-')}",)


def is_runtime(name: str) -> bool:
    """Whether the option is no part of a run's id."""
    return cli_of(name).runtime


def file_options() -> list[str]:
    """The options that a configuration file may set."""
    return [name for name in FIELDS if cli_of(name).in_file]


@dataclass(frozen=True, slots=True)
class Layer:
    """Options from one place.

    Attributes:
        values: The options that the place gives.
        places: Where each stands, for errors: `--k`, `k in bioelx-bench.toml`, `evaluate(k=...)`.
    """

    values: Mapping[str, object]
    places: Mapping[str, str]


def keyword_layer(values: Mapping[str, object]) -> Layer:
    """Options given as keywords from Python."""
    return Layer(values, {name: f"the keyword {name}" for name in values})


def command_layer(values: Mapping[str, object]) -> Layer:
    """Options given on the command line; those that were not given are left out."""
    given = {name: value for name, value in values.items() if value not in (None, [], False)}
    flags = {name: flags_of(name)[-1] for name in given}
    for name, value in given.items():
        if isinstance(value, list) and "dict" in str(FIELDS[name].annotation):
            given[name] = parse_pairs(value, flags[name])
    return Layer(given, flags)


def checked_layer(layer: Layer, known: Iterable[str] | None = None) -> dict[str, Any]:
    """The layer's options, each of its type.

    Raises:
        UsageError: An option is unknown, or a value is of the wrong type or outside its range.
    """
    names = list(FIELDS if known is None else known)
    for name in layer.values:
        if name not in names:
            raise UsageError(
                f"unknown option {name!r}{did_you_mean(name, names)}",
                where=layer.places.get(name, name),
                hint="bioelx-bench run --help",
            )
    try:
        made = RunConfig.model_validate(dict(layer.values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise wrong_value(name, layer.values.get(name), layer.places.get(name, name)) from error
    return {name: getattr(made, name) for name in layer.values}


def wrong_value(name: str, value: object, place: str) -> UsageError:
    """The error of a value of the wrong type or range; the same sentence wherever it stands."""
    shown = shown_pair(name, repr(value)).partition("=")[2]
    return UsageError(
        f"{name} must be {expected(name)}, not {shown}", where=place, hint="bioelx-bench run --help"
    )


def expected(name: str) -> str:
    """What an option takes, in words, with its range."""
    field = FIELDS[name]
    text = re.sub(r"func=<.*?>", "", str(field.annotation))
    if "dict" in text:
        kind = "key=value pairs"
    elif "tuple" in text:
        kind = "words"
    elif "bool" in text:
        kind = "true or false"
    elif "int" in text:
        kind = "a whole number"
    elif "float" in text:
        kind = "a number"
    else:
        kind = "a path" if "Path" in text else "text"
    bounds = []
    for constraint in field.metadata:
        for attribute, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
            if (bound := getattr(constraint, attribute, None)) is not None:
                bounds.append(f"{words} {bound}")
    return " ".join([kind, *([" and ".join(bounds)] if bounds else [])])


def is_list(name: str) -> bool:
    """Whether the option may be given several times."""
    return FIELDS[name].annotation is not bool and expected(name).startswith(("words", "key=value"))


def metavar_of(name: str) -> str:
    """What stands for the option's value in help."""
    kind = expected(name)
    words = {"a whole": "N", "a number": "X", "key=value": "KEY=VALUE", "words": "NAME", "a path": "PATH"}
    return next((word for start, word in words.items() if kind.startswith(start)), "TEXT")


def help_of(name: str) -> str:
    """The option's help: what it is for, its allowed values and its default."""
    field = FIELDS[name]
    parts = [str(field.description)]
    if allowed := cli_of(name).allowed:
        parts.append(f"one of {', '.join(allowed)}")
    elif any(hasattr(c, b) for c in field.metadata for b in ("ge", "gt")):
        parts.append(expected(name))
    if field.default not in (None, (), {}, False) and not isinstance(field.default, dict):
        parts.append(
            f"default {os.fspath(field.default) if isinstance(field.default, Path) else field.default}"
        )
    return "; ".join(parts) + "."


def combine(layers: Sequence[Layer]) -> RunConfig:
    """One configuration from layers, later ones winning; options of components are merged key by key.

    Raises:
        UsageError: A layer holds an unknown option or a wrong value.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in checked_layer(layer).items():
            both = isinstance(value, dict) and isinstance(merged.get(name), dict)
            merged[name] = {**merged[name], **value} if both else value
    return RunConfig.model_validate(merged)
