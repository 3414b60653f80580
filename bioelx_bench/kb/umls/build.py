"""Building a knowledge base from a UMLS release."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from bioelx_bench.files import explain_os_errors
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.umls.presets import UmlsFilter
from bioelx_bench.kb.umls.release import open_release
from bioelx_bench.kb.umls.rows import UmlsRows
from bioelx_bench.progress import Progress

MEMORY: Final = "4GB"
STRICT: Final = ("languages", "sources")


def build_from_umls(
    release: Path,
    name: str,
    folder: Path,
    chosen: UmlsFilter,
    *,
    preset: str | None = None,
    strict: Collection[str] = STRICT,
    expected_sha256: str | None = None,
    subset: bool = False,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base from a release of the UMLS Metathesaurus.

    Args:
        release: The release's folder, or its zip as downloaded.
        name: The knowledge base's name.
        folder: The output.
        chosen: What to take.
        preset: The preset that `chosen` is made from, for the record.
        strict: Options (`languages`, `sources`) in which something that the release lacks is an error. What a
            preset names is counted instead, since sources come and go between releases.
        expected_sha256: The zip's known hash.
        subset: The files are a subset that still lies beside the MRFILES of the whole, which is not asked.
        progress: Shows progress.

    Raises:
        MissingError: The release, or a file of it, is not there.
        UsageError: The release has nothing of a chosen language, source or type; or the output exists.
        DataError: A file is broken (says line), damaged or unsafe.
        BenchError: The disk is full.
    """
    bars = progress or Progress(enabled=False)
    with explain_os_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch,
            open_release(release, Path(scratch), needed(chosen, subset), expected_sha256, bars) as opened,
            bars.task("Reading the release", unit="rows") as task,
        ):
            required = ["MRCONSO"] + ["MRSTY"] * bool(chosen.semantic_types) + ["MRREL"] * chosen.trade_names
            for file in required:
                opened.require(file)
            rows = UmlsRows(opened, chosen, strict=strict, advance=task.advance)
            options = chosen.model_dump(mode="json")
            return build_knowledge_base(
                folder,
                name,
                all_rows(rows),
                files=opened.sources,
                filters={
                    "builder": "umls",
                    "release": opened.name,
                    "preset": preset,
                    **({"subset": True} if subset else {}),
                    **options,
                },
                progress=progress,
                memory=MEMORY,
            )


def needed(chosen: UmlsFilter, subset: bool) -> list[str]:
    """The files that a filter reads; a subset's rows are not those that MRFILES counts."""
    files = ["MRCONSO", "MRSTY", "MRCUI"] + ["MRFILES"] * (not subset)
    return files + ["MRDEF"] * chosen.definitions + ["MRREL"] * chosen.trade_names


def all_rows(rows: UmlsRows) -> Rows:
    """A release's rows, as the one writer takes them."""
    return Rows(
        semantic_types=rows.semantic_types(),
        names=rows.names(),
        definitions=rows.definitions(),
        retired=rows.retired(),
        finish=rows.add_trade_names,
        definition_order=rows.definition_order,
        counts=rows.counts,
    )
