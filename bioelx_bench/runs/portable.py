"""Results without the folders of the machine that made them: the same model in two folders is one system."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bioelx_bench.files import hash_file, hash_json
from bioelx_bench.options import shown_pair
from bioelx_bench.redaction import hide_secrets

FOLDERS: Final = re.compile(r"(?<![\w:/.~-])(?:~[\w.-]*|\.{1,2})?/(?:[^\s,/=]+/)*([^\s,/=]+)/?")
"""A path with folders; not what follows a scheme (`https://`) or a name (`organisation/model`)."""

PRIVATE_ADDRESS: Final = re.compile(
    r"https?://(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[::1\]|[^/\s]*@)[^\s,'\"]*"
)

WHOLE_FILE_BYTES: Final = 1 << 26


def without_folders(value: Any) -> Any:
    """A JSON value whose texts name files and folders by their own name alone."""
    if isinstance(value, str):
        return FOLDERS.sub(lambda match: match[1], value)
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    return value


def publishable(value: Any) -> Any:
    """A JSON value for everybody's eyes: without folders, addresses of private networks and keys."""
    if isinstance(value, str):
        return without_folders(hide_secrets(PRIVATE_ADDRESS.sub("(private)", value), "revision"))
    if isinstance(value, Mapping):
        return {key: publishable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [publishable(item) for item in value]
    return value


def local_path(name: str, value: object) -> Path | None:
    """The file or folder that an option's value names, if it is there."""
    if isinstance(value, Path) or (isinstance(value, str) and (name == "model" or "/" in value)):
        path = Path(value).expanduser()
        try:
            return path if path.exists() else None
        except OSError:  # a name that is longer than any file's
            return None
    return None


def identifying_options(options: Mapping[str, Any], *, has_revision: bool) -> dict[str, Any]:
    """Options as a run's id depends on them: files by their content, folders by their model's revision.

    Args:
        options: The options on which results depend.
        has_revision: Whether the component says by `model_revision` what its folder holds.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        path = local_path(name, value)
        if path is None:
            found[name] = without_folders(value)
        elif path.is_file():
            found[name] = {"sha256": hash_file(path)}
        else:
            found[name] = "(folder)" if has_revision else {"folder": hash_folder(path)}
    return found


def hash_folder(folder: Path) -> str:
    """Hash of the files of a folder by name, and by content up to 64 MiB each, beyond that by size."""
    entries: list[Any] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            size = path.stat().st_size
            entries.append(
                [path.relative_to(folder).as_posix(), hash_file(path) if size <= WHOLE_FILE_BYTES else size]
            )
    return hash_json(entries)


def portable_command(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command as a manifest may hold them: no folders, no values that may be secrets."""
    shown = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        shown.append(
            str(without_folders(shown_pair(name, value) if equals else shown_pair(argument, "")[:-1]))
        )
    return shown
