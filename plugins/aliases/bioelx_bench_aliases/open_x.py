"""The knowledge base `open-x`: `open` and the names in ten languages that are shipped with this plugin."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioelx_bench.base import Environment
from bioelx_bench.files import hash_file
from bioelx_bench.kb.build import added_rows, fill_folder
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.table import read_table

NAME: Final = "open-x"
BASE: Final = "core/open"
TABLES: Final = {
    "permissive.tsv.xz": "CC BY 3.0, CC BY 4.0, CC0 and other licences without share-alike",
    "share_alike.tsv.xz": "CC BY-SA 3.0",
}
"""Each table of names and its licence; `open_names/ATTRIBUTION.md` has the licence of every source."""


def build(folder: Path, environment: Environment) -> None:
    """Build `open-x` into an empty folder (see `bioelx_bench.base.KnowledgeBaseBuilder`).

    Names of concepts that `open` lacks are left out and counted.

    Raises:
        BenchError: `open` cannot be built, or the disk is full.
    """
    base = open_knowledge_base(BASE, environment)
    with as_file(files("bioelx_bench_aliases") / "open_names") as resources:
        described = [
            SourceFile(path=f"open_names/{name}", sha256=hash_file(resources / name), licence=licence)
            for name, licence in TABLES.items()
        ]

        def names() -> Iterator[pa.RecordBatch]:
            for name in TABLES:
                yield from read_table(resources / name, NAME)

        fill_folder(
            folder,
            NAME,
            added_rows(base, names(), only_known=True),
            files=[*base.manifest.files, *described],
            filters={"builder": NAME, "base": {"name": base.name, "sha256": base.sha256}},
            progress=environment.progress,
        )
