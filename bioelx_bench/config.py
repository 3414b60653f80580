"""Settings: command line, then `bioelx-bench.toml` (project), then the user's file, then defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_config_path

from bioelx_bench.cache import ENVIRONMENT_VARIABLE, default_cache_folder
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean

PROJECT_FILE: Final = "bioelx-bench.toml"

SETTINGS: Final[Mapping[str, tuple[type, str]]] = {
    "cache": (str, "folder of indexes, embeddings, answers and downloads"),
    "output": (str, "folder of runs"),
    "data_root": (str, "local mirror of the benchmarks' upstream files"),
    "offline": (bool, "allow no connection beyond this machine"),
    "dataset": (str, "benchmark of a run"),
    "kb": (str, "knowledge base of a run"),
    "retriever": (str, "retriever of a run"),
    "ranker": (str, "ranker of a run, or none"),
    "preset": (str, "combination of components"),
    "protocol": (str, "scoring protocol"),
    "k": (int, "candidates to retrieve"),
    "rerank_depth": (int, "candidates to rank"),
    "seed": (int, "seed of a run"),
}
"""Known top-level settings, their type and purpose. Beside them a file may hold the tables of `TABLES`."""

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


def defaults() -> dict[str, Setting]:
    """Settings that no file gives."""
    import os

    cache_origin = (
        f"environment {ENVIRONMENT_VARIABLE}" if os.environ.get(ENVIRONMENT_VARIABLE) else "default"
    )
    values: dict[str, Any] = {
        "output": "runs",
        "data_root": None,
        "offline": False,
        "dataset": "xl-bel",
        "kb": "open",
        "retriever": None,
        "ranker": "none",
        "preset": None,
        "protocol": "bioelx",
        "k": 50,
        "rerank_depth": 10,
        "seed": 0,
    }
    found = {name: Setting(value, "default") for name, value in values.items()}
    return {"cache": Setting(str(default_cache_folder()), cache_origin), **found}


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
    if project_file is not None and not project_file.is_file():
        raise UsageError(f"there is no configuration file {project_file}", where="--config")
    for path in (user_file, project_file or Path(PROJECT_FILE)):
        if path.is_file():
            merge(path, settings, tables)
    return Config(settings, tables)


def merge(path: Path, settings: dict[str, Setting], tables: dict[str, dict[str, Setting]]) -> None:
    """Put one file's content over what is there."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration is not TOML: {error}", where=path) from error
    for key, value in content.items():
        if key in TABLES:
            for name, options in value.items():
                if not isinstance(options, dict):
                    raise UsageError(f"[{key}.{name}] must be a table", where=path)
                tables[key][name] = Setting(options, str(path))
        elif key in SETTINGS:
            kind, purpose = SETTINGS[key]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise UsageError(f"{key} ({purpose}) must be {kind.__name__}, not {value!r}", where=path)
            if key == "cache" and settings[key].origin.startswith("environment"):
                continue
            settings[key] = Setting(value, str(path))
        else:
            raise UsageError(f"unknown setting {key!r}{did_you_mean(key, [*SETTINGS, *TABLES])}", where=path)
