"""The code of a component is part of what it computed: hashes of sources for run ids and keys of indexes."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, Final

import numpy as np

CODE_LENGTH: Final = 16
CORE_PACKAGE: Final = "bioelx_bench"


def hash_sources(files: Iterable[tuple[str, bytes]]) -> str:
    """Hash of source texts with their names."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content + b"\0")
    return digest.hexdigest()[:CODE_LENGTH]


def source_files(module_name: str) -> list[tuple[Path, str]]:
    """The source files that belong to a module's component, each with its name within them.

    They are the Python files of the top-level package of a plugin; the module alone where it belongs to the core
    (whose every change would otherwise make every run a new one) or stands in a file of its own.
    """
    top = module_name.partition(".")[0]
    if top == CORE_PACKAGE or top not in sys.modules:
        top = module_name
    module = sys.modules.get(top)
    spec = getattr(module, "__spec__", None) or (importlib.util.find_spec(top) if top != "__main__" else None)
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    if (locations and top != module_name) or (locations and top.partition(".")[0] != CORE_PACKAGE):
        folder = Path(locations[0])
        return [(path, path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*.py"))]
    file = getattr(module, "__file__", None)
    path = Path(file) if file else None
    # the name of a single file is left out: the same code under another name is the same code
    return [(path, "")] if path is not None and path.is_file() else []


def code_of(component: object) -> str:
    """Hash of the sources of a component: of a factory (class or function) or of a live object's class.

    A class that stands in no file (a notebook's) is hashed by its own source; where that cannot be had, by the
    bytecode of its methods.
    """
    target = component if inspect.isclass(component) or inspect.isroutine(component) else type(component)
    files = source_files(str(getattr(target, "__module__", "")))
    if files:
        return hash_sources((name, path.read_bytes()) for path, name in files)
    try:
        return hash_sources([("", inspect.getsource(target).encode())])
    except (OSError, TypeError):
        return hash_sources((name, value) for name, value in bytecode(target))


def bytecode(target: object) -> list[tuple[str, bytes]]:
    """Code, constants and names of every function of a class, or of a function."""
    members = vars(target) if inspect.isclass(target) else {"": target}
    found = []
    for name, member in members.items():
        code = getattr(inspect.unwrap(member) if callable(member) else member, "__code__", None)
        if code is not None:
            found.append((name, code.co_code + repr((code.co_consts, code.co_names)).encode()))
    return found


def version_of(target: object) -> str:
    """Version of the distribution that a live object's class belongs to; `local` where it has none."""
    top = str(getattr(type(target), "__module__", "")).partition(".")[0]
    owners = packages_distributions().get(top, []) if top not in {"__main__", "builtins"} else []
    return version(owners[0]) if owners else "local"


def state_of(component: object) -> tuple[dict[str, Any], bool]:
    """What a live object holds, as JSON values, and whether that is all of it.

    Returns:
        The attributes that can be told apart (text, numbers, lists, mappings, arrays, functions by their code), and
        False where it holds something else, so that two objects with like attributes may compute different things.
    """
    described: dict[str, Any] = {}
    whole = True
    for name, value in sorted(getattr(component, "__dict__", {}).items()):
        text, known = described_value(value)
        described[name] = text
        whole = whole and known
    return described, whole


def described_value(value: object) -> tuple[Any, bool]:
    """A value as a JSON value, and whether that identifies it."""
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value) if isinstance(value, float) else value, True
    if isinstance(value, Path):
        return value.name, False
    if isinstance(value, Mapping):
        pairs = [(str(key), described_value(item)) for key, item in value.items()]
        return {key: item for key, (item, _) in pairs}, all(known for _, (_, known) in pairs)
    if isinstance(value, list | tuple | set | frozenset):
        items = [
            described_value(item)
            for item in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)
        ]
        return [item for item, _ in items], all(known for _, known in items)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return hashlib.sha256(value.tobytes()).hexdigest(), True
    if inspect.isfunction(value):
        return code_of_function(value), value.__closure__ is None
    return f"{type(value).__module__}.{type(value).__qualname__}", False


def code_of_function(function: Callable[..., object]) -> str:
    """Hash of one function's code."""
    return hash_sources(bytecode(function))
