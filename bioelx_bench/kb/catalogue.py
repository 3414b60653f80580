"""Opening a knowledge base by its name or folder."""

from __future__ import annotations

import re
from pathlib import Path

from bioelx_bench.base import Environment, KnowledgeBaseBuilder
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.integrity import SEAL
from bioelx_bench.kb.manifest import FORMAT
from bioelx_bench.kb.store import KnowledgeBase, damaged
from bioelx_bench.options import did_you_mean, load_object
from bioelx_bench.plugins import CORE, Plugins, RegisteredSpec, load_plugins


def open_knowledge_base(name_or_folder: str | Path, environment: Environment | None = None) -> KnowledgeBase:
    """Open a knowledge base, building it first where a declared one is used for the first time.

    Args:
        name_or_folder: A folder that `kb build` made, or a declared knowledge base's name such as `open`.
            A declared name wins over a folder of the same name; write `./NAME` for the folder.
        environment: Gives plugins, cache and progress; by default what is installed and the user's cache.

    Raises:
        MissingError: The folder holds no knowledge base, or a package the builder needs is not installed.
        UsageError: The name is unknown; names the nearest ones.
        DataError: The knowledge base is damaged.
    """
    environment = environment or Environment(cache=Cache(default_cache_folder()), plugins=load_plugins())
    plugins = environment.plugins or load_plugins()
    text = str(name_or_folder)
    if isinstance(name_or_folder, str) and (found := find(plugins, text)) is not None:
        return open_declared(found, environment)
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        if (folder / SEAL).is_file() and (why := environment.cache.damage(folder)) is not None:
            raise damaged(folder, why)
        return KnowledgeBase.open(folder)
    if looks_like_path(text):
        raise MissingError(
            f"there is no knowledge base folder {text}",
            where=folder,
            hint="bioelx-bench kb list shows the known names; bioelx-bench kb build makes a folder",
        )
    if plugins.broken:
        plugins.get("knowledge_bases", text)
    raise UsageError(
        f"unknown knowledge base {text!r}{did_you_mean(text, plugins.names('knowledge_bases'))}",
        hint="bioelx-bench kb list shows the known names; a folder that kb build made can be given instead",
    )


def find(plugins: Plugins, name: str) -> RegisteredSpec | None:
    """The declared knowledge base of this name; a path that only looks qualified is none."""
    return None if name.startswith((".", "/", "~")) else plugins.find("knowledge_bases", name)


def looks_like_path(text: str) -> bool:
    """Whether a user who typed this meant a folder."""
    return not re.fullmatch(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?", text)


def cache_key(found: RegisteredSpec) -> str:
    """Key of a declared knowledge base in the cache; another format of folders is another key."""
    key = f"{found.spec.name}-{found.spec.revision}-format{FORMAT}"
    return key if found.plugin.name == CORE else f"{found.plugin.name}-{key}"


def open_declared(found: RegisteredSpec, environment: Environment) -> KnowledgeBase:
    """A declared knowledge base, built in the cache if it is not there."""
    builder: KnowledgeBaseBuilder = load_object(found.spec.factory, f"the knowledge base {found.spec.name!r}")
    key = cache_key(found)

    def build() -> KnowledgeBase:
        return KnowledgeBase.open(
            environment.cache.build("kb", key, lambda folder: builder(folder, environment))
        )

    try:
        return build()
    except DataError as error:
        if environment.cache.find("kb", key) is None:
            raise
        environment.cache.discard("kb", key)  # damaged on disk: made again, once, from the same sources
        with environment.progress.task(f"Building {found.spec.name} again: {error.what}", total=1):
            return build()
