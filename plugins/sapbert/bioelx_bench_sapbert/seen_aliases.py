"""The aliases a model was trained on, as a compact set of hashes in its folder: for splitting scores.

A model folder that training made holds `seen_aliases.npy`: sorted unique uint64 values, each the first eight
bytes (little-endian) of the BLAKE2b hash, with a digest of eight bytes, of the UTF-8 text normalised by
`canonical` (NFKC, case folded, runs of spaces as one). Two different texts share a
value with probability 2^-64, so with 10 million aliases and 10,000 mentions a mention is wrongly called seen with
probability below 1e-8.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import DataError
from bioelx_bench.files import atomic_path

FILE_NAME: Final = "seen_aliases.npy"


def canonical(text: str) -> str:
    """The form that is hashed. Files of models that are out depend on it, so it never changes."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def hash_alias(text: str) -> int:
    """The 64-bit value of a name."""
    return int.from_bytes(hashlib.blake2b(canonical(text).encode(), digest_size=8).digest(), "little")


def write_seen(texts: Iterable[str], folder: Path) -> int:
    """Write the set of hashes into a model folder; returns how many different ones there are."""
    values = np.unique(np.fromiter((hash_alias(t) for t in texts), dtype="<u8"))
    path = folder / FILE_NAME
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)
    return len(values)


class SeenAliases:
    """The set of aliases that a model was trained on; `text in seen` asks for a string."""

    def __init__(self, values: npt.NDArray[np.uint64]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def flags(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is in the set; what a retriever's `trained_on` answers."""
        return [text in self for text in texts]

    def __contains__(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        value = np.uint64(hash_alias(text))
        at = int(np.searchsorted(self._values, value))
        return at < len(self._values) and self._values[at] == value


def read_seen(folder: Path) -> SeenAliases | None:
    """The set in a model folder, memory-mapped, or None if the folder has none.

    Raises:
        DataError: The file is not such a set.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError("the set of training aliases cannot be read", where=path, why=str(error)) from error
    if values.dtype != np.dtype("<u8") or values.ndim != 1 or bool((values[1:] <= values[:-1]).any()):
        raise DataError("the set of training aliases is not a sorted row of 64-bit values", where=path)
    return SeenAliases(values)
