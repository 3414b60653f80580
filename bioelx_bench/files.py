"""Writing files so that nothing is ever lost or half-written, and hashing them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bioelx_bench.errors import BenchError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is synced and renamed to `path`, else removed.

    Raises:
        BenchError: The disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with explain_os_errors(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~current_umask())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def current_umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    if os.name == "nt":  # Windows opens no folders, and its file systems log renames themselves
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at `path` into an error that says how to fix it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BenchError):
            raise
        raise BenchError(
            f"cannot write: {error.strerror or error}",
            where=path,
            hint="free space or choose another folder (--output, BIOELX_BENCH_CACHE), then repeat",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by people, keys in the order given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces; what hashes are made of."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_json(value: Mapping[str, Any] | list[Any]) -> str:
    """sha256 (hex) of a JSON value in its canonical form."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def hash_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """sha256 (hex) of a file; `on_bytes` is told how many bytes were read each time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            if on_bytes is not None:
                on_bytes(len(block))
    return digest.hexdigest()


class JsonLines:
    """An append-only log of JSON objects, one a line, that survives a kill at any moment.

    Opening it drops a torn last line. Every `append` is written whole, from any thread; `sync` makes it survive
    a power cut.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file: IO[bytes] = path.open("ab+")
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        self._file.seek(0)
        good = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            good += len(line)
        self._file.truncate(good)
        self._file.seek(0, os.SEEK_END)

    def __iter__(self) -> Iterator[Any]:
        """Read every record from the start."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise BenchError(
                        "a log line is not JSON",
                        where=f"{self.path}:{number}",
                        why=str(error),
                        hint=f"remove {self.path.parent} and run again",
                    ) from error

    def append(self, records: list[Mapping[str, Any]]) -> None:
        """Append records and hand them to the operating system.

        Raises:
            BenchError: The disk is full; what was there before stays whole.
        """
        data = b"".join(json.dumps(r, ensure_ascii=False, allow_nan=False).encode() + b"\n" for r in records)
        with self._lock, explain_os_errors(self.path):
            self._file.write(data)
            self._file.flush()

    def sync(self) -> None:
        """Force what was appended to the disk."""
        with explain_os_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()
