"""Upstream files: where each comes from, what it must be, and how it is found, verified or downloaded.

A file is looked for below the data root, in the layout of `Source.path`; else it is downloaded once into the
cache. Data under a licence that asks for it is downloaded only after `datasets prepare NAME
--accept-licence`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioelx_bench.base import DatasetRequest
from bioelx_bench.cache import Cache
from bioelx_bench.declarations import DatasetSpec, Source
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.files import hash_file, hash_json, write_json
from bioelx_bench.io.text import refuse_html
from bioelx_bench.options import load_object

MEMORISE_FROM: Final = 16 << 20
"""Bytes from which a local file's hash is remembered with its size and time, so that opening stays quick."""


@dataclass(frozen=True, slots=True)
class Located:
    """A source that is there and was verified."""

    path: Path
    sha256: str


def sources_of(spec: DatasetSpec, revision: str, split: str) -> list[Source]:
    """The upstream files of a revision and split, each once; empty where the declaration names none."""
    if not spec.sources:
        return []
    declared = load_object(spec.sources, f"the sources of the dataset {spec.name!r}")
    found: dict[str, Source] = {}
    for subset in spec.subsets:
        needed: Sequence[Source] = declared(revision, split, subset)
        found |= {source.path: source for source in needed}
    return list(found.values())


def on_github(
    repository: tuple[str, str],
    path: str,
    *,
    at: str,
    licence: str,
    size: int | None = None,
    sha256: str | None = None,
    acknowledge: bool = False,
) -> Source:
    """A file of a repository on GitHub at a commit, which lies at `at` below a data root.

    Args:
        repository: `owner/name` and the commit.
        path: The file's path in the repository.
        at: Its path below a data root.
        licence: Licence of the data.
        size: Bytes, if known.
        sha256: Its hash, if known.
        acknowledge: Whether the licence must be accepted once before a download.
    """
    name, commit = repository
    return Source(
        path=at,
        url=f"https://raw.githubusercontent.com/{name}/{commit}/{path}",
        page=f"https://github.com/{name}",
        licence=licence,
        size=size,
        sha256=sha256,
        acknowledge=acknowledge,
    )


def locate(source: Source, request: DatasetRequest, dataset: str) -> Located:
    """Find a file below the data root or in the cache, or download it.

    Args:
        source: The file.
        request: Gives the data root, the cache, and whether downloads are allowed.
        dataset: The dataset's name, for messages.

    Raises:
        MissingError: It is nowhere and cannot be downloaded now; the error says how to get it.
        DataError: It is not the upstream file.
    """
    if request.data_root is not None:
        for path in (source.path, *source.alternatives):
            if (local := request.data_root / path).is_file():
                return Located(local, verified(local, source, request.cache))
    key = hash_json([source.url, source.sha256])[:40]
    name = Path(source.path).name
    if found := request.cache.find("downloads", key):
        return Located(found / name, verified(found / name, source, request.cache))
    refuse_download(source, request, dataset)
    folder = request.cache.build("downloads", key, lambda partial: download(source, partial / name, request))
    return Located(folder / name, verified(folder / name, source, request.cache))


def refuse_download(source: Source, request: DatasetRequest, dataset: str) -> None:
    """Raise if the file may not be downloaded now.

    Raises:
        MissingError: There is no address, no connection is allowed, or the licence is not accepted.
    """
    place = f"put it at <data root>/{source.path} and give --data-root"
    looked = f"{request.data_root / source.path}" if request.data_root else f"<data root>/{source.path}"
    if not source.url:
        raise MissingError(
            f"{dataset}: the file {Path(source.path).name} is not here",
            where=looked,
            hint=f"get it from {source.page}, {place}",
        )
    if request.offline:
        raise MissingError(
            f"{dataset}: the file {Path(source.path).name} is not here",
            where=looked,
            why="nothing is downloaded offline",
            hint=f"`bioelx-bench datasets prepare {dataset}@{request.revision} --split {request.split}` "
            f"downloads it from {source.url}; or {place}",
        )
    if source.acknowledge and not is_acknowledged(source.page, source.licence, request.cache):
        raise MissingError(
            f"{dataset} is under the licence {source.licence}, to be accepted once before the download",
            where=source.page,
            hint=f"bioelx-bench datasets prepare {dataset} --accept-licence, or {place}",
        )


def is_acknowledged(page: str, licence: str, cache: Cache) -> bool:
    """Whether the user accepted the licence of the data of this page with this cache."""
    return acknowledgement(page, licence, cache).is_file()


def acknowledge(page: str, licence: str, cache: Cache) -> None:
    """Remember that the user accepted a licence; it holds for all datasets made from the same data."""
    write_json(acknowledgement(page, licence, cache), {"page": page, "licence": licence, "accepted": True})


def acknowledgement(page: str, licence: str, cache: Cache) -> Path:
    """The file that remembers it."""
    return cache.folder("licences", f"{hash_json([page, licence])[:40]}.json")


def verified(path: Path, source: Source, cache: Cache) -> str:
    """The file's sha256, which must be the known one.

    Raises:
        DataError: It is a web page, its size or its hash differs.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
        found = remembered_hash(path, cache)
    except OSError as error:
        raise MissingError(f"the file cannot be read: {error.strerror}", where=path) from error
    refuse_html(head.decode("utf-8-sig", errors="replace"), str(path))
    if source.sha256 is not None and found != source.sha256:
        raise DataError(
            "the file is not the upstream one: its sha256 differs",
            where=path,
            why=f"expected {source.sha256}, found {found}; figures on other data cannot be compared",
            hint=f"download it again from {source.url or source.page}",
        )
    return found


def remembered_hash(path: Path, cache: Cache | None) -> str:
    """sha256 of a file; of a large one it is remembered until the file changes."""
    state = path.stat()
    if cache is None or state.st_size < MEMORISE_FROM:
        return hash_file(path)
    key = hash_json([str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino])[:40]
    memo = cache.folder("hashes", key)
    if memo.is_file():
        return memo.read_text(encoding="ascii").strip()
    found = hash_file(path)
    memo.parent.mkdir(parents=True, exist_ok=True)
    memo.write_text(found + "\n", encoding="ascii")
    return found


@contextmanager
def quiet_retries() -> Iterator[None]:
    """Keep the Hub library from writing each failed attempt on stderr; the last one is in our error."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def download(source: Source, target: Path, request: DatasetRequest) -> None:
    """Download a file to `target`, continuing what an interrupted call left beside it.

    Raises:
        MissingError: The server or the connection fails; what arrived is kept for the next call.
        DataError: What arrived is not the file; it is removed.
    """
    import httpx
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: object, **values: object) -> None:
            values["disable"] = not request.progress.enabled
            super().__init__(*args, **values)  # type: ignore[no-untyped-call]

    part = target.with_name(target.name + ".part")
    try:
        with part.open("ab") as file, quiet_retries():
            http_get(
                source.url,
                file,
                resume_size=file.tell(),
                expected_size=source.size,
                displayed_filename=target.name,
                tqdm_class=Bar,
            )
    except (httpx.HTTPError, HfHubHTTPError, OSError, ValueError) as error:
        if source.size is not None and part.is_file() and part.stat().st_size > source.size:
            part.unlink()
        raise MissingError(
            f"the download failed: {error}".splitlines()[0],
            where=source.url,
            hint=f"repeat: it continues where it stopped; or put the file at <data root>/{source.path}",
        ) from error
    try:
        verified(part, source, request.cache)
    except DataError:
        part.unlink()
        raise
    part.replace(target)
