"""Whether the files of a finished folder are those that were written: a sealed list, checked when it is opened.

`seal` lists every file with its size and hash in `seal.json`. `damage` hashes the files again at the first opening on
a machine, and remembers outside the folder how they were stamped (size, times, inode); as long as the stamps stay,
later openings hash nothing. `BIOELX_BENCH_VERIFY=1` hashes always.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import orjson

from bioelx_bench.errors import BenchError
from bioelx_bench.files import write_text

SEAL: Final = "seal.json"
VERIFY_VARIABLE: Final = "BIOELX_BENCH_VERIFY"
CHUNK: Final = 32 << 20
"""Files are hashed in chunks of this size, side by side; the hash of a file is that of its chunks' hashes."""

THREADS: Final = 4
SETTLED_SECONDS: Final = 0.2
"""A file changed so shortly before it was hashed could change again under the same time stamp."""


def seal(folder: Path) -> None:
    """List all files below a folder with size and hash in its `seal.json`.

    Raises:
        BenchError: The list cannot be written.
    """
    files = {path: [size, fast_hash(folder / path)] for path, size in sizes(folder).items()}
    write_text(folder / SEAL, render(files))


def render(files: dict[str, Any]) -> str:
    """The one text of a seal."""
    digest = hashlib.sha256(orjson.dumps(files, option=orjson.OPT_SORT_KEYS)).hexdigest()
    body = {"files": files, "sha256": digest}
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def sizes(folder: Path) -> dict[str, int]:
    """Sizes of the files below a folder, by their paths in it; the seal and partial files are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and relative != SEAL and not re.search(r"\.part$|\.lock$", relative):
            found[relative] = path.stat().st_size
    return found


def fast_hash(path: Path) -> str:
    """BLAKE2b of the BLAKE2b hashes of a file's chunks."""
    size = path.stat().st_size
    starts = range(0, max(size, 1), CHUNK)
    if len(starts) == 1:
        chunks = [chunk_hash(path, 0)]
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            chunks = list(pool.map(lambda start: chunk_hash(path, start), starts))
    return hashlib.blake2b(b"".join(chunks), digest_size=20).hexdigest()


def chunk_hash(path: Path, start: int) -> bytes:
    """Hash of one chunk of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.blake2b(file.read(CHUNK), digest_size=20).digest()


def damage(folder: Path, memory: Path, *, always: bool = False) -> str | None:
    """What is wrong with a sealed folder; None where every file is as it was written.

    Files that were added later are not looked at.

    Args:
        folder: The folder.
        memory: A folder outside it where stamps of verified files are kept; made when needed. Where it cannot be
            written, everything is hashed each time.
        always: Hash everything, whatever is remembered.
    """
    try:
        files = read_seal(folder)
        stamps = {path: stamp(folder / path) for path in (*files, SEAL)}
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).relative_to(folder)} is missing"
    except (OSError, ValueError) as error:
        return f"{SEAL} cannot be read: {error}"
    note = (
        memory / f"{hashlib.sha256(f'{platform.node()}:{folder.absolute()}'.encode()).hexdigest()[:32]}.json"
    )
    always = always or os.environ.get(VERIFY_VARIABLE, "") not in ("", "0")
    if not always and remembered(note) == stamps:
        return None
    started = time.time_ns()
    for path, (size, known) in files.items():
        if stamps[path][0] != size:
            return f"{path} has {stamps[path][0]:,} bytes, not {size:,}"
        try:
            if fast_hash(folder / path) != known:
                return f"{path} was changed after it was written"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror or error}"
    newest = max(max(s[1], s[2]) for s in stamps.values())
    if started - newest > SETTLED_SECONDS * 1e9:
        remember(note, stamps)
    return None


def read_seal(folder: Path) -> dict[str, tuple[int, str]]:
    """The sealed list of a folder.

    Raises:
        OSError: There is none.
        ValueError: It is damaged.
    """
    text = (folder / SEAL).read_text(encoding="utf-8")
    body = orjson.loads(text)
    files = body["files"] if isinstance(body, dict) and isinstance(body.get("files"), dict) else None
    if files is None or text != render(files):
        raise ValueError("it was changed after it was written")
    return {path: (size, known) for path, (size, known) in files.items()}


def stamp(path: Path) -> list[int]:
    """What changes when a file is written: size, time of content, time of the inode, inode."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def remembered(note: Path) -> Any:
    """The stamps of the last verification; None where there was none."""
    try:
        return orjson.loads(note.read_bytes())
    except (OSError, ValueError):
        return None


def remember(note: Path, stamps: dict[str, list[int]]) -> None:
    """Keep stamps, where the memory can be written."""
    try:
        write_text(note, orjson.dumps(stamps).decode())
    except (OSError, BenchError):
        return
