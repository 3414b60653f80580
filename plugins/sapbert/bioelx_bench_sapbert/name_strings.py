"""The distinct strings of a knowledge base's names, found without an object per name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import BenchError

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class NameStrings:
    """Which distinct string each name row has; string `i` is the i-th one to appear.

    Attributes:
        first_rows: Name row in which each string first appears, ascending, shape (strings,).
        offsets: Where each string's part of `rows` begins, shape (strings + 1,).
        rows: Name rows grouped by string, ascending within a string, shape (names,).
    """

    first_rows: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.first_rows)

    def save(self, folder: Path) -> None:
        """Write the arrays into a folder."""
        for name in ("first_rows", "offsets", "rows"):
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> NameStrings:
        """Map the arrays that `save` wrote."""
        arrays: list[npt.NDArray[Any]] = [
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("first_rows", "offsets", "rows")
        ]
        return cls(*arrays)


def group_names(kb: KnowledgeBase, lowercase: bool) -> NameStrings:
    """Group a knowledge base's name rows by their string.

    Strings are compared by 16-byte BLAKE2 digests, which takes 16 bytes a name whatever its length.

    Args:
        kb: The knowledge base.
        lowercase: Whether names are lowercased before they are compared.

    Raises:
        BenchError: It has no names.
    """
    if kb.name_count == 0:
        raise BenchError(
            f"the knowledge base {kb.name} has no names",
            where=kb.folder,
            why="a retriever finds concepts by their names",
            hint="bioelx-bench kb show NAME prints what it holds; build it again with other filters",
        )
    digests = np.empty(kb.name_count, f"V{DIGEST_BYTES}")
    row = 0
    for texts in name_texts(kb, lowercase):
        joined = b"".join(hashlib.blake2b(t.encode(), digest_size=DIGEST_BYTES).digest() for t in texts)
        digests[row : row + len(texts)] = np.frombuffer(joined, digests.dtype)
        row += len(texts)
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    del digests
    order = np.argsort(first, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    string_of_row = place[inverse.reshape(-1)]
    counts = np.bincount(string_of_row, minlength=len(order))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    rows = np.argsort(string_of_row, kind="stable").astype(np.int32)
    return NameStrings(first[order].astype(np.int64), offsets, rows)


def name_texts(kb: KnowledgeBase, lowercase: bool) -> Iterator[list[str]]:
    """The names' strings in the order of rows, a batch at a time, cased as they are encoded."""
    for batch in kb.name_batches(("text",)):
        texts: list[str] = batch.column("text").to_pylist()
        yield [text.lower() for text in texts] if lowercase else texts


def distinct_names(kb: KnowledgeBase, strings: NameStrings, lowercase: bool) -> Iterator[list[str]]:
    """Each distinct string once, in order, a batch at a time."""
    row = 0
    for texts in name_texts(kb, lowercase):
        start, stop = np.searchsorted(strings.first_rows, [row, row + len(texts)])
        yield [texts[int(i) - row] for i in strings.first_rows[start:stop]]
        row += len(texts)
