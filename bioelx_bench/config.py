"""Settings: command line, then `bioelx-bench.toml` (project), then the user's file, then defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_config_path

from bioelx_bench.cache import ENVIRONMENT_VARIABLE, default_cache_folder
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean
from bioelx_bench.runs.run_config import FIELDS, Layer, checked_layer, file_options

PROJECT_FILE: Final = "bioelx-bench.toml"

GENERAL_SETTINGS: Final[Mapping[str, tuple[type, str]]] = {
    "cache": (str, "folder of indexes, embeddings, answers and downloads"),
    "offline": (bool, "allow no connection beyond this machine"),
}
"""Settings of every command, their type and purpose; beside them stand the options of a run (`RunConfig`)."""

TABLES: Final = ("retrievers", "rankers", "datasets")
"""`[rankers.NAME]`, `[retrievers.NAME]`: options of a component, or with `model=` of an alias for one."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and the place it comes from."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """Resolved settings and component tables."""

    settings: Mapping[str, Setting]
    tables: Mapping[str, Mapping[str, Setting]]

    def get(self, name: str) -> Any:
        """A setting's value."""
        return self.settings[name].value

    def component(self, kind: str, name: str) -> dict[str, Any]:
        """Options that the files give a component; empty when none do."""
        found = self.tables.get(kind, {}).get(name)
        return dict(found.value) if found else {}


def purposes() -> dict[str, str]:
    """What each setting is for."""
    general = {name: purpose for name, (_, purpose) in GENERAL_SETTINGS.items()}
    return general | {name: str(FIELDS[name].description) for name in file_options()}


def defaults() -> dict[str, Setting]:
    """Settings that no file gives."""
    cache_origin = (
        f"environment {ENVIRONMENT_VARIABLE}" if os.environ.get(ENVIRONMENT_VARIABLE) else "default"
    )
    found = {
        "cache": Setting(str(default_cache_folder()), cache_origin),
        "offline": Setting(False, "default"),
    }
    return found | {name: Setting(FIELDS[name].default, "default") for name in file_options()}


def load_config(project_file: Path | None = None) -> Config:
    """Read the user's file and the project's over the defaults.

    Args:
        project_file: The project's file; by default `bioelx-bench.toml` in the working folder.

    Raises:
        UsageError: A file is not TOML, or has an unknown key or a value of the wrong type.
    """
    settings = defaults()
    tables: dict[str, dict[str, Setting]] = {kind: {} for kind in TABLES}
    user_file = user_config_path("bioelx-bench") / "config.toml"
    if project_file is not None and not os.path.lexists(project_file):
        raise UsageError(f"there is no configuration file {project_file}", where="--config")
    for path in (user_file, project_file or Path(PROJECT_FILE)):
        if os.path.lexists(path):  # a link that leads nowhere is a mistake, not an absent file
            merge(path, settings, tables)
    return Config(settings, tables)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a configuration file.

    Raises:
        UsageError: It cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the configuration cannot be read: {error.strerror}", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the configuration is not TOML: {error}", where=path) from error


def merge(path: Path, settings: dict[str, Setting], tables: dict[str, dict[str, Setting]]) -> None:
    """Put one file's content over what is there."""
    content = read_toml(path)
    options: dict[str, Any] = {}
    for key, value in content.items():
        if key in TABLES:
            merge_table(path, key, value, tables)
        elif key in GENERAL_SETTINGS:
            kind, purpose = GENERAL_SETTINGS[key]
            if not isinstance(value, kind):
                wanted = "text" if kind is str else "true or false"
                raise UsageError(
                    f"{key} must be {wanted}, not {value!r}", where=f"{key} in {path}", why=purpose
                )
            if key == "cache" and settings[key].origin.startswith("environment"):
                continue
            settings[key] = Setting(value, str(path))
        elif key in file_options():
            options[key] = value
        else:
            known = [*settings, *TABLES]
            raise UsageError(
                f"unknown option {key!r}{did_you_mean(key, known)}",
                where=f"{key} in {path}",
                hint="bioelx-bench config shows every one",
            )
    layer = Layer(options, {name: f"{name} in {path}" for name in options})
    for name, value in checked_layer(layer).items():
        settings[name] = Setting(value, str(path))


def merge_table(path: Path, kind: str, content: object, tables: dict[str, dict[str, Setting]]) -> None:
    """Put the tables `[kind.NAME]` of one file over what is there.

    Raises:
        UsageError: One is no table.
    """
    if not isinstance(content, dict):
        raise UsageError(f"{kind} must be tables [{kind}.NAME], not {content!r}", where=f"{kind} in {path}")
    for name, options in content.items():
        if not isinstance(options, dict):
            raise UsageError(
                f"[{kind}.{name}] must be a table, not {options!r}", where=f"{kind}.{name} in {path}"
            )
        tables[kind][name] = Setting(options, str(path))
