"""Turning a declared benchmark into a memory-mapped table that is made once and shared by all runs.

A prepared subset lies in the cache under a key of everything it depends on: the hashes of the upstream files,
the code that parses them, and what was asked for. Opening it again parses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bioelx_bench import schemes
from bioelx_bench.base import BaseDataset, DatasetRequest, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.datasets.samples import find_revision
from bioelx_bench.datasets.writing import write_sample, write_table
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.files import hash_json
from bioelx_bench.options import did_you_mean, load_object, validate_options
from bioelx_bench.plugins import RegisteredSpec
from bioelx_bench.records import Document, LabelledMention, Span
from bioelx_bench.runs.foreign import Origin, broken_contract, calling

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
    origin = Origin("dataset", spec.name, declared.qualified_name, factory)
    loader = CheckedDataset(origin, factory, request)
    key = cache_key(declared, request, loader, factory)
    label = f"{spec.name} {request.subset}"

    def parse(folder: Path) -> None:
        write_table(CheckedDataset(origin, factory, request), spec, folder, environment, label)

    whole = built(environment.cache, key, parse, spec, request)
    if chosen.sample is None:
        return whole
    sample, quota = chosen.sample, chosen.sample.quota(spec)

    def draw(folder: Path) -> None:
        write_sample(whole, sample.draw(whole.table(("id",)).column("id").to_pylist(), quota), folder)

    drawn = hash_json([key, quota, sample.seed])[:40]
    return built(environment.cache, drawn, draw, spec, replace(request, revision=chosen.name))


class CheckedDataset(BaseDataset):
    """A dataset whose code and mentions are checked as they come.

    Args:
        origin: Whose code it is.
        factory: Makes the dataset.
        request: What is asked of it.

    Raises:
        BenchError: The code raised, or what it made is no dataset; files that cannot be read pass as they are.
    """

    def __init__(
        self, origin: Origin, factory: Callable[[DatasetRequest], Any], request: DatasetRequest
    ) -> None:
        self._origin = origin
        with calling_reader(origin, "making it"):
            dataset = factory(request)
        if not isinstance(dataset, BaseDataset):
            raise broken_contract(origin, "factory", f"made a {type(dataset).__name__}, no BaseDataset")
        if not isinstance(getattr(dataset, "sources", None), Mapping) or not isinstance(
            getattr(dataset, "counts", None), Counter
        ):
            raise broken_contract(origin, "__init__", "does not call BaseDataset.__init__")
        self._dataset = dataset
        self.sources = dict(dataset.sources)
        self.counts = dataset.counts
        self.id_scheme = dataset.id_scheme
        self.needs_match = dataset.needs_match

    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention, checked."""
        with calling_reader(self._origin, "mentions"):
            for number, mention in enumerate(self._dataset.mentions()):
                if (what := wrong_with(mention)) is not None:
                    raise broken_contract(self._origin, "mentions", f"gave {what} as mention {number}")
                yield mention

    def place(self, identifier: str) -> str | None:
        """As the dataset says."""
        with calling_reader(self._origin, "place"):
            return self._dataset.place(identifier)


@contextlib.contextmanager
def calling_reader(origin: Origin, stage: str) -> Iterator[None]:
    """Run a dataset's code; what files and disks raise passes as it is."""
    try:
        yield
    except (OSError, UnicodeError, GeneratorExit):
        raise
    except BaseException:
        with calling(origin, stage):
            raise


def wrong_with(mention: object) -> str | None:
    """What of a mention is not of its type; None if all is."""
    if not isinstance(mention, LabelledMention):
        return f"a {type(mention).__name__}, no LabelledMention,"
    document = mention.document
    if not isinstance(document, Document):
        return "no document"
    texts = (mention.id, mention.text, mention.language, document.id, document.text, document.language)
    if not all(isinstance(text, str) for text in texts):
        return "a text that is no str"
    if not isinstance(mention.gold, tuple | list) or not all(isinstance(i, str) for i in mention.gold):
        return "gold that is no tuple of ids"
    if not all(isinstance(span, Span) for span in mention.spans):
        return "a span that is no Span"
    return None


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

    They are the module that holds the factory, all modules of this package, and that of the id schemes. So a changed
    parser never meets a table that its former version made, and nobody needs to remember to raise a number.
    """
    files = {*Path(__file__).parent.glob("*.py"), Path(schemes.__file__)}
    if source := inspect.getsourcefile(inspect.unwrap(factory)):
        files.add(Path(source))
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def open_prepared(folder: Path, spec: DatasetSpec, request: DatasetRequest) -> PreparedSubset:
    """Map a finished folder into memory.

    Raises:
        DataError: It is damaged.
    """
    import pyarrow as pa

    path = folder / "mentions.arrow"
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
        if table.num_rows != meta["mentions"]:
            raise ValueError(f"{table.num_rows} rows in place of {meta['mentions']}")
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(
            "the prepared dataset is damaged", where=at(path), why=str(error), hint=f"remove {folder}"
        ) from error
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
        rows=table,
        path=path,
        about={"description": spec.summary, "homepage": spec.homepage, "license": spec.licence},
    )
