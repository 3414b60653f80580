"""Positive pairs by SapBERT's rule, made from a knowledge base in one pass without a Python object per name.

All unordered pairs of a concept's names that differ when normalised; of a concept with more than
`max_pairs` of them a seeded sample, in which pairs of two languages come first (Liu et al. 2021, NAACL, section
2.1; the preference for cross-lingual pairs is ours). Pairs go to a file of int32 rows, which is memory-mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import atomic_path
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.options import did_you_mean

BLOCK_CONCEPTS: Final = 1 << 16
"""Concepts handled at once. A constant, since the sample depends on it."""

Rows = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRules:
    """Which names make pairs.

    Attributes:
        languages: Languages of the names; empty means all.
        max_pairs: Pairs a concept gives at most.
        max_characters: Longer names are left out; 0 keeps all.
        pivot: Of pairs in two languages only those with a name in one language, which is of each concept the first
            of these that it has a name in; empty keeps all.
        seed: Seed of the samples.
        excluded: Given the texts and language codes of name rows, says which are left out (held out).
    """

    languages: tuple[str, ...] = ()
    max_pairs: int = 50
    max_characters: int = 0
    pivot: tuple[str, ...] = ()
    seed: int = 0
    excluded: Callable[[pa.Array, npt.NDArray[np.int16]], npt.NDArray[np.bool_]] | None = None


def language_codes(
    kb: KnowledgeBase, languages: tuple[str, ...], setting: str = "languages"
) -> npt.NDArray[np.int16]:
    """The knowledge base's codes of the languages of a setting, or of all.

    Raises:
        UsageError: It has no name in one of them.
    """
    known = list(kb.languages)
    for language in languages:
        if language not in known:
            raise UsageError(
                f"the knowledge base {kb.name} has no name in the language {language!r}"
                f"{did_you_mean(language, known)}",
                where=f"--set {setting}={','.join(languages)}",
                why=f"its languages are {', '.join(sorted(known))}",
                hint="bioelx-bench kb add-aliases adds names of further languages",
            )
    return np.array([known.index(x) for x in languages] if languages else range(len(known)), dtype=np.int16)


def make_pairs(kb: KnowledgeBase, rules: PairRules) -> Iterator[npt.NDArray[np.int32]]:
    """Blocks of pairs, shape (pairs, 2), of name rows; pairs of a concept are together, concepts in order.

    Raises:
        UsageError: The knowledge base has no name in a language of the rules.
    """
    codes = language_codes(kb, rules.languages)
    pivot = language_codes(kb, rules.pivot, "pivot") if rules.pivot else None
    for block, first in enumerate(range(0, len(kb), BLOCK_CONCEPTS)):
        rows, concepts, languages = usable_names(
            kb, first, min(first + BLOCK_CONCEPTS, len(kb)), codes, rules
        )
        generator = np.random.default_rng([rules.seed, block])
        joined = pivots(concepts, languages, pivot) if pivot is not None and len(rows) else None
        pairs = pairs_of_block(rows, concepts, languages, joined, rules.max_pairs, generator)
        if len(pairs):
            yield pairs


def usable_names(
    kb: KnowledgeBase, first: int, last: int, codes: npt.NDArray[np.int16], rules: PairRules
) -> tuple[Rows, Rows, npt.NDArray[np.int16]]:
    """Name rows of concepts [first, last), without repetitions in a concept; their concepts and languages."""
    start, stop = int(kb.name_offsets[first]), int(kb.name_offsets[last])
    table = kb.names.slice(start, stop - start).select(["text", "language"]).combine_chunks()
    if not table.num_rows:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0, dtype=np.int16)
    text = pc.utf8_lower(table.column("text").combine_chunks())
    language = table.column("language").to_numpy().astype(np.int16)
    concepts = np.asarray(kb.name_concepts[start:stop], dtype=np.int64)
    keep = np.isin(language, codes)
    if rules.max_characters:
        keep &= pc.less_equal(pc.utf8_length(text), rules.max_characters).to_numpy(zero_copy_only=False)
    if rules.excluded is not None:
        keep &= ~rules.excluded(text, language)
    at = np.flatnonzero(keep)
    same = pc.dictionary_encode(text).indices.to_numpy(zero_copy_only=False).astype(np.int64)
    _, unique = np.unique((concepts[at] - first) * (len(text) + 1) + same[at], return_index=True)
    at = at[np.sort(unique)]
    return at + start, concepts[at], language[at]


def pivots(
    concepts: Rows, languages: npt.NDArray[np.int16], pivot: npt.NDArray[np.int16]
) -> npt.NDArray[np.int16]:
    """For each name the first of `pivot` that its concept has a name in, or -1; names are grouped by concept."""
    ranks = np.full(len(languages), len(pivot))
    for rank, code in enumerate(pivot):
        ranks[languages == code] = rank
    starts = np.flatnonzero(np.r_[True, concepts[1:] != concepts[:-1]])
    first = np.minimum.reduceat(ranks, starts)
    sizes = np.diff(np.r_[starts, len(concepts)])
    return np.repeat(np.append(pivot, np.int16(-1))[first], sizes)


def pairs_of_block(
    rows: Rows,
    concepts: Rows,
    languages: npt.NDArray[np.int16],
    joined: npt.NDArray[np.int16] | None,
    max_pairs: int,
    generator: np.random.Generator,
) -> npt.NDArray[np.int32]:
    """The pairs of a block's names, which are grouped by concept; `joined` is what `pivots` gives."""
    if not len(rows):
        return np.zeros((0, 2), dtype=np.int32)
    starts = np.flatnonzero(np.r_[True, concepts[1:] != concepts[:-1]])
    sizes = np.diff(np.r_[starts, len(rows)])
    found: list[npt.NDArray[np.int64]] = []
    for size in np.unique(sizes[sizes > 1]):
        left, right = np.triu_indices(int(size), k=1)
        of_size = starts[sizes == size]
        if len(left) <= max_pairs:
            a, b = (of_size[:, None] + left).ravel(), (of_size[:, None] + right).ravel()
            kept = allowed(a, b, languages, joined)
            found.append(np.stack([a[kept], b[kept]], axis=1))
        else:
            for s in of_size:
                kept = allowed(s + left, s + right, languages, joined)
                found.append(sample(s, left[kept], right[kept], languages, max_pairs, generator))
    if not found:
        return np.zeros((0, 2), dtype=np.int32)
    places = np.concatenate(found)
    places = places[np.lexsort((places[:, 1], places[:, 0]))]
    swap = generator.random(len(places)) < 0.5
    places[swap] = places[swap][:, ::-1]
    return rows[places].astype(np.int32)


def allowed(
    a: Rows, b: Rows, languages: npt.NDArray[np.int16], joined: npt.NDArray[np.int16] | None
) -> npt.NDArray[np.bool_]:
    """Which pairs of a block's places are of one language or have a name in their concept's pivot."""
    if joined is None:
        return np.ones(len(a), dtype=np.bool_)
    first, second = languages[a], languages[b]
    return np.asarray((first == second) | (first == joined[a]) | (second == joined[a]), dtype=np.bool_)


def sample(
    start: int,
    left: Rows,
    right: Rows,
    languages: npt.NDArray[np.int16],
    max_pairs: int,
    generator: np.random.Generator,
) -> Rows:
    """`max_pairs` of one concept's pairs: a random half as they come, the rest cross-lingual ones first."""
    order = generator.permutation(len(left))
    head, tail = order[: max_pairs // 2], order[max_pairs // 2 :]
    crosses = languages[start + left[tail]] != languages[start + right[tail]]
    chosen = np.concatenate([head, tail[np.argsort(~crosses, kind="stable")]])[:max_pairs]
    return np.stack([start + left[chosen], start + right[chosen]], axis=1)


def write_pairs(kb: KnowledgeBase, rules: PairRules, path: Path) -> npt.NDArray[np.int32]:
    """Write all pairs to an `.npy` file, block by block, and map it; shape (pairs, 2).

    Raises:
        DataError: There is no pair.
        UsageError: See `make_pairs`.
        BenchError: The disk is full.
    """
    with atomic_path(path) as temporary:
        count = 0
        concepts: set[int] = set()
        with temporary.open("wb") as file:
            file.write(header(0))
            for block in make_pairs(kb, rules):
                file.write(block.tobytes())
                count += len(block)
                if len(concepts) < 2:
                    concepts.update(np.unique(kb.name_concepts[block[:, 0]])[:2].tolist())
            file.seek(0)
            file.write(header(count))
        if not count:
            raise DataError(
                f"the knowledge base {kb.name} gives no pair to train on",
                where=kb.folder,
                why="a pair is two different names of one concept; no concept has two in "
                + (", ".join(rules.languages) or "any language"),
                hint="bioelx-bench kb add-aliases adds names",
            )
        if len(concepts) < 2:
            raise DataError(
                f"all pairs are of one concept ({kb.concept_id(concepts.pop())})",
                where=kb.folder,
                why="without a second concept there is no negative to learn from",
                hint="train on a knowledge base with more concepts",
            )
    pairs: npt.NDArray[np.int32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return pairs


def header(count: int) -> bytes:
    """An `.npy` header (format 1.0) of 128 bytes for an int32 array of shape (count, 2)."""
    text = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({count}, 2), }}".encode()
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n"
