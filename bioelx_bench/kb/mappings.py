"""Adding SSSOM mappings to the crosswalk of a knowledge base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bioelx_bench.errors import DataError
from bioelx_bench.files import atomic_path
from bioelx_bench.integrity import seal
from bioelx_bench.io.tables import open_table
from bioelx_bench.kb.crosswalk import FILE, SCHEMA
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.schemes import SCHEMES, IdScheme

EXACT: Final = frozenset(
    {"skos:exactmatch", "owl:equivalentclass", "owl:sameas", "semapv:crossspeciesexactmatch", ""}
)
"""SSSOM predicates, in lower case, by which two ids mean the same concept."""

HINT: Final = "give SSSOM TSV files (subject_id, predicate_id, object_id) between the two schemes"


@dataclass(frozen=True, slots=True)
class Mapped:
    """What `add_crosswalk` did.

    Attributes:
        counts: `rows`, `rows:inexact` (predicates that do not say that two ids mean the same),
            `rows:other_schemes`, `mapped` (ids with a concept), `ambiguous` (of these, ids with several), `unmapped`
            (ids whose concepts the knowledge base lacks).
        by_scheme: Mapped ids by scheme.
    """

    counts: dict[str, int]
    by_scheme: dict[str, int]


def add_crosswalk(kb: KnowledgeBase, files: Iterable[Path], *, inexact: bool = False) -> Mapped:
    """Add mappings to the crosswalk in a knowledge base's folder; the names and the hash of its content stay.

    Args:
        kb: The knowledge base.
        files: Tables with the columns `subject_id` and `object_id`, and in SSSOM `predicate_id`; ids are CURIEs.
        inexact: Also take broader, narrower and close matches.

    Raises:
        MissingError: A file is not there.
        DataError: A file is no such table, or none of its rows maps an id to this knowledge base's scheme.
        BenchError: The folder cannot be written.
    """
    counts: Counter[str] = Counter()
    pairs: dict[tuple[str, str], set[str]] = {}
    listed = list(files)
    for file in listed:
        for subject, other in sssom_pairs(file, inexact, counts):
            for ours, theirs in ((subject, other), (other, subject)):
                concept_id = kb.scheme.canonical(ours)
                found = foreign(theirs, kb.scheme)
                if concept_id is not None and found is not None and prefix_fits(ours, kb.scheme):
                    pairs.setdefault(found, set()).add(concept_id)
                    break
            else:
                counts["rows:other_schemes"] += 1
    known = {key: {current for c in found for current in kb.resolve_gold(c)} for key, found in pairs.items()}
    if not any(known.values()):
        raise DataError(
            f"no row maps an id to a concept of {kb.name!r}",
            where=", ".join(map(str, listed)),
            why=f"its ids are of the scheme {kb.id_scheme}; "
            + ", ".join(f"{key}: {n:,}" for key, n in sorted(counts.items())),
            hint=HINT,
        )
    counts["mapped"] = sum(bool(found) for found in known.values())
    counts["ambiguous"] = sum(len(found) > 1 for found in known.values())
    counts["unmapped"] = len(known) - counts["mapped"]
    rows = {(*key, concept_id) for key, found in known.items() for concept_id in found}
    if kb.crosswalk is not None:
        rows |= set(kb.crosswalk.rows())
    write(kb.folder, rows)
    return Mapped(dict(counts), dict(Counter(scheme for (scheme, _), found in known.items() if found)))


def write(folder: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write the table, and seal the folder again."""
    columns = [pa.array(column, pa.string()) for column in zip(*sorted(rows), strict=True)]
    with atomic_path(folder / FILE) as temporary, pa.ipc.new_file(str(temporary), SCHEMA) as writer:
        writer.write_table(pa.table(columns, schema=SCHEMA))
    seal(folder)


def sssom_pairs(file: Path, inexact: bool, counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Pairs of ids that a file says mean the same.

    Raises:
        DataError: It lacks a column.
    """
    table = open_table(file, comment="#")
    for number, row in table.rows():
        counts["rows"] += 1
        if missing := [column for column in ("subject_id", "object_id") if column not in row]:
            raise DataError(
                f"the table has no column {missing[0]!r}",
                where=table.place(number),
                why=f"its columns are {', '.join(row)}",
                hint=HINT,
            )
        negated = text(row, "predicate_modifier").lower() == "not"
        if negated or (text(row, "predicate_id").lower() not in EXACT and not inexact):
            counts["rows:inexact"] += 1
            continue
        yield text(row, "subject_id"), text(row, "object_id")


def text(row: dict[str, Any], column: str) -> str:
    """A cell as text."""
    return str(row.get(column) or "").strip()


def prefix_fits(curie: str, scheme: IdScheme) -> bool:
    """Whether an id with a prefix has one of the scheme's; without one nothing speaks against it."""
    prefix, colon, _ = curie.partition(":")
    return not colon or scheme.matches(curie) or prefix.lower() in (*scheme.prefixes, "http", "https")


def foreign(curie: str, own: IdScheme) -> tuple[str, str] | None:
    """Scheme and canonical id of a CURIE of a known scheme that is not the knowledge base's own."""
    prefix, colon, _ = curie.partition(":")
    for scheme in SCHEMES.values():
        if colon and scheme.name != own.name and prefix.lower() in scheme.prefixes:
            found = scheme.canonical(curie)
            return None if found is None else (scheme.name, found)
    return None
