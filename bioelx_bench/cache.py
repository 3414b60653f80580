"""Content-addressed work shared between runs and processes: indexes, embeddings, knowledge bases.

Finished folders are sealed (`bioelx_bench.integrity`) and checked where they are opened; what was damaged on disk is
made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from bioelx_bench import integrity
from bioelx_bench.files import explain_os_errors, sync_folder

ENVIRONMENT_VARIABLE = "BIOELX_BENCH_CACHE"


def default_cache_folder() -> Path:
    """`BIOELX_BENCH_CACHE`, or the platform's cache folder for this user."""
    if folder := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(folder).expanduser().absolute()
    return user_cache_path("bioelx-bench")


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished, immutable work: `<root>/<kind>/<key>/`.

    Attributes:
        root: The folder; made when first used.
        verify: Whether every file is hashed at each opening, and not only when its stamp changed.
    """

    root: Path
    verify: bool = False

    def folder(self, kind: str, key: str) -> Path:
        """Where work of this kind and key is, whether or not it is there yet.

        Raises:
            ValueError: `kind` or `key` is not a plain folder name.
        """
        for part in (kind, key):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part):
                raise ValueError(f"not a plain folder name: {part!r}")
        return self.root / kind / key

    def find(self, kind: str, key: str) -> Path | None:
        """The finished folder, or None where it is not there or damaged."""
        folder = self.folder(kind, key)
        return folder if folder.is_dir() and self.damage(folder) is None else None

    def damage(self, folder: Path) -> str | None:
        """What is wrong with the files of a finished folder, or None."""
        return integrity.damage(folder, self.root / "verified", always=self.verify)

    def build(self, kind: str, key: str, builder: Callable[[Path], None]) -> Path:
        """The finished folder, built first if it is not there or damaged; safe for several processes at once.

        `builder` fills `<key>.partial`, which is renamed to `<key>` when it returns. After a kill the next
        call gets the same partial folder again, to continue from or to clear; a builder that cannot
        continue also clears it when it fails. Of several processes one builds and the others wait for it.

        Raises:
            BenchError: The disk is full or the folder cannot be written.
        """
        folder = self.folder(kind, key)
        if folder.is_dir() and self.damage(folder) is None:
            return folder
        with explain_os_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        with self.locked(kind, key):
            if folder.is_dir():
                if (why := self.damage(folder)) is None:
                    return folder
                logging.getLogger(__name__).warning(
                    "%s/%s in the cache is damaged and made again: %s", kind, key, why
                )
                with explain_os_errors(folder):
                    shutil.rmtree(folder)
            partial = folder.with_name(folder.name + ".partial")
            with explain_os_errors(folder):
                partial.mkdir(exist_ok=True)
                builder(partial)
                integrity.seal(partial)
                partial.replace(folder)
                sync_folder(folder.parent)
        return folder

    def discard(self, kind: str, key: str) -> None:
        """Remove finished work, for example because it turned out to be damaged."""
        folder = self.folder(kind, key)
        with self.locked(kind, key):
            if folder.is_dir():
                shutil.rmtree(folder)

    def lock_path(self, kind: str, key: str) -> Path:
        """The lock file that guards the work of this kind and key."""
        folder = self.folder(kind, key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder.with_name(folder.name + ".lock")

    @contextlib.contextmanager
    def locked(self, kind: str, key: str) -> Iterator[None]:
        """Keep other processes from the work of this kind and key while the block runs."""
        from filelock import FileLock  # its import takes longer than `--help`

        with FileLock(self.lock_path(kind, key)):
            yield
