"""Scanning a dump fast: blocks read ahead in a thread, and their lines told apart without touching each.

A dump's line is some kilobytes long, and about one in 150 holds a joining property. So line ends and properties are
searched for in whole blocks (memchr and memmem speed), the shape of all lines is checked at once, and Python looks
only at lines that hold a property or do not look like an entity's.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_BLOCKS_AHEAD: Final = 2
"""Blocks read ahead."""

POLL_SECONDS: Final = 0.2
MIN_LINE_BYTES: Final = 3
"""Shorter lines are the array's brackets, or empty."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a block of whole lines holds.

    Attributes:
        count: Lines, the array's brackets and empty ones not counted.
        malformed: Those that are no JSON object from brace to brace.
        marked: Those, in order, that hold one of the marks, without the comma at the end.
    """

    count: int
    malformed: int
    marked: list[bytes]


def scan_block(block: bytes, marks: Sequence[bytes], start: int, end: int) -> Lines:
    """Tell the lines of a part of a block, without a copy of it.

    Args:
        block: Lines with line feeds between.
        marks: Names of properties in double quotes.
        start: Where the part begins.
        end: Where it ends.
    """
    import numpy as np

    if end <= start:
        return Lines(0, 0, [])
    breaks = np.fromiter(positions(block, b"\n", start, end), dtype=np.int64)
    starts, ends = np.r_[start, breaks + 1], np.r_[breaks, end]
    characters = np.frombuffer(block, dtype=np.uint8)
    usual = ends - starts > MIN_LINE_BYTES
    usual &= characters[np.minimum(starts, end - 1)] == ord("{")
    usual &= characters[np.maximum(ends - 1, start)] == ord(",")
    usual &= characters[np.maximum(ends - 2, start)] == ord("}")
    count, malformed = int(usual.sum()), 0
    refused = set()
    for place in np.flatnonzero(~usual).tolist():
        line = bare(block[starts[place] : ends[place]])
        if len(line) < MIN_LINE_BYTES:
            refused.add(place)
            continue
        count += 1
        if not (line.startswith(b"{") and line.endswith(b"}")):
            malformed += 1
            refused.add(place)
    hits = (at for mark in marks for at in positions(block, mark.strip(b'"'), start, end))
    found = np.fromiter(
        hits, dtype=np.int64
    )  # without their quotes, which are too common to be skipped quickly
    places = np.unique(np.searchsorted(starts, found, side="right") - 1).tolist()
    lines = (bare(block[starts[place] : ends[place]]) for place in places if place not in refused)
    return Lines(count, malformed, [line for line in lines if any(mark in line for mark in marks)])


def bare(line: bytes) -> bytes:
    """A line without white space around it and the comma at its end."""
    return line.strip().rstrip(b",")


def positions(block: bytes, word: bytes, start: int, end: int) -> Iterator[int]:
    """Where a word occurs in a part of a block."""
    at = block.find(word, start, end)
    while at >= 0:
        yield at
        at = block.find(word, at + 1, end)


def read_ahead(read: Callable[[], bytes]) -> Generator[bytes]:
    """Blocks until an empty one, read by a thread while earlier ones are worked on.

    A decompressor that works in threads of its own is fed only while it is asked; so it is always asked.

    Args:
        read: Gives the next block; it must come back in the end. An error it raises is raised here.
    """
    waiting: queue.Queue[Any] = queue.Queue(MAX_BLOCKS_AHEAD)
    stopped = threading.Event()

    def put(value: Any) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(value, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            while put(block := read()) and block:
                pass
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            block = waiting.get()
            if isinstance(block, BaseException):
                raise block
            if not block:
                return
            yield block
    finally:
        stopped.set()
        thread.join()
