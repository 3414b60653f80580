"""The built-in knowledge bases: `open`, the shipped table and HPO; `open-doid`, small.

HPO's licence wants its files unaltered: its release is shipped as it is, packed, and read when the knowledge base is
first built on a machine.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.base import Environment
from bioelx_bench.io.archives import open_bytes
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, fill_folder
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.obo import definition_rows, name_rows, read_ontology
from bioelx_bench.kb.table import read_table

NAMES_FILE: Final = "names.tsv.xz"
DEFINITIONS_FILE: Final = "definitions.tsv.xz"
SOURCES_FILE: Final = "sources.json"

NAME: Final = "open"
DOID_NAME: Final = "open-doid"
DOID: Final = "DOID"
HPO_FILE: Final = "hp.obo.xz"
HPO_SHA256: Final = "6b77de067eecc838319ce7650ed5bab0f92a502eabb160e6bc7c0238bc1548c5"
HPO_SCOPES: Final = ("exact",)
DEFINITION_ORDER: Final = ("HPO", "DOID")


def build_open(folder: Path, environment: Environment) -> None:
    """Build `open` into an empty folder (see `bioelx_bench.base.KnowledgeBaseBuilder`).

    Raises:
        DataError: A shipped file is damaged.
        BenchError: The disk is full.
    """
    with as_file(files("bioelx_bench") / "resources" / "open_kb") as resources:
        described = json.loads((resources / SOURCES_FILE).read_text(encoding="utf-8"))
        with environment.progress.task("Reading HPO", unit="terms") as task:
            hpo = read_ontology(resources / HPO_FILE, HPO_SCOPES, source="HPO")
            task.advance(len(hpo.terms))
        rows = Rows(
            names=(
                b
                for stream in (read_table(resources / NAMES_FILE, NAME), name_rows(hpo, "en"))
                for b in stream
            ),
            definitions=(
                b
                for stream in (read_definitions(resources / DEFINITIONS_FILE), definition_rows(hpo))
                for b in stream
            ),
            definition_order=DEFINITION_ORDER,
            counts={**described["counts"], **{f"HPO:{k}": v for k, v in hpo.counts.items()}},
        )
        hpo_described = SourceFile(
            path="hp.obo", sha256=HPO_SHA256, release=hpo.release, licence="HPO licence"
        )
        fill_folder(
            folder,
            NAME,
            rows,
            files=[*(SourceFile(**f) for f in described["files"]), hpo_described],
            filters={"builder": NAME, "hpo_synonyms": list(HPO_SCOPES)},
            software={},
            progress=environment.progress,
        )


def build_doid(folder: Path, environment: Environment) -> None:
    """Build `open-doid`, the Disease Ontology's part of the shipped table, into an empty folder.

    A dense retriever encodes its names in about a minute on two cores, where `open` takes seven times as long.

    Raises:
        BenchError: The disk is full.
    """
    with as_file(files("bioelx_bench") / "resources" / "open_kb") as resources:
        described = json.loads((resources / SOURCES_FILE).read_text(encoding="utf-8"))
        rows = Rows(
            names=of_source(read_table(resources / NAMES_FILE, DOID_NAME), DOID),
            definitions=of_source(read_definitions(resources / DEFINITIONS_FILE), DOID),
            definition_order=(DOID,),
            counts={key: n for key, n in described["counts"].items() if key.startswith(f"{DOID}:")},
        )
        fill_folder(
            folder,
            DOID_NAME,
            rows,
            files=[SourceFile(**f) for f in described["files"] if "doid" in f["path"].lower()],
            filters={"builder": DOID_NAME, "source": DOID},
            software={},
            progress=environment.progress,
        )


def of_source(batches: Iterable[pa.RecordBatch], source: str) -> Iterator[pa.RecordBatch]:
    """The rows of one source."""
    for batch in batches:
        yield batch.filter(pc.equal(batch.column("source"), source))


def read_definitions(file: Path) -> Iterator[pa.RecordBatch]:
    """The shipped definitions as rows."""
    with open_bytes(file) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = [pa.array([row[name] for row in rows], pa.string()) for name in schemas.DEFINITIONS.names]
    yield pa.record_batch(columns, schema=schemas.DEFINITIONS)
