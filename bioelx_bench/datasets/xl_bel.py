"""XL-BEL (Liu et al., ACL 2021): 1,000 Wikipedia mentions in each of ten languages, shipped in the package.

Upstream files are kept byte for byte (compressed) under `resources/xl_bel`; `registry` says where they come
from and what their hashes are. Revision `v1.0` has `CUI||mention||context` lines, the mention
between `<tgt>` and `</tgt>`; `v0.0` has `CUI||mention` only. The two list their rows in different orders, and
their English parts are different queries, so `xl-bel/de/0017` is the 18th line of the file of the revision
that is read.
"""

from __future__ import annotations

import hashlib
import lzma
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets import registry
from bioelx_bench.datasets.sources import Source
from bioelx_bench.datasets.text import CUI, decode, numbered_lines, split_fields, unique
from bioelx_bench.errors import DataError, at
from bioelx_bench.records import Document, LabelledMention, Span

FILE_LIMIT: Final = 16 << 20
OPEN, CLOSE = "<tgt>", "</tgt>"


class XlBel(BaseDataset):
    """Reads one language of one revision; see `bioelx_bench.base.BaseDataset`.

    A file under `<data root>/xl_bel/` is read in place of the shipped one, and must have the same bytes.

    Counts: `empty_span` (nothing between the marks; the mention is put there), `irregular_spaces` (runs of
    spaces in the context made single, and taken off its ends; the mention is untouched), `several_gold` (more
    than one CUI), `gold_not_cui` (an identifier that is no UMLS CUI), `duplicate` (an earlier row is equal),
    `repeated_query` (an earlier row has this gold and mention).
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.language = request.subset
        self.with_context = request.revision == "v1.0"
        self.fields = ("CUI", "mention", "context") if self.with_context else ("CUI", "mention")
        self.source = registry.xl_bel(request.revision, request.subset)
        data, self.where = read_upstream(self.source, request.data_root)
        self.text = decode(data, self.where)
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The one file, whose hash is the known one."""
        return {self.source.path: str(self.source.sha256)}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every row once, in the order of the file."""
        rows: set[tuple[str, str, str]] = set()
        queries: set[tuple[str, str]] = set()
        documents: dict[str, Document] = {}
        for number, line in numbered_lines(self.text):
            gold, text, *rest = split_fields(line, self.fields, at(self.where, number))
            marked = rest[0] if rest else ""
            context, span = self.place(text, marked, number)
            identifier = f"xl-bel/{self.language}/{number - 1:04d}"
            document = Document(identifier, context, self.language)
            if context:
                document = documents.setdefault(context, document)
            self.counts["duplicate"] += (gold, text, marked) in rows
            self.counts["repeated_query"] += (gold, text) in queries
            rows.add((gold, text, marked))
            queries.add((gold, text))
            yield LabelledMention(
                id=identifier,
                document=document,
                spans=(span,) if span else (),
                text=text,
                language=self.language,
                gold=self.gold(gold),
            )

    def gold(self, field: str) -> tuple[str, ...]:
        """The concept ids, joined by `|` upstream."""
        identifiers = unique(field.split("|"))
        self.counts["several_gold"] += len(identifiers) > 1
        self.counts["gold_not_cui"] += any(not CUI.fullmatch(i) for i in identifiers)
        return identifiers

    def place(self, text: str, marked: str, number: int) -> tuple[str, Span | None]:
        """The context without marks and with regular spaces, and the mention's span in it."""
        if not self.with_context:
            return "", None
        before, opening, rest = marked.partition(OPEN)
        inside, closing, after = rest.partition(CLOSE)
        if not opening or not closing or OPEN in inside + after or CLOSE in before + after:
            raise DataError(
                f"the context must hold one {OPEN}mention{CLOSE}",
                where=at(self.where, number),
                why=f"it is {marked[:80]!r}",
            )
        if not inside:
            self.counts["empty_span"] += 1
        elif inside != text:
            raise DataError(
                f"the marked text {inside!r} is not the mention {text!r}", where=at(self.where, number)
            )
        left = re.sub(r"\s+", " ", before).lstrip()
        right = re.sub(r"\s+", " ", after).rstrip()
        self.counts["irregular_spaces"] += (left, right) != (before, after)
        return left + text + right, Span(len(left), len(left) + len(text))


def read_upstream(source: Source, data_root: Path | None) -> tuple[bytes, str]:
    """The bytes of an upstream file below the data root or in the package, verified, and where they are.

    Raises:
        DataError: Its hash differs from the known one.
    """
    local = data_root / source.path if data_root else None
    if local is not None and local.is_file():
        data, where = local.read_bytes(), str(local)
        hint = f"fetch it again from {source.url}, or remove it from the data root"
    else:
        packed = files("bioelx_bench") / "resources" / f"{source.path}.xz"
        data, where = unpack(packed.read_bytes(), str(packed)), str(packed)
        hint = "reinstall bioelx-bench"
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise DataError(
            "the file is not the upstream one: its sha256 differs",
            where=where,
            why=f"expected {source.sha256}, found {found}; figures on other data cannot be compared",
            hint=hint,
        )
    return data, where


def unpack(packed: bytes, where: str) -> bytes:
    """Decompress a shipped file, at most `FILE_LIMIT` bytes of it."""
    try:
        return lzma.LZMADecompressor().decompress(packed, max_length=FILE_LIMIT)
    except (lzma.LZMAError, EOFError) as error:
        raise DataError(
            "a shipped file is damaged", where=where, why=str(error), hint="reinstall bioelx-bench"
        ) from error
