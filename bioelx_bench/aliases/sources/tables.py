"""`babelon`, `obo`, `table` and `wikidata-hub`: aliases from tables and ontologies."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bioelx_bench.aliases.crosswalk import Crosswalk, read_crosswalk
from bioelx_bench.aliases.records import LABEL, Alias
from bioelx_bench.aliases.sources.options import BabelonOptions, HubOptions, OboOptions, TableOptions
from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, MissingError, UsageError, at
from bioelx_bench.files import hash_file

SYNONYM: Final = "oboInOwl:hasExactSynonym"


class FileSource:
    """A source that reads local files from the start each time; nothing is kept for resuming."""

    def __init__(self, paths: Iterable[Path], read: Callable[[Counter[str]], Iterator[Alias]]) -> None:
        self.paths = list(paths)
        for path in self.paths:
            if not path.exists():
                raise MissingError(f"there is no file {path}", where=path)
        self.read = read
        self.tally: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        return dict(sorted(self.tally.items()))

    @property
    def files(self) -> dict[str, str]:
        """sha256 of each file."""
        return {p.name: hash_file(p) for p in self.paths if p.is_file()}

    def __iter__(self) -> Iterator[Alias]:
        """Every alias."""
        self.tally.clear()
        yield from self.read(self.tally)

    def close(self) -> None:
        """Nothing was kept."""


def split_paths(text: str) -> list[Path]:
    """Paths with commas between."""
    return [Path(part.strip()) for part in text.split(",") if part.strip()]


def make_babelon(options: BabelonOptions, _environment: Environment) -> FileSource:
    """The source `babelon`: the Human Phenotype Ontology's translations and tables like them.

    Raises:
        UsageError: Not exactly one of `ontology` and `crosswalk` is given.
    """
    if (options.ontology is None) == (options.crosswalk is None):
        raise UsageError(
            "babelon needs either an ontology or a crosswalk, to know the concept of each term",
            where="-O ontology, -O crosswalk",
            hint="-O ontology=hp.obo",
        )
    paths = split_paths(options.files)
    key = options.ontology or options.crosswalk
    assert key is not None  # noqa: S101 - just checked

    def read(tally: Counter[str]) -> Iterator[Alias]:
        walk = ontology_crosswalk(key) if options.ontology else read_crosswalk(key)
        for path in paths:
            yield from babelon_rows(path, options, walk, tally)

    return FileSource([*paths, key], read)


def ontology_crosswalk(path: Path) -> Crosswalk:
    """The UMLS cross-references of an OBO file, as the vocabulary `term`."""
    import fastobo

    crosswalk = Crosswalk()
    try:
        document = fastobo.load(str(path))
    except (SyntaxError, ValueError, OSError) as error:
        raise DataError("the ontology cannot be read", where=path, why=str(error)) from error
    for frame in document:
        for clause in frame:
            xref = getattr(clause, "xref", None)
            if xref is None or clause.raw_tag() != "xref":
                continue
            prefix, _, local = str(xref.id).partition(":")
            if prefix in {"UMLS", "UMLS_CUI"}:
                crosswalk.add("term", str(frame.id), local)
    return crosswalk


def babelon_rows(
    path: Path, options: BabelonOptions, crosswalk: Crosswalk, tally: Counter[str]
) -> Iterator[Alias]:
    """The names of a Babelon table, or of a synonym table of the same project.

    Raises:
        DataError: Its columns are not those of either.
    """
    languages = options.wanted()
    statuses = {s.strip().upper() for s in options.statuses.split(",") if s.strip()}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        columns = set(rows.fieldnames or ())
        if not {"subject_id", "translation_value"} <= columns:
            raise DataError(
                "the table has no columns subject_id and translation_value",
                where=at(path, 1),
                why=f"its columns are {', '.join(sorted(columns)) or 'none'}",
            )
        for row in rows:
            tally["rows"] += 1
            term = (row["subject_id"] or "").strip()
            if term == "ID":
                continue  # the ROBOT template line of synonym tables
            synonym = "translation_language" not in columns
            predicate = SYNONYM if synonym else (row.get("predicate_id") or "").strip()
            language = path.name.split(".")[0].split("-")[1] if synonym else row["translation_language"]
            status = (row.get("translation_status") or row.get("Status") or "").strip().upper()
            cuis = crosswalk.cuis("term", term)
            reason = (
                "not_a_name"
                if predicate not in {LABEL, SYNONYM}
                else "language"
                if languages and language not in languages
                else "status"
                if statuses and status not in statuses
                else "no_concept"
                if not cuis
                else ""
            )
            if reason:
                tally[f"skipped:{reason}"] += 1
                continue
            for cui in cuis:
                yield Alias(
                    cui=cui,
                    language=language,
                    text=row["translation_value"] or "",
                    source=options.source,
                    preferred=predicate == LABEL,
                    property=predicate,
                    joined_by=term.partition(":")[0],
                    item=term,
                )


def make_obo(options: OboOptions, _environment: Environment) -> FileSource:
    """The source `obo`: names of ontology terms with UMLS cross-references."""
    paths = split_paths(options.files)

    def read(tally: Counter[str]) -> Iterator[Alias]:
        from bioelx_bench.kb.obo import read_ontology

        for path in paths:
            scopes = [s.strip() for s in options.scopes.split(",") if s.strip()]
            ontology = read_ontology(path, scopes, options.source)
            tally.update(ontology.counts)
            for term in ontology.terms:
                names = [(term.name, True, LABEL), *((s, False, SYNONYM) for s in term.synonyms)]
                for cui in term.cuis:
                    for text, preferred, kind in names:
                        yield Alias(
                            cui=cui,
                            language=options.language,
                            text=text,
                            source=ontology.source,
                            preferred=preferred,
                            property=kind,
                            date=ontology.release or "",
                        )

    return FileSource(paths, read)


def make_table(options: TableOptions, _environment: Environment) -> FileSource:
    """The source `table`: rows of cui, lang and name."""
    languages = options.wanted()

    def read(tally: Counter[str]) -> Iterator[Alias]:
        for row in table_rows(options.file):
            tally["rows"] += 1
            if languages and row.get("lang") not in languages:
                tally["skipped:language"] += 1
                continue
            yield Alias(
                cui=str(row.get("cui") or ""),
                language=str(row.get("lang") or ""),
                text=str(row.get("name") or ""),
                source=str(row.get("source") or options.source),
                preferred=str(row.get("preferred") or "").lower() in {"1", "true", "t", "yes"},
            )

    return FileSource([options.file], read)


def table_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a TSV, CSV or Parquet file.

    Raises:
        DataError: A required column is missing.
        UsageError: The kind of file is unknown.
    """
    required = {"cui", "lang", "name"}
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as parquet:
            check_columns(path, set(parquet.schema_arrow.names), required)
            for batch in parquet.iter_batches():
                yield from batch.to_pylist()
        return
    if path.suffix not in {".tsv", ".csv"}:
        raise UsageError(
            f"the kind of table {path.name} is unknown", where=path, hint="name it .tsv, .csv or .parquet"
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows: csv.DictReader[str] = (
            csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if path.suffix == ".tsv"
            else csv.DictReader(file)
        )
        check_columns(path, set(rows.fieldnames or ()), required)
        yield from rows


def check_columns(path: Path, found: set[str], required: set[str]) -> None:
    """Refuse a table without the required columns."""
    if missing := sorted(required - found):
        raise DataError(
            f"the table has no column {missing[0]!r}",
            where=at(path, 1),
            why=f"it has {', '.join(sorted(found))}",
        )


def make_hub(options: HubOptions, environment: Environment) -> FileSource:
    """The source `wikidata-hub`: a table of labels or aliases on the Hub, streamed through `datasets`.

    Raises:
        MissingError: The data set is not local and connections are forbidden.
    """
    local = Path(options.dataset).exists()
    if environment.offline and not local:
        raise MissingError(
            f"the data set {options.dataset} is on the Hub, and --offline forbids connections",
            where="-O dataset",
        )
    paths = [p for p in (options.crosswalk,) if p is not None]

    def read(tally: Counter[str]) -> Iterator[Alias]:
        walk = read_crosswalk(options.crosswalk) if options.crosswalk else None
        for row in hub_rows(options, local):
            tally["rows"] += 1
            yield from hub_aliases(row, options, walk, tally)

    return FileSource(paths, read)


def hub_rows(options: HubOptions, local: bool) -> Iterator[Mapping[str, Any]]:
    """Rows of the data set, streamed.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    import datasets

    path = Path(options.dataset)
    try:
        if local and path.is_file():
            kind = {"tsv": "csv", "jsonl": "json"}.get(path.suffix.lstrip("."), path.suffix.lstrip("."))
            more = {"sep": "\t"} if path.suffix == ".tsv" else {}
            stream = datasets.load_dataset(kind, data_files=str(path), split="train", streaming=True, **more)
        else:
            stream = datasets.load_dataset(
                options.dataset,
                options.config,
                split=options.split,
                revision=options.revision,
                streaming=True,
            )
        for row in stream:
            for column in (options.item_column, options.language_column, options.name_column):
                if column not in row:
                    raise DataError(
                        f"the data set has no column {column!r}",
                        where=options.dataset,
                        why=f"it has {', '.join(row)}",
                        hint="-O item_column=..., -O language_column=..., -O name_column=...",
                    )
            yield row
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError("the data set cannot be read", where=options.dataset, why=str(error)) from error


def hub_aliases(
    row: Mapping[str, Any], options: HubOptions, walk: Crosswalk | None, tally: Counter[str]
) -> Iterator[Alias]:
    """The aliases of one row; a list in the name column gives one for each element."""
    languages = options.wanted()
    item, language = str(row[options.item_column]), str(row[options.language_column])
    if languages and language not in languages:
        tally["skipped:language"] += 1
        return
    cuis = (item,) if walk is None else walk.cuis("wikidata", item)
    if not cuis:
        tally["skipped:no_concept"] += 1
    names = row[options.name_column]
    for name in names if isinstance(names, list) else [names]:
        for cui in cuis:
            yield Alias(
                cui=cui,
                language=language,
                text=str(name or ""),
                source=f"Hub:{options.dataset}"[:80].replace("|", "-"),
                item="" if walk is None else item,
                property=options.name_column,
                joined_by="cui" if walk is None else "wikidata",
                date=options.revision or "",
            )
