"""Mentions of PubTator files: a user's own, and the base of benchmarks in this format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.pubtator import Abstract, Parser, with_overlaps
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.io.archives import ZipReader, decompressed, open_bytes
from bioelx_bench.io.text import decode
from bioelx_bench.options import Options
from bioelx_bench.records import Document, LabelledMention

SPEC: Final = DatasetSpec(
    name="pubtator",
    benchmark=False,
    summary="Your own corpus in the PubTator format (-D path=)",
    factory="bioelx_bench.datasets.own_pubtator:load",
    options="bioelx_bench.datasets.own_pubtator:PubTatorOptions",
    revisions=("user",),
    subsets=("all",),
    splits=("all",),
    licence="the corpus's own",
    homepage="https://www.ncbi.nlm.nih.gov/research/pubtator3/",
    context="abstract",
    id_scheme="",
)

COMPOSITE: Final = re.compile(r"[|+]")
ZIP_MAGIC: Final = b"PK\x03\x04"

Policy = Literal["any", "all", "split"]


class CompositeOptions(Options):
    """What becomes of composite mentions, such as "breast and ovarian cancer" with the ids of both."""

    composite: Policy = Field(
        "any",
        description="ids joined by | or +: any of them counts, all must be found (needs --policy match=all), "
        "or split into a mention for each",
    )


class PubTatorOptions(CompositeOptions):
    """Options of the dataset `pubtator`."""

    path: str = Field(description="file in the PubTator format, also compressed or in a zip archive")
    language: str = Field("en", description="language of the corpus", pattern=r"^[a-z]{2,3}$")
    scheme: str = Field("", description="scheme of the ids, such as umls or mesh; empty recognises it")


def load(request: DatasetRequest) -> PubTatorFiles:
    """The reader of a user's file."""
    options = PubTatorOptions.model_validate(dict(request.options))
    path = Path(options.path).expanduser()
    if not path.is_file():
        raise MissingError(f"there is no file {path}", where=f"-D path={options.path}")
    files = {path.name: (path, remembered_hash(path, request.cache))}
    return PubTatorFiles(
        "pubtator", files, scheme=options.scheme, language=options.language, composite=options.composite
    )


class PubTatorFiles(BaseDataset):
    """Reads PubTator files one after the other; see `bioelx_bench.base.BaseDataset`.

    Oddities: `composite` (several ids joined by `|` or `+`), `composite_split` (one of the mentions made of such),
    `offset_mismatch` (the offsets do not give the text: no position), `offsets_in_bytes`, `offsets_in_utf16`
    (converted), `same_span`, `overlapping`. Counts: `documents_repeated` (read once), `documents_without_mention`,
    `relations` (lines of relations), `of_other_types`.

    Args:
        name: The dataset's name, for ids.
        files: Path and sha256 of each file, by its upstream path.
        scheme: Scheme of the ids; empty recognises it.
        language: Language of the corpus.
        composite: What becomes of composite mentions.
        member: Pattern of the member that is read of a zip archive.
        wanted: The type that is read; None reads all.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, tuple[Path, str]],
        *,
        scheme: str,
        language: str = "en",
        composite: Policy = "any",
        member: str = r".*\.txt",
        wanted: str | None = None,
    ) -> None:
        super().__init__()
        self.name, self.language, self.composite, self.wanted = name, language, composite, wanted
        self.id_scheme = scheme
        self.needs_match = "all" if composite == "all" else None
        self.member = re.compile(member)
        self.paths = [path for path, _ in files.values()]
        self.sources = {upstream: sha256 for upstream, (_, sha256) in files.items()}

    def mentions(self) -> Iterator[LabelledMention]:
        """Every annotation, in the order of the files."""
        seen: set[str] = set()
        for path in self.paths:
            parser = Parser(str(path), strict=False)
            found = False
            for abstract in parser.documents(read_text(path, self.member)):
                found = True
                if abstract.id in seen:
                    self.counts["documents_repeated"] += 1
                    continue
                seen.add(abstract.id)
                yield from self.document(abstract)
            if not found:
                raise DataError("the file has no document in the PubTator format", where=path)
            self.counts += parser.counts

    def document(self, abstract: Abstract) -> Iterator[LabelledMention]:
        """The mentions of one document; ids count its annotations, those of other types too."""
        document = Document(f"{self.name}/{abstract.id}", abstract.text, self.language)
        linked = 0
        for number, (annotation, odd) in enumerate(with_overlaps(abstract.annotations)):
            if self.wanted is not None and self.wanted not in annotation.types:
                self.counts["of_other_types"] += 1
                continue
            linked += 1
            mention = LabelledMention(
                id=f"{document.id}/{number:04d}",
                document=document,
                spans=annotation.spans,
                text=annotation.text,
                language=self.language,
                gold=(annotation.concept,),
                semantic_types=annotation.types,
                oddities=tuple(odd),
            )
            yield from composite_mentions(mention, self.composite)
        self.counts["documents_without_mention"] += not linked


def composite_mentions(mention: LabelledMention, policy: Policy) -> Sequence[LabelledMention]:
    """A mention under a policy for composite ones: itself, or one for each of its ids (`.0`, `.1` after its id)."""
    parts = [part for part in COMPOSITE.split(mention.gold[0]) if part.strip()]
    if len(parts) < 2:
        return [mention]
    if policy != "split":
        return [replace(mention, gold=tuple(parts), oddities=(*mention.oddities, "composite"))]
    odd = (*mention.oddities, "composite_split")
    return [
        replace(mention, id=f"{mention.id}.{number}", gold=(part,), oddities=odd)
        for number, part in enumerate(parts)
    ]


def read_text(path: Path, member: re.Pattern[str]) -> str:
    """The text of a file, decompressed where it is packed; of a zip archive that of the one member that fits."""
    with path.open("rb") as file:
        packed = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    if not packed:
        with open_bytes(path) as stream:
            return decode(stream.read(), str(path))
    with ZipReader(path) as archive:
        names = [name for name in archive.names if member.fullmatch(name) and "__MACOSX" not in name]
        if len(names) != 1:
            raise UsageError(
                f"the archive has {len(names)} files that fit {member.pattern}, not one",
                where=path,
                hint="unpack it and give the file itself",
            )
        label = f"{path}!{names[0]}"
        with archive.open(names[0]) as stored, decompressed(stored, label) as stream:
            return decode(stream.read(), label)
