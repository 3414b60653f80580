"""Turning a declared benchmark into a memory-mapped table that is made once and shared by all runs.

A prepared subset lies in the cache under a key of everything it depends on: the hashes of the upstream files,
the code that parses them, and what was asked for. Opening it again parses nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from bioelx_bench import schemes
from bioelx_bench.base import BaseDataset, DatasetRequest, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.datasets.gold import GoldReader
from bioelx_bench.datasets.prepared import BATCH, PreparedSubset
from bioelx_bench.datasets.samples import find_revision
from bioelx_bench.datasets.schema import content_of, features, row_of
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.files import canonical_json, hash_json, write_json
from bioelx_bench.options import did_you_mean, load_object, validate_options
from bioelx_bench.plugins import RegisteredSpec
from bioelx_bench.records import LabelledMention

CACHE_KIND: Final = "datasets"


def parse_dataset_name(text: str) -> tuple[str, str | None]:
    """Split `NAME[@REVISION]`, such as `xl-bel@v0.0`.

    Raises:
        UsageError: The name or the revision is empty.
    """
    name, at_sign, revision = text.strip().partition("@")
    if not name or (at_sign and not revision):
        raise UsageError(
            f"a dataset is written NAME or NAME@REVISION, not {text!r}",
            where="--dataset",
            hint="bioelx-bench list datasets",
        )
    return name, revision or None


def prepare_subset(
    declared: RegisteredSpec,
    *,
    revision: str | None,
    subset: str,
    split: str | None,
    data_root: Path | None,
    environment: Environment,
    options: Mapping[str, Any] | None = None,
) -> PreparedSubset:
    """Parse one subset of a benchmark, or open what an earlier call parsed.

    Args:
        declared: The dataset's declaration.
        revision: One of its revisions, or a sample of one (see `datasets.samples`); None is the default one.
        subset: One of its subsets.
        split: One of its splits; None is the default one.
        data_root: A local mirror of the upstream files, or None.
        environment: Gives the cache, whether connections are allowed, and the progress display.
        options: Options of datasets that take a user's own files.

    Raises:
        UsageError: The revision, subset, split or an option is unknown.
        MissingError: The upstream files are not there; the error says how to get them.
        DataError: An upstream file's hash differs, or it is not in its format.
    """
    spec: DatasetSpec = declared.spec
    chosen = find_revision(spec, revision)
    request = make_request(
        declared,
        revision=chosen.upstream,
        subset=subset,
        split=split,
        data_root=data_root,
        environment=environment,
        options=options,
    )
    factory = load_object(spec.factory, f"the dataset {spec.name!r}")
    loader: BaseDataset = factory(request)
    key = cache_key(declared, request, loader, factory)
    label = f"{spec.name} {request.subset}"

    def parse(folder: Path) -> None:
        write_table(factory(request), spec, folder, environment, label)

    whole = built(environment.cache, key, parse, spec, request)
    if chosen.sample is None:
        return whole
    sample, quota = chosen.sample, chosen.sample.quota(spec)

    def draw(folder: Path) -> None:
        write_sample(whole, sample.draw(whole.table(("id",)).column("id").to_pylist(), quota), folder)

    drawn = hash_json([key, quota, sample.seed])[:40]
    return built(environment.cache, drawn, draw, spec, replace(request, revision=chosen.name))


def built(
    cache: Cache, key: str, build: Callable[[Path], None], spec: DatasetSpec, request: DatasetRequest
) -> PreparedSubset:
    """Open a prepared folder, built first where it is not there or damaged."""
    folder = cache.build(CACHE_KIND, key, build)
    try:
        return open_prepared(folder, spec, request)
    except DataError:  # damaged on disk: made again, once, from the same sources
        cache.discard(CACHE_KIND, key)
        return open_prepared(cache.build(CACHE_KIND, key, build), spec, request)


def make_request(
    declared: RegisteredSpec,
    *,
    revision: str,
    subset: str,
    split: str | None,
    data_root: Path | None,
    environment: Environment,
    options: Mapping[str, Any] | None = None,
) -> DatasetRequest:
    """Resolve defaults and check every name but that of the upstream revision.

    Raises:
        UsageError: The subset, split or an option is unknown.
    """
    spec: DatasetSpec = declared.spec
    model = load_object(spec.options, f"the options of the dataset {spec.name!r}")
    given = validate_options(model, dict(options or {}), f"the dataset {spec.name!r}", "-D")
    return DatasetRequest(
        revision=revision,
        subset=subset if spec.open_subsets else choose(spec, "subset", subset, spec.subsets),
        split=choose(spec, "split", split, spec.splits_of(revision)),
        data_root=data_root,
        cache=environment.cache,
        offline=environment.offline,
        options=given.model_dump(mode="json"),
        progress=environment.progress,
    )


def choose(spec: DatasetSpec, what: str, wanted: str | None, known: Sequence[str]) -> str:
    """The wanted name, or the first known one when None is wanted."""
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise UsageError(
            f"the dataset {spec.name!r} has no {what} {wanted!r}{did_you_mean(wanted, known)}",
            where=f"--{what} {wanted}",
            hint=f"bioelx-bench datasets show {spec.name}",
        )
    return wanted


def cache_key(declared: RegisteredSpec, request: DatasetRequest, loader: BaseDataset, factory: Any) -> str:
    """What a prepared subset depends on, hashed."""
    return hash_json(
        {
            "dataset": declared.qualified_name,
            "revision": request.revision,
            "subset": request.subset,
            "split": request.split,
            "options": dict(request.options),
            "sources": dict(loader.sources),
            "code": code_hash(factory),
        }
    )[:40]


def code_hash(factory: Any) -> str:
    """Hash of the source files that decide how upstream files become rows.

    They are the module that holds the factory, all modules of this package, and that of the id schemes. So a changed parser never
    meets a table that its former version made, and nobody needs to remember to raise a number.
    """
    files = {*Path(__file__).parent.glob("*.py"), Path(schemes.__file__)}
    if source := inspect.getsourcefile(inspect.unwrap(factory)):
        files.add(Path(source))
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def write_table(
    loader: BaseDataset, spec: DatasetSpec, folder: Path, environment: Environment, label: str
) -> None:
    """Write `mentions.arrow` and, last, `meta.json`."""
    reader = GoldReader(loader)
    with environment.progress.task(f"Reading {label}", unit="mentions") as task:
        written = write_mentions(reader, folder / "mentions.arrow", task.advance)
    if written.repeated is not None:
        identifier, number = written.repeated
        raise DataError(
            f"the mention id {identifier!r} comes twice",
            where=loader.place(number) or spec.name,
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
        repeated: The first id that came before, and the number of the mention that has it again; None if none did.
    """

    sha256: str
    mentions: int
    documents: int
    oddities: dict[str, int]
    repeated: tuple[str, int] | None


def write_mentions(
    mentions: Iterable[LabelledMention], path: Path, advance: Callable[[int], None]
) -> Written:
    """Write an Arrow stream; of the mentions before, only two hashes of eight bytes each are kept in memory."""
    import pyarrow as pa

    schema = features().arrow_schema
    digest = hashlib.sha256()
    oddities: Counter[str] = Counter()
    ids, documents = array("Q"), array("Q")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batched(mentions, BATCH):
            rows = []
            for mention in batch:
                check_spans(mention)
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


def find_repeated(path: Path, ids: array[int]) -> tuple[str, int] | None:
    """The first id that comes a second time, and where; None if all differ."""
    if not ids:
        return None
    hashes = np.frombuffer(ids, dtype=np.uint64)
    _, first = np.unique(hashes, return_index=True)
    if len(first) == len(hashes):
        return None
    import pyarrow as pa

    again = np.setdiff1d(np.arange(len(hashes)), first)
    with pa.memory_map(str(path)) as file:
        column = pa.ipc.open_stream(file).read_all().column("id")
        number = int(again[0])
        return column[number].as_py(), number


def batched(mentions: Iterable[LabelledMention], size: int) -> Iterator[list[LabelledMention]]:
    """The mentions in lists of `size`, the last one shorter."""
    pending = iter(mentions)
    while batch := list(islice(pending, size)):
        yield batch


def check_spans(mention: LabelledMention) -> None:
    """Refuse a mention that would be marked at a wrong place.

    Raises:
        DataError: A span does not lie in its document.
    """
    length = len(mention.document.text)
    for span in mention.spans:
        if not 0 <= span.start <= span.end <= length:
            raise DataError(
                f"the span {span.start}-{span.end} lies outside its context of {length} characters",
                where=mention.id,
            )


def open_prepared(folder: Path, spec: DatasetSpec, request: DatasetRequest) -> PreparedSubset:
    """Map a finished folder into memory.

    Raises:
        DataError: It is damaged.
    """
    import pyarrow as pa
    from datasets import Dataset, DatasetInfo, NamedSplit
    from datasets.table import MemoryMappedTable

    path = folder / "mentions.arrow"
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        table = MemoryMappedTable.from_file(str(path))
        if table.num_rows != meta["mentions"]:
            raise ValueError(f"{table.num_rows} rows in place of {meta['mentions']}")
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(
            "the prepared dataset is damaged", where=at(path), why=str(error), hint=f"remove {folder}"
        ) from error
    dataset = Dataset(
        table,
        info=DatasetInfo(
            description=spec.summary, homepage=spec.homepage, license=spec.licence, features=features()
        ),
        split=NamedSplit(request.split),
        fingerprint=meta["sha256"][:16],
    )
    return PreparedSubset(
        name=spec.name,
        revision=request.revision,
        subset=request.subset,
        split=request.split,
        sha256=meta["sha256"],
        sources=meta["sources"],
        id_scheme=meta["id_scheme"],
        needs_match=meta["needs_match"],
        oddities=meta["oddities"],
        left_out=meta["left_out"],
        documents=meta["documents"],
        dataset=dataset,
    )
