"""Choosing the rows of a UMLS release that go into a knowledge base, and counting those that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.kb import schemas
from bioelx_bench.kb.staging import Staging
from bioelx_bench.kb.umls import rrf
from bioelx_bench.kb.umls.presets import LANGUAGES, TREE_NUMBERS, UmlsFilter
from bioelx_bench.kb.umls.release import Release
from bioelx_bench.options import did_you_mean

CUI_NUMBERS: Final = 10_000_000
TRADE_NAME_RELATIONS: Final = ("has_tradename", "tradename_of")
DEFINITION_SOURCES: Final = ("MSH", "NCI", "HPO", "SNOMEDCT_US")
"""English sources whose definitions come first, since they are short and say what a thing is."""

Advance = Callable[[float], None]


class UmlsRows:
    """Streams of rows from one release under one filter.

    The streams must be read in this order: `semantic_types`, `names`, `definitions`, `retired`.

    Args:
        release: The release.
        chosen: What to take.
        strict: Options in which something that the release lacks is an error; elsewhere it is counted.
        advance: Is told how many RRF rows were read.
    """

    def __init__(
        self, release: Release, chosen: UmlsFilter, strict: Collection[str], advance: Advance
    ) -> None:
        self.release = release
        self.chosen = chosen
        self.strict = strict
        self.advance = advance
        self.counts: Counter[str] = Counter()
        self.definition_order: list[str] = []
        self._typed: npt.NDArray[np.bool_] | None = None
        self._seen: set[tuple[str, str]] = set()
        self._iso: dict[str, str] = dict(LANGUAGES)

    def semantic_types(self) -> Iterator[pa.RecordBatch]:
        """Semantic types of concepts, and, inside, which concepts the type filter keeps."""
        wanted = self.chosen.semantic_types
        if not self.release.has("MRSTY"):
            self.counts["not_in_release:MRSTY"] = 1
            return
        typed = np.zeros(CUI_NUMBERS, np.bool_)
        trees: dict[str, str] = {t: n for t, n in TREE_NUMBERS.items() if f"{t}+" in wanted}
        batches = list(self._read("MRSTY", rrf.MRSTY, ("CUI", "TUI", "STN")))
        for batch in batches:
            self.counts["MRSTY:rows"] += batch.num_rows
            trees |= pairs(batch, "TUI", "STN")
        accepted = pa.array([tui for tui in trees if accepts(tui, trees, wanted)], pa.string())
        if wanted:
            check_types(wanted, trees)
        for batch in batches:
            kept = batch.filter(pc.is_in(batch.column("TUI"), value_set=accepted)) if wanted else batch
            typed[cui_numbers(kept.column("CUI"))] = True
        if wanted:
            self._typed = typed
        for batch in batches:
            yield pa.record_batch([batch.column("CUI"), batch.column("TUI")], schema=schemas.SEMANTIC_TYPES)

    def names(self) -> Iterator[pa.RecordBatch]:
        """Names, from MRCONSO."""
        columns = ("CUI", "LAT", "TS", "STT", "ISPREF", "SAB", "STR", "SUPPRESS")
        for batch in self._read("MRCONSO", rrf.MRCONSO, columns):
            self.counts["MRCONSO:rows"] += batch.num_rows
            self._seen |= set(pairs_of(batch, "LAT", "SAB"))
            kept = self._select(batch)
            if kept.num_rows:
                yield self._as_names(kept)
        self._check_found()
        english = {source for language, source in self._seen if language == "ENG"}
        self.definition_order += [s for s in DEFINITION_SOURCES if s in english]
        self.definition_order += sorted(english - set(DEFINITION_SOURCES))

    def _select(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that the filter keeps; the others are counted under the first reason that applies."""
        chosen = self.chosen
        flags = pa.array(["N", *chosen.suppressible])
        batch = self._keep(batch, "suppressible", pc.is_in(batch.column("SUPPRESS"), value_set=flags))
        if chosen.languages:
            lats = pa.array([lat for lat, iso in LANGUAGES.items() if iso in chosen.languages], pa.string())
            batch = self._keep(batch, "language", pc.is_in(batch.column("LAT"), value_set=lats))
        if chosen.sources:
            sources = pa.array(chosen.sources)
            batch = self._keep(batch, "source", pc.is_in(batch.column("SAB"), value_set=sources))
        if self._typed is not None and batch.num_rows:
            typed = pa.array(self._typed[cui_numbers(batch.column("CUI"))])
            batch = self._keep(batch, "semantic_type", typed)
        usable = pc.match_substring_regex(batch.column("STR"), schemas.NAME_PATTERN)
        return self._keep(batch, "unusable_name", usable)

    def _keep(self, batch: pa.RecordBatch, reason: str, mask: Any) -> pa.RecordBatch:
        kept = batch.filter(mask)
        if dropped := batch.num_rows - kept.num_rows:
            self.counts[f"dropped:{reason}"] += dropped
        return kept

    def _as_names(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lats = pc.dictionary_encode(batch.column("LAT"))
        for lat in lats.dictionary.to_pylist():
            if lat not in self._iso:
                self._iso[lat] = lat.lower()
                self.counts[f"language_without_iso_code:{lat}"] += 1
        iso = pa.array([self._iso[lat] for lat in lats.dictionary.to_pylist()], pa.string())
        preferred = pc.and_(
            pc.and_(pc.equal(batch.column("TS"), "P"), pc.equal(batch.column("STT"), "PF")),
            pc.equal(batch.column("ISPREF"), "Y"),
        )
        columns = [
            batch.column("CUI"),
            pc.take(iso, lats.indices),
            batch.column("STR"),
            batch.column("SAB"),
            preferred,
        ]
        return pa.record_batch(columns, schema=schemas.NAMES)

    def _check_found(self) -> None:
        """Say which of the chosen languages and sources the release lacks."""
        languages = {self._iso.get(language, language.lower()) for language, _ in self._seen}
        sources = {source for _, source in self._seen}
        for option, chosen, found in (
            ("languages", self.chosen.languages, languages),
            ("sources", self.chosen.sources, sources),
        ):
            for item in chosen:
                if item in found:
                    continue
                if option in self.strict:
                    raise UsageError(
                        f"the release has no name of {item!r}{did_you_mean(item, sorted(found))}",
                        where=f"--{option}",
                        hint=f"leave it out; found: {', '.join(sorted(found))}",
                    )
                self.counts[f"not_in_release:{option}:{item}"] += 1

    def definitions(self) -> Iterator[pa.RecordBatch]:
        """Definitions of the chosen languages' sources, from MRDEF."""
        if not self.chosen.definitions or not self.release.has("MRDEF"):
            return
        languages = set(self.chosen.languages)
        sources = {
            s for lat, s in self._seen if not languages or self._iso.get(lat, lat.lower()) in languages
        }
        allowed, flags = pa.array(sorted(sources), pa.string()), pa.array(["N", *self.chosen.suppressible])
        for batch in self._read("MRDEF", rrf.MRDEF, ("CUI", "DEF", "SAB", "SUPPRESS")):
            self.counts["MRDEF:rows"] += batch.num_rows
            mask = pc.and_(
                pc.is_in(batch.column("SAB"), value_set=allowed),
                pc.is_in(batch.column("SUPPRESS"), value_set=flags),
            )
            mask = pc.and_(mask, pc.greater(pc.binary_length(batch.column("DEF")), 0))
            kept = batch.filter(mask)
            self.counts["MRDEF:dropped"] += batch.num_rows - kept.num_rows
            yield pa.record_batch(
                [kept.column("CUI"), kept.column("DEF"), kept.column("SAB")], schema=schemas.DEFINITIONS
            )

    def retired(self) -> Iterator[pa.RecordBatch]:
        """Retired concepts, from MRCUI.

        Only synonymy (`SY`) gives a successor: broader, narrower and otherwise related concepts are not the
        same, so such a concept counts as retired without one.
        """
        if not self.release.has("MRCUI"):
            return
        for batch in self._read("MRCUI", rrf.MRCUI, ("CUI1", "REL", "CUI2")):
            self.counts["MRCUI:rows"] += batch.num_rows
            same = pc.equal(batch.column("REL"), "SY")
            deleted = pc.equal(batch.column("REL"), "DEL")
            inexact = batch.num_rows - int(pc.sum(same).as_py()) - int(pc.sum(deleted).as_py())
            if inexact:
                self.counts["MRCUI:inexact_successor_not_used"] += inexact
            successor = pc.if_else(same, batch.column("CUI2"), "")
            yield pa.record_batch([batch.column("CUI1"), successor], schema=schemas.RETIRED)

    def add_trade_names(self, staging: Staging) -> None:
        """Give the names of each trade-name concept to its generic concept too.

        MRREL reads from its second concept to its first: with `has_tradename` the first is the trade name,
        with `tradename_of` the second.
        """
        if not self.chosen.trade_names:
            return
        found: set[tuple[str, str]] = set()
        relations = pa.array(TRADE_NAME_RELATIONS)
        for batch in self._read("MRREL", rrf.MRREL, ("CUI1", "CUI2", "RELA", "SUPPRESS")):
            self.counts["MRREL:rows"] += batch.num_rows
            kept = batch.filter(pc.is_in(batch.column("RELA"), value_set=relations))
            first, second = kept.column("CUI1").to_pylist(), kept.column("CUI2").to_pylist()
            names_first = pc.equal(kept.column("RELA"), "has_tradename").to_pylist()
            found.update(
                (two, one) if trade_is_first else (one, two)
                for one, two, trade_is_first in zip(first, second, names_first, strict=True)
            )
        self.counts["MRREL:trade_name_pairs"] = len(found)
        table = pa.table({"generic": [g for g, _ in found], "trade": [t for _, t in found]}, TRADE_SCHEMA)
        before = staging.scalar("SELECT count(*) FROM names")
        staging.connection.register("trade_names", table)
        staging.run(
            "INSERT INTO names SELECT generic, language, name, source, false FROM names, trade_names "
            "WHERE names.cui = trade AND generic IN (SELECT cui FROM names)"
        )
        staging.connection.unregister("trade_names")
        self.counts["MRREL:names_added"] = staging.scalar("SELECT count(*) FROM names") - before

    def _read(self, file: str, form: rrf.RrfFile, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in rrf.read_rrf(self.release.require(file), form, columns, self.advance):
            rows += batch.num_rows
            yield batch
        check_rows(self.release, file, rows)


TRADE_SCHEMA: Final = pa.schema([("generic", pa.string()), ("trade", pa.string())])


def check_rows(release: Release, file: str, rows: int) -> None:
    """Compare a file's rows with what MRFILES, where there is one, says.

    Raises:
        DataError: They differ: the file was cut off or changed.
    """
    if not release.has("MRFILES"):
        return
    for batch in rrf.read_rrf(release.pieces["MRFILES"], rrf.MRFILES, ("FIL", "RWS")):
        for name, expected in zip(
            batch.column("FIL").to_pylist(), batch.column("RWS").to_pylist(), strict=True
        ):
            if name == f"{file}.RRF" and expected.isdecimal() and int(expected) != rows:
                raise DataError(
                    f"{file}.RRF is not whole",
                    where=release.pieces[file][0].label,
                    why=f"it has {rows:,} rows, MRFILES.RRF says {int(expected):,}",
                    hint=f"{rrf.FIX}; --subset where it is meant to be a part",
                )


def cui_numbers(cuis: Any) -> npt.NDArray[np.int32]:
    """The numbers of CUIs."""
    return np.asarray(pc.cast(pc.utf8_slice_codeunits(cuis, 1), pa.int32()).to_numpy(zero_copy_only=False))


def pairs_of(batch: pa.RecordBatch, first: str, second: str) -> list[tuple[str, str]]:
    """The distinct pairs of two columns with few values each."""
    table = pa.Table.from_batches([batch.select([first, second])]).group_by([first, second]).aggregate([])
    return list(zip(table.column(first).to_pylist(), table.column(second).to_pylist(), strict=True))


def pairs(batch: pa.RecordBatch, key: str, value: str) -> dict[str, str]:
    """The distinct pairs of two columns, as a mapping."""
    return dict(pairs_of(batch, key, value))


def accepts(tui: str, trees: dict[str, str], wanted: tuple[str, ...]) -> bool:
    """Whether a semantic type is one of the wanted ones or a descendant of one with `+`."""
    if tui in wanted or f"{tui}+" in wanted:
        return True
    roots = (trees.get(item.removesuffix("+")) for item in wanted if item.endswith("+"))
    return any(descends(trees[tui], root) for root in roots if root is not None)


def descends(tree: str, root: str) -> bool:
    """Whether a tree number lies under another: `A` over `A1`, `A1` over `A1.2`, `A1.2` over `A1.2.3`."""
    if not tree.startswith(root) or tree == root:
        return False
    return len(root) == 1 or tree[len(root)] == "."


def check_types(wanted: tuple[str, ...], trees: dict[str, str]) -> None:
    """Refuse a semantic type that the release does not know, or whose place in the tree changed."""
    for item in wanted:
        tui = item.removesuffix("+")
        if tui not in trees:
            raise UsageError(
                f"no concept of the release has the semantic type {tui}{did_you_mean(tui, sorted(trees))}",
                where="--semantic-types",
            )
        if item.endswith("+") and tui in TREE_NUMBERS and trees[tui] != TREE_NUMBERS[tui]:
            raise DataError(
                f"the release places the semantic type {tui} at {trees[tui]}, not at {TREE_NUMBERS[tui]}",
                where="MRSTY.RRF (field STN)",
                why="the descendants of this type would not be those that the preset means",
            )
