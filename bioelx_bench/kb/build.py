"""The one writer of knowledge bases: every builder feeds rows to it, and it makes the folder.

Rows are staged in DuckDB, beyond memory where they must be; merged to one row for each (concept, language,
text), whose source is the `|`-joined list of all that give it and which is preferred if any source prefers
it; sorted; and written in the layout of `bioelx_bench.kb.store`. A folder appears whole or not at all.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from bioelx_bench.errors import UsageError
from bioelx_bench.files import explain_os_errors, sync_folder, write_text
from bioelx_bench.integrity import seal
from bioelx_bench.kb import schemas
from bioelx_bench.kb.manifest import KbManifest, SourceFile
from bioelx_bench.kb.staging import Staging
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.writer import write_layout
from bioelx_bench.progress import Progress
from bioelx_bench.schemes import UMLS, IdScheme

DEFAULT_MEMORY: Final = "1500MB"


@dataclass(slots=True, kw_only=True)
class Rows:
    """What a knowledge base is made of; each stream has the schema of that name in `bioelx_bench.kb.schemas`.

    Streams are read in the order semantic types, names, definitions, retired.

    Attributes:
        names: Names of concepts; a concept without one is not in the knowledge base.
        id_scheme: What the concept ids are of.
        definitions: Definitions.
        semantic_types: Semantic types.
        retired: Retired concepts with their successors.
        finish: Called when all is staged, to derive rows from staged ones.
        definition_order: Sources whose definitions come first, best first.
        counts: What the builder dropped or merged, by kind; read when all streams are exhausted.
    """

    names: Iterable[pa.RecordBatch]
    id_scheme: IdScheme = UMLS
    definitions: Iterable[pa.RecordBatch] = ()
    semantic_types: Iterable[pa.RecordBatch] = ()
    retired: Iterable[pa.RecordBatch] = ()
    finish: Callable[[Staging], None] | None = None
    definition_order: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def build_knowledge_base(
    folder: Path,
    name: str,
    rows: Rows | Callable[[], Rows],
    *,
    files: Sequence[SourceFile],
    filters: Mapping[str, Any],
    software: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    memory: str = DEFAULT_MEMORY,
) -> KnowledgeBase:
    """Build a knowledge base in a new folder, atomically.

    Args:
        folder: The output. If it already holds what the same name, files and filters gave, it is kept.
        name: Under which runs record it.
        rows: The rows, or a function that gives them, called only if something is to be built.
        files: The source files, with sha256.
        filters: The options that the rows depend on (JSON values).
        software: Versions of libraries that read the sources, beside those recorded always.
        progress: Shows progress.
        memory: DuckDB's memory limit; what does not fit goes to a temporary folder beside the output.

    Raises:
        UsageError: The output exists and is something else, or is being built by another process.
        DataError: The rows are empty or break a rule.
        BenchError: The disk is full. Nothing is left behind.
    """
    if (existing := same_output(folder, name, files, filters)) is not None:
        return existing
    with new_folder(folder) as partial:
        target = partial / "kb"
        target.mkdir()
        given = rows() if callable(rows) else rows
        fill(target, partial / "staging", name, given, files, filters, software, progress, memory)
        if folder.is_dir():
            folder.rmdir()
        seal(target)
        target.replace(folder)
        sync_folder(folder.parent)
    return KnowledgeBase.open(folder)


def fill_folder(
    folder: Path,
    name: str,
    rows: Rows,
    *,
    files: Sequence[SourceFile],
    filters: Mapping[str, Any],
    software: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    memory: str = DEFAULT_MEMORY,
) -> None:
    """Build into a folder that the caller makes visible when it is done, such as `Cache.build`'s.

    What an interrupted call left in it is removed. Arguments and errors as for `build_knowledge_base`.
    """
    with explain_os_errors(folder):
        clear(folder)
        try:
            fill(folder, folder / "staging", name, rows, files, filters, software, progress, memory)
        except BaseException:
            clear(folder)
            raise


def clear(folder: Path) -> None:
    """Remove what is in a folder."""
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def fill(
    target: Path,
    staging_folder: Path,
    name: str,
    rows: Rows,
    files: Sequence[SourceFile],
    filters: Mapping[str, Any],
    software: Mapping[str, str] | None,
    progress: Progress | None,
    memory: str,
) -> None:
    """Stage the rows, write the layout into `target`, the manifest last, and remove the staging folder."""
    bars = progress or Progress(enabled=False)
    with explain_os_errors(target):
        staging_folder.mkdir()
        try:
            with Staging(staging_folder, memory, scheme=rows.id_scheme) as staging:
                with bars.task(f"Reading {name}", unit="names") as task:
                    staging.add("semantic_types", rows.semantic_types)
                    staging.add("names", advancing(rows.names, task.advance))
                    staging.add("definitions", rows.definitions)
                    staging.add("retired", rows.retired)
                    if rows.finish is not None:
                        rows.finish(staging)
                with bars.task(f"Writing {name}", unit="names") as task:
                    written = write_layout(staging, target, rows.definition_order, task)
        finally:
            shutil.rmtree(staging_folder, ignore_errors=True)
        manifest = KbManifest(
            name=name,
            id_scheme=rows.id_scheme.name,
            sha256=written.sha256,
            concepts=written.concepts,
            names=written.names,
            definitions=written.definitions,
            languages=written.languages,
            sources=written.sources,
            files=list(files),
            filters=dict(filters),
            definition_order=list(rows.definition_order),
            counts={**rows.counts, **written.counts},
            software={**software_versions(), **(software or {})},
        )
        write_text(target / "manifest.json", manifest.model_dump_json(indent=2) + "\n")


def advancing(
    batches: Iterable[pa.RecordBatch], advance: Callable[[float], None]
) -> Iterator[pa.RecordBatch]:
    """The same batches, telling `advance` how many rows go by."""
    for batch in batches:
        advance(batch.num_rows)
        yield batch


def software_versions() -> dict[str, str]:
    """Versions of what makes a knowledge base."""
    import duckdb

    from bioelx_bench.plugins import installed_version

    return {
        "bioelx-bench": installed_version("bioelx-bench"),
        "python": platform.python_version(),
        "duckdb": str(duckdb.__version__),
        "pyarrow": str(pa.__version__),
    }


def same_output(
    folder: Path, name: str, files: Sequence[SourceFile], filters: Mapping[str, Any]
) -> KnowledgeBase | None:
    """The knowledge base in `folder` if it is the one that would be built; None if the folder is free.

    Raises:
        UsageError: The folder holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if (folder / "manifest.json").is_file():
        existing = KnowledgeBase.open(folder)
        found = existing.manifest
        same_files = [f.sha256 for f in found.files] == [f.sha256 for f in files]
        if found.name == name and same_files and found.filters == dict(filters):
            return existing
        why = f"it holds the knowledge base {found.name!r}, built from other files or with other options"
    else:
        why = "it holds something else"
    raise UsageError(
        f"the output folder {folder} exists",
        where=f"--output {folder}",
        why=why,
        hint="choose another folder, or remove that one",
    )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A working folder beside `folder`, on the same disk, which is removed at the end whatever happens.

    What a killed process left in it is cleared first.

    Raises:
        UsageError: Another process is using it.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with explain_os_errors(folder):
        partial.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UsageError(
                f"another process is building {folder}", where=partial, hint="wait for it to finish"
            ) from error
        try:
            for left in partial.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
            yield partial
        finally:
            lock.release()
            shutil.rmtree(partial, ignore_errors=True)


def add_names(
    kb: KnowledgeBase,
    folder: Path,
    name: str,
    rows: Iterable[pa.RecordBatch],
    filters: Mapping[str, Any],
    files: Sequence[SourceFile],
    *,
    only_known: bool = True,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Make a new knowledge base folder from an existing one and more names.

    Args:
        kb: The existing knowledge base; it stays as it is.
        folder: The output, as for `build_knowledge_base`.
        name: The new name.
        rows: Names to add, in the schema `bioelx_bench.kb.schemas.NAMES`.
        filters: How the added names were chosen; recorded with the sha256 of `kb`.
        files: Where the added names come from.
        only_known: Leave out names of concepts that `kb` lacks (counted as `added:dropped_unknown_concept`);
            otherwise they become new concepts.
        progress: Shows progress.

    Raises:
        BenchError: As for `build_knowledge_base`.
    """
    return build_knowledge_base(
        folder,
        name,
        lambda: added_rows(kb, rows, only_known=only_known),
        files=[*kb.manifest.files, *files],
        filters={
            **filters,
            "only_known": only_known,
            "base": {"name": kb.name, "sha256": kb.sha256},
        },
        progress=progress,
    )


def added_rows(kb: KnowledgeBase, names: Iterable[pa.RecordBatch], *, only_known: bool) -> Rows:
    """What a knowledge base is made of, and more names; `only_known` as for `add_names`."""
    counts: dict[str, int] = {"added:rows": 0, "added:dropped_unknown_concept": 0}
    return Rows(
        id_scheme=kb.scheme,
        names=chain(names_of(kb), added_names(kb, names, only_known, counts)),
        definitions=definitions_of(kb),
        semantic_types=semantic_types_of(kb),
        retired=kb.retired.to_batches() if kb.retired is not None else (),
        definition_order=kb.manifest.definition_order,
        counts=counts,
    )


def chain(*streams: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One stream after the other."""
    for stream in streams:
        yield from stream


def added_names(
    kb: KnowledgeBase, rows: Iterable[pa.RecordBatch], only_known: bool, counts: dict[str, int]
) -> Iterator[pa.RecordBatch]:
    """The rows to add, without those of unknown concepts if so asked."""
    known = kb.concepts.column("id").combine_chunks()
    for batch in rows:
        counts["added:rows"] += batch.num_rows
        if only_known:
            kept = batch.filter(pc.is_in(batch.column("cui"), value_set=known))
            counts["added:dropped_unknown_concept"] += batch.num_rows - kept.num_rows
            yield kept
        else:
            yield batch


def names_of(kb: KnowledgeBase) -> Iterator[pa.RecordBatch]:
    """A knowledge base's names as rows; a name of several sources gives a row for each."""
    ids = kb.concepts.column("id").combine_chunks()
    languages, labels = pa.array(kb.languages), pa.array(kb.sources)
    start = 0
    for batch in kb.name_batches(("text", "language", "source", "preferred")):
        concepts = pa.array(kb.name_concepts[start : start + batch.num_rows])
        start += batch.num_rows
        members = pc.split_pattern(pc.take(labels, batch.column("source")), "|")
        parents = pc.list_parent_indices(members)
        yield pa.record_batch(
            [
                pc.take(pc.take(ids, concepts), parents),
                pc.take(pc.take(languages, batch.column("language")), parents),
                pc.take(batch.column("text"), parents),
                pc.list_flatten(members),
                pc.take(batch.column("preferred"), parents),
            ],
            schema=schemas.NAMES,
        )


def definitions_of(kb: KnowledgeBase) -> Iterator[pa.RecordBatch]:
    """A knowledge base's definitions as rows."""
    ids = kb.concepts.column("id").combine_chunks()
    for batch in kb.definitions.to_batches():
        cuis = pc.take(ids, batch.column("concept"))
        columns = [cuis, batch.column("text"), batch.column("source")]
        yield pa.record_batch(columns, schema=schemas.DEFINITIONS)


def semantic_types_of(kb: KnowledgeBase) -> Iterator[pa.RecordBatch]:
    """A knowledge base's semantic types as rows."""
    for batch in kb.concepts.to_batches():
        types = batch.column("semantic_types")
        cuis = pc.take(batch.column("id"), pc.list_parent_indices(types))
        yield pa.record_batch([cuis, pc.list_flatten(types)], schema=schemas.SEMANTIC_TYPES)
