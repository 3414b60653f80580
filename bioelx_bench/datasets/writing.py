"""Writing the mentions of a subset as an Arrow table, in little memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from bioelx_bench.base import BaseDataset, Environment
from bioelx_bench.datasets.gold import GoldReader
from bioelx_bench.datasets.prepared import BATCH, PreparedSubset
from bioelx_bench.datasets.schema import arrow_schema, content_of, row_of
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError
from bioelx_bench.files import canonical_json, write_json
from bioelx_bench.records import LabelledMention


def write_table(
    loader: BaseDataset, spec: DatasetSpec, folder: Path, environment: Environment, label: str
) -> None:
    """Write `mentions.arrow` and, last, `meta.json`."""
    reader = GoldReader(loader.mentions(), loader.id_scheme, loader.counts)
    with environment.progress.task(f"Reading {label}", unit="mentions") as task:
        written = write_mentions(reader, folder / "mentions.arrow", task.advance)
    if written.repeated is not None:
        raise DataError(
            f"the mention id {written.repeated!r} comes twice",
            where=loader.place(written.repeated) or spec.name,
            why="a prediction could not be told from another",
        )
    if not written.mentions and loader.counts["without_gold"]:
        raise DataError(
            f"none of the {loader.counts['without_gold']:,} mentions has a gold id",
            where=", ".join(loader.sources) or spec.name,
        )
    write_json(
        folder / "meta.json",
        {
            "sha256": written.sha256,
            "mentions": written.mentions,
            "documents": written.documents + loader.counts["documents_without_mention"],
            "sources": dict(loader.sources),
            "id_scheme": reader.scheme.name,
            "needs_match": loader.needs_match,
            "oddities": written.oddities,
            "left_out": {kind: number for kind, number in sorted(loader.counts.items()) if number},
        },
    )


def write_sample(whole: PreparedSubset, places: Sequence[int], folder: Path) -> None:
    """Write the mentions at some places of a subset, ascending, as a prepared folder of their own."""
    wanted = set(places)
    chosen = (mention for number, mention in enumerate(whole.mentions()) if number in wanted)
    written = write_mentions(chosen, folder / "mentions.arrow", lambda _: None)
    write_json(
        folder / "meta.json",
        {
            "sha256": written.sha256,
            "mentions": written.mentions,
            "documents": written.documents,
            "sources": dict(whole.sources),
            "id_scheme": whole.id_scheme,
            "needs_match": whole.needs_match,
            "oddities": written.oddities,
            "left_out": {},
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        sha256: Hash of the content.
        mentions: Number of mentions.
        documents: Number of documents they stand in.
        oddities: Count of each kind.
        repeated: The first id that comes a second time; None if all differ.
    """

    sha256: str
    mentions: int
    documents: int
    oddities: dict[str, int]
    repeated: str | None


def write_mentions(
    mentions: Iterable[LabelledMention], path: Path, advance: Callable[[int], None]
) -> Written:
    """Write an Arrow stream; of the mentions before, only two hashes of eight bytes each are kept in memory."""
    import pyarrow as pa

    schema = arrow_schema()
    digest = hashlib.sha256()
    oddities: Counter[str] = Counter()
    ids, documents = array("Q"), array("Q")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batched(mentions, BATCH):
            rows = []
            for mention in batch:
                check_text(mention)
                ids.append(short_hash(mention.id))
                documents.append(short_hash(mention.document.id))
                oddities.update(mention.oddities)
                rows.append(row_of(mention))
                digest.update(canonical_json(content_of(rows[-1])).encode() + b"\n")
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
            advance(len(rows))
    return Written(
        sha256=digest.hexdigest(),
        mentions=len(ids),
        documents=len(np.unique(np.frombuffer(documents, dtype=np.uint64))) if documents else 0,
        oddities=dict(sorted(oddities.items())),
        repeated=find_repeated(path, ids),
    )


def short_hash(text: str) -> int:
    """64 bits of a text's hash."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def find_repeated(path: Path, ids: array[int]) -> str | None:
    """The first id that comes a second time; None if all differ."""
    if not ids:
        return None
    hashes = np.frombuffer(ids, dtype=np.uint64)
    _, first = np.unique(hashes, return_index=True)
    if len(first) == len(hashes):
        return None
    import pyarrow as pa

    again = np.setdiff1d(np.arange(len(hashes)), first)
    with pa.memory_map(str(path)) as file:
        identifier: str = pa.ipc.open_stream(file).read_all().column("id")[int(again[0])].as_py()
    return identifier


def batched(mentions: Iterable[LabelledMention], size: int) -> Iterator[list[LabelledMention]]:
    """The mentions in lists of `size`, the last one shorter."""
    pending = iter(mentions)
    while batch := list(islice(pending, size)):
        yield batch


def check_text(mention: LabelledMention) -> None:
    """Refuse a mention that would be marked at a wrong place or that cannot be written.

    Raises:
        DataError: A span does not lie in its document, or a text holds half a character.
    """
    try:
        f"{mention.id}{mention.text}{mention.document.text}{''.join(mention.gold)}".encode()
    except UnicodeEncodeError as error:
        raise DataError(
            "a text holds a lone surrogate, which is half a character",
            where=ascii(mention.id),
            why=f"{error.object[max(error.start - 10, 0) : error.end + 10]!a}",
            hint="repair the file: such text comes of cutting UTF-16 in the middle of a character",
        ) from error
    length = len(mention.document.text)
    for span in mention.spans:
        if not 0 <= span.start <= span.end <= length:
            raise DataError(
                f"the span {span.start}-{span.end} lies outside its context of {length} characters",
                where=mention.id,
            )
