"""`wikidata-dump`: one pass over the JSON dump in constant memory, continuing where it stopped.

The dump is an array with one entity a line. Blocks are searched as bytes (`dump_lines`), and only lines that hold one
of the joining properties are parsed, about one in 150. Decompression runs beside that, for bz2 on all processors.
Aliases found are logged with the position reached, so that after a kill the same command goes on from there:
the decompressor runs ahead to the position, which costs no parsing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, cast

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.files import JsonLines, hash_file, hash_json
from bioelx_bench.progress import Task
from bioelx_bench.records import Alias
from bioelx_bench_aliases.dump_lines import read_ahead, scan_block
from bioelx_bench_aliases.options import DumpOptions
from bioelx_bench_aliases.wikidata import entity_aliases, joining_properties

BLOCK: Final = 8 << 20
COMMIT_BLOCKS: Final = 16
"""Blocks between commits of the position: 128 MB."""

MAX_LINE_BYTES: Final = 64 << 20
LOG_FORMAT: Final = 2
MAGIC: Final = {b"\x1f\x8b": "gz", b"BZ": "bz2"}


class WikidataDump(BaseAliasSource):
    """See the module."""

    def __init__(self, options: DumpOptions, environment: Environment) -> None:
        super().__init__()
        self.options = options
        self.environment = environment
        self.properties, self.crosswalk = joining_properties(options)
        self.languages = options.wanted()
        self.marks = tuple(f'"{p}"'.encode() for p in self.properties)
        self.path = None if options.file == "-" else Path(options.file)
        if self.path is not None and not self.path.is_file():
            raise MissingError(
                f"there is no dump {self.path}",
                where="-O file",
                hint="https://dumps.wikimedia.org/wikidatawiki/entities/latest-all.json.gz is the newest one",
            )
        if self.path is not None:
            # hashing the dump would be a second pass of an hour
            self.files = {self.path.name: f"bytes:{self.path.stat().st_size}"}
        if options.crosswalk is not None:
            self.files[options.crosswalk.name] = hash_file(options.crosswalk)

    @property
    def work(self) -> Path | None:
        """Where aliases and position are kept; none for a stream."""
        if self.path is None:
            return None
        stat = self.path.stat()
        key = hash_json(
            {
                "file": str(self.path.absolute()),
                "size": stat.st_size,
                "modified": stat.st_mtime_ns,
                "properties": list(self.properties),
                "languages": sorted(self.languages),
                "files": self.files,
                "date": self.options.date,
                "format": LOG_FORMAT,
            }
        )
        return self.environment.cache.folder("aliases-dump", key[:32])

    def close(self) -> None:
        """Remove what was kept for resuming."""
        if self.work is not None and self.work.is_dir():
            shutil.rmtree(self.work)

    def __iter__(self) -> Iterator[Alias]:
        """Every alias of the dump.

        Raises:
            DataError: The compressed data is damaged or cut off; what was read so far is kept.
        """
        if self.work is None:
            with self.environment.progress.task("Dump", unit="MB") as task:
                for found, _ in self.read(cast("IO[bytes]", sys.stdin.buffer), 0, task):
                    yield from found
            return
        log = JsonLines(self.work / "aliases.jsonl")
        try:
            position = 0
            for entry in log:
                position = int(entry["position"])
                self.counts = Counter(entry["counts"])
                yield from (Alias(**a) for a in entry["aliases"])
            done = bool(position) and self.counts["finished"] > 0
            if not done:
                yield from self.continued(log, position)
            self.counts.pop("finished", None)
        finally:
            log.close()

    def continued(self, log: JsonLines, position: int) -> Iterator[Alias]:
        """The rest of the dump from a position, logged as it goes."""
        assert self.path is not None  # noqa: S101 - only a file has a work folder
        waiting: list[Alias] = []
        with (
            self.environment.progress.task("Dump", unit="MB", done=position / 1e6) as task,
            open_dump(self.path, self.options.threads) as stream,
        ):
            if position and not skip_to(stream, position):
                raise DataError("the dump is shorter than before", where=self.path)
            with closing(self.read(stream, position, task)) as parts:
                for blocks, (found, reached) in enumerate(parts, 1):
                    waiting += found
                    if blocks % COMMIT_BLOCKS == 0 and reached > position:
                        self.commit(log, waiting, reached)
                        yield from waiting
                        waiting, position = [], reached
            self.counts["finished"] = 1
            self.commit(log, waiting, position)
            yield from waiting

    def commit(self, log: JsonLines, aliases: list[Alias], position: int) -> None:
        """Log aliases and the position up to which all are logged."""
        log.append(
            [{"position": position, "counts": dict(self.counts), "aliases": [asdict(a) for a in aliases]}]
        )
        log.sync()

    def read(self, stream: IO[bytes], position: int, task: Task) -> Generator[tuple[list[Alias], int]]:
        """Aliases of each block, and the position of the first byte that was not looked at."""
        rest = b""
        with closing(self.blocks(stream)) as blocks:
            for block in blocks:
                if not position and self.path is None:
                    self.refuse_compressed(block)
                position += len(block)
                task.advance(len(block) / 1e6)
                first, last = block.find(b"\n"), block.rfind(b"\n")
                if first < 0:
                    rest += block
                    self.check_length(rest)
                    continue
                found = self.aliases(rest + block[:first]) + self.aliases(block, first + 1, last)
                rest = block[last + 1 :]
                yield found, position - len(rest)
        if rest:
            yield self.aliases(rest), position

    def blocks(self, stream: IO[bytes]) -> Generator[bytes]:
        """The dump's bytes in blocks; a file's are read ahead, a stream could keep that waiting for ever."""
        if self.path is not None:
            yield from read_ahead(lambda: self.next_block(stream))
            return
        while block := self.next_block(stream):
            yield block

    def check_length(self, line: bytes) -> None:
        """Refuse what has no line ends."""
        if len(line) > MAX_LINE_BYTES:
            raise DataError(
                "a line is longer than 64 MB",
                where=self.options.file,
                why="the JSON dump has one entity a line; this seems to be something else",
            )

    def next_block(self, stream: IO[bytes]) -> bytes:
        """The next bytes of the dump."""
        try:
            return stream.read(BLOCK)
        except (EOFError, OSError, RuntimeError, ValueError) as error:
            raise DataError(
                "the dump is damaged or cut off",
                where=self.options.file,
                why=str(error),
                hint="get it again; the same command with the whole file under the same name begins anew",
            ) from error

    def refuse_compressed(self, block: bytes) -> None:
        """Refuse compressed data on standard input."""
        if kind := MAGIC.get(block[:2]):
            raise UsageError(
                f"the dump on standard input is compressed ({kind})",
                where="-O file=-",
                hint=f"decompress it on the way ({'zcat' if kind == 'gz' else 'lbzip2 -dc'}), or name the file",
            )

    def aliases(self, block: bytes, start: int = 0, end: int | None = None) -> list[Alias]:
        """The aliases of a part of a block, which is whole lines; counts lines and those that are no entity."""
        lines = scan_block(block, self.marks, start, len(block) if end is None else end)
        self.counts["lines"] += lines.count
        if lines.malformed:
            self.counts["malformed_lines"] += lines.malformed
        return [alias for line in lines.marked for alias in self.entity(line)]

    def entity(self, line: bytes) -> list[Alias]:
        """The aliases of one entity; counts it if it cannot be read."""
        try:
            found = list(
                entity_aliases(
                    parse(line), self.properties, self.crosswalk, self.languages, self.options.date
                )
            )
        except (ValueError, AttributeError, KeyError, TypeError):
            self.counts["malformed_lines"] += 1
            return []
        if found:
            self.counts["items"] += 1
        return found


def parse(line: bytes) -> Any:
    """Parse one entity."""
    import orjson

    value = orjson.loads(line)
    if not isinstance(value, dict):
        raise TypeError("an entity is an object")
    return value


def open_dump(path: Path, threads: int) -> IO[bytes]:
    """The decompressed bytes of a dump; the kind is told by its first bytes.

    gz is decompressed in one thread beside this one (ISA-L, some 800 MB/s), bz2 in parallel (rapidgzip); both in
    constant memory, which rapidgzip does not keep for gz.
    """
    with path.open("rb") as file:
        kind = MAGIC.get(file.read(2))
    workers = threads or len(os.sched_getaffinity(0))
    if kind is None:
        return path.open("rb")
    if kind == "gz":
        from isal import igzip_threaded

        opened: Any = igzip_threaded.open(str(path), "rb", threads=1)  # type: ignore[no-untyped-call]
        return cast("IO[bytes]", opened)
    import rapidgzip

    return cast("IO[bytes]", rapidgzip.IndexedBzip2File(str(path), parallelization=workers))


def skip_to(stream: IO[bytes], position: int) -> bool:
    """Go forward to a position of a stream, by reading where it cannot seek; False if it ends before."""
    if stream.seekable():
        return stream.seek(position) == position
    while position > 0 and (block := stream.read(min(BLOCK, position))):
        position -= len(block)
    return position == 0
