"""Turning a declared benchmark into a memory-mapped table that is made once and shared by all runs.

A prepared subset lies in the cache under a key of everything it depends on: the hashes of the upstream files,
the code that parses them, and what was asked for. Opening it again parses nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import BaseDataset, DatasetRequest, Environment
from bioelx_bench.datasets.schema import features, mention_of, row_of
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.files import canonical_json, hash_json, write_json
from bioelx_bench.options import did_you_mean, load_object, validate_options
from bioelx_bench.plugins import RegisteredSpec
from bioelx_bench.records import LabelledMention

if TYPE_CHECKING:
    from datasets import Dataset

CACHE_KIND: Final = "datasets"
BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSubset:
    """One subset of a benchmark, parsed and memory-mapped.

    Attributes:
        name: Name of the dataset.
        revision: Its revision, never None.
        subset: Language or corpus part.
        split: Split, never None.
        sha256: Hash of the mentions' content, whatever the layout of the files on disk.
        sources: sha256 of each upstream file that was read, by its upstream path.
        counts: Number of odd rows by kind; see `docs/datasets.md` for each dataset's kinds.
        documents: Number of documents, those without a mention included.
        dataset: The rows, in upstream order, with the columns of `bioelx_bench.datasets.schema`.
    """

    name: str
    revision: str
    subset: str
    split: str
    sha256: str
    sources: Mapping[str, str]
    counts: Mapping[str, int]
    documents: int
    dataset: Dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention, in upstream order; mentions of one document share it."""
        document = None
        for batch in self.dataset.data.to_batches(max_chunksize=BATCH):
            for row in batch.to_pylist():
                mention = mention_of(row, document)
                document = mention.document
                yield mention


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
        revision: One of its revisions; None is the default one.
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
    request = make_request(
        declared,
        revision=revision,
        subset=subset,
        split=split,
        data_root=data_root,
        environment=environment,
        options=options,
    )
    spec: DatasetSpec = declared.spec
    factory = load_object(spec.factory, f"the dataset {spec.name!r}")
    loader: BaseDataset = factory(request)
    key = cache_key(declared, request, loader, factory)
    label = f"{spec.name} {request.subset}"

    def build(folder: Path) -> None:
        write_table(factory(request), request, spec, folder, environment, label)

    folder = environment.cache.build(CACHE_KIND, key, build)
    try:
        return open_prepared(folder, spec, request)
    except DataError:  # damaged on disk: made again, once, from the same sources
        environment.cache.discard(CACHE_KIND, key)
        return open_prepared(environment.cache.build(CACHE_KIND, key, build), spec, request)


def make_request(
    declared: RegisteredSpec,
    *,
    revision: str | None,
    subset: str,
    split: str | None,
    data_root: Path | None,
    environment: Environment,
    options: Mapping[str, Any] | None = None,
) -> DatasetRequest:
    """Resolve defaults and check every name.

    Raises:
        UsageError: The revision, subset, split or an option is unknown.
    """
    spec: DatasetSpec = declared.spec
    model = load_object(spec.options, f"the options of the dataset {spec.name!r}")
    given = validate_options(model, dict(options or {}), f"the dataset {spec.name!r}", "-D")
    chosen = choose(spec, "revision", revision, spec.revisions)
    return DatasetRequest(
        revision=chosen,
        subset=subset if spec.open_subsets else choose(spec, "subset", subset, spec.subsets),
        split=choose(spec, "split", split, spec.splits_of(chosen)),
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
            where=f"--dataset {spec.name}@{wanted}" if what == "revision" else f"--{what} {wanted}",
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

    They are the module that holds the factory and all modules of this package. So a changed parser never
    meets a table that its former version made, and nobody needs to remember to raise a number.
    """
    files = set(Path(__file__).parent.glob("*.py"))
    if source := inspect.getsourcefile(inspect.unwrap(factory)):
        files.add(Path(source))
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def write_table(
    loader: BaseDataset,
    request: DatasetRequest,
    spec: DatasetSpec,
    folder: Path,
    environment: Environment,
    label: str,
) -> None:
    """Write `mentions.arrow` and, last, `meta.json`."""
    import pyarrow as pa

    schema = features().arrow_schema
    digest = hashlib.sha256()
    seen: set[str] = set()
    documents: set[str] = set()
    with (
        environment.progress.task(f"Reading {label}", unit="mentions") as task,
        pa.OSFile(str(folder / "mentions.arrow"), "wb") as file,
        pa.ipc.new_stream(file, schema) as writer,
    ):
        for batch in batched(loader.mentions(), BATCH):
            rows = []
            for mention in batch:
                check_mention(mention, seen, spec)
                documents.add(mention.document.id)
                rows.append(row_of(mention))
                digest.update(canonical_json(rows[-1]).encode() + b"\n")
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
            task.advance(len(rows))
    write_json(
        folder / "meta.json",
        {
            "sha256": digest.hexdigest(),
            "mentions": len(seen),
            "documents": len(documents) + loader.counts["documents_without_mention"],
            "sources": dict(loader.sources),
            "counts": {kind: number for kind, number in sorted(loader.counts.items()) if number},
            "revision": request.revision,
        },
    )


def batched(mentions: Iterable[LabelledMention], size: int) -> Iterator[list[LabelledMention]]:
    """The mentions in lists of `size`, the last one shorter."""
    pending = iter(mentions)
    while batch := list(islice(pending, size)):
        yield batch


def check_mention(mention: LabelledMention, seen: set[str], spec: DatasetSpec) -> None:
    """Refuse a loader's mention that would make figures wrong.

    Raises:
        DataError: An id comes twice, or a span does not lie in its document.
    """
    if mention.id in seen:
        raise DataError(
            f"the mention id {mention.id!r} comes twice",
            where=spec.name,
            why="a prediction could not be told from another",
        )
    seen.add(mention.id)
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
        counts=meta["counts"],
        documents=meta["documents"],
        dataset=dataset,
    )
