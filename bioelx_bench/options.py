"""Options of components: typed pydantic models, filled from `key=value` on the command line or from TOML."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.redaction import SECRET_WORD, hide_secrets, names_secret

Model = TypeVar("Model", bound=BaseModel)


class Options(BaseModel):
    """Base of all options models: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class NoOptions(Options):
    """For components without options."""


def runtime_field(default: Any, *, description: str, **constraints: Any) -> Any:
    """Declare an option that says how to compute, not what (batch size, device, concurrency).

    It is recorded in the manifest but is no part of the run's id.
    """
    return Field(default, description=description, json_schema_extra={"runtime": True}, **constraints)


def identity_options(options: BaseModel) -> dict[str, Any]:
    """The options (JSON values) on which results depend: all but those made by `runtime_field`."""
    values = options.model_dump(mode="json")
    for name, field in type(options).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, Mapping) and extra.get("runtime"):
            values.pop(name, None)
    return values


def load_object(path: str, needed_by: str) -> Any:
    """Import the object at `package.module:attribute`.

    Args:
        path: The import path a declaration holds.
        needed_by: Who needs it, for the error.

    Raises:
        MissingError: A module it needs is not installed, or the attribute is not there.
    """
    module_name, _, attribute = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{needed_by} needs the Python module {error.name!r}, which is not installed",
            where=path,
            hint="pip install the plugin's distribution with its dependencies; see `bioelx-bench plugins`",
        ) from error
    except (ImportError, AttributeError) as error:
        raise MissingError(
            f"{needed_by} cannot be loaded: {error}",
            where=path,
            hint="reinstall the plugin, or report it to its author",
        ) from error
    return found


def parse_pairs(pairs: Sequence[str], flag: str) -> dict[str, str]:
    """Split `key=value` arguments.

    Raises:
        UsageError: A pair has no `=`, or a key comes twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"{flag} takes key=value", where=f"{flag} {shown_pair(pair, '')}".rstrip("="))
        if key in values:
            raise UsageError(f"the option {key!r} is given twice", where=f"{flag} {shown_pair(key, value)}")
        values[key] = value
    return values


def validate_options(
    model: type[Model],
    values: Mapping[str, Any],
    component: str,
    flag: str,
    places: Mapping[str, str] | None = None,
) -> Model:
    """Make an options object from raw values.

    Args:
        model: The component's options model.
        values: Raw values; strings are converted to the field's type.
        component: The component's name, for errors.
        flag: The command-line flag (`-R`, `-K`), for errors.
        places: Where options stand that were not given by the flag, such as a file.

    Raises:
        UsageError: An unknown key (with a suggestion) or a value of the wrong type or range.
    """
    known = list(model.model_fields)

    def place(key: str) -> str:
        return (places or {}).get(key) or f"{flag} {shown_pair(key, values.get(key, ''))}"

    for key in values:
        if key not in known:
            raise UsageError(
                f"{component} has no option {key!r}{did_you_mean(key, known)}",
                where=place(key),
                hint="bioelx-bench list --verbose shows each component's options",
            )
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        raise UsageError(
            f"{component}: {first['msg']}",
            where=place(name),
            hint="bioelx-bench list --verbose shows each option's type and default",
        ) from error


def shown_pair(key: str, value: Any) -> str:
    """`key=value` for an error, without the value where it may hold a secret."""
    if (
        names_secret(key)
        or hide_secrets(f"{key}={value}") != f"{key}={value}"
        or SECRET_WORD.search(str(value))
    ):
        key = key if re.fullmatch(r"\w{1,40}", key) else "..."
        return f"{key}=[not shown]"
    return f"{key}={value}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the known words nearest to `word`, or the known ones when they are few."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(repr(w) for w in close) + "?"
    return f" (known: {', '.join(known)})" if known and len(known) <= 12 else ""
