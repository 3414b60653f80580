"""What must not be published of the machine that a run was made on: folders, private addresses, keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

FOLDERS: Final = re.compile(r"(?<![\w:/.~-])(?:~[\w.-]*|\.{1,2})?/(?:[^\s,/=]+/)*([^\s,/=]+)/?")
"""A path with folders; not what follows a scheme (`https://`) or a name (`organisation/model`)."""

PRIVATE: Final = re.compile(
    r"https?://(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[::1\]|[^/\s]*@)[^\s,'\"]*"
    r"|\bsk-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{16,}"
)


def publishable(value: Any) -> Any:
    """A JSON value without folders (the last name of a path stays), private addresses and keys."""
    if isinstance(value, str):
        return FOLDERS.sub(lambda match: match[1], PRIVATE.sub("(private)", value))
    if isinstance(value, Mapping):
        return {key: publishable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [publishable(item) for item in value]
    return value
