"""The files that a knowledge base is made from, for its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bioelx_bench.errors import MissingError
from bioelx_bench.files import hash_file
from bioelx_bench.kb.manifest import SourceFile


def describe_file(
    file: Path,
    *,
    release: str | None = None,
    licence: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> SourceFile:
    """A source file with its hash.

    Raises:
        MissingError: It is not there or cannot be read.
    """
    if not file.is_file():
        raise MissingError(f"there is no file {file}", where=file)
    try:
        return SourceFile(path=file.name, sha256=hash_file(file, on_bytes), release=release, licence=licence)
    except OSError as error:
        raise MissingError(f"the file cannot be read: {error.strerror or error}", where=file) from error
