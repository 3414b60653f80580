"""A user's own corpus in brat's standoff format: a folder or a zip archive of `.txt` and `.ann` files.

The ids of an entity are those of its normalisation lines (`N1 Reference T1 UMLS:C0018787`); where it has none, those
of its notes; where these hold none, its type, which is the id in some corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.brat import Entity, parse_brat
from bioelx_bench.datasets.corpus_folder import of_split
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.datasets.text import unique
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import MissingError
from bioelx_bench.files import hash_json
from bioelx_bench.io.archives import ZipReader
from bioelx_bench.io.text import decode
from bioelx_bench.options import Options
from bioelx_bench.records import Document, LabelledMention
from bioelx_bench.schemes import schemes_of

WORD: Final = re.compile(r"[^\s,;|\"'()\[\]]+")

SPEC: Final = DatasetSpec(
    name="brat",
    benchmark=False,
    summary="Your own corpus in brat's standoff format: a folder or zip of .txt and .ann files (-D path=)",
    factory="bioelx_bench.datasets.own_brat:Brat",
    options="bioelx_bench.datasets.own_brat:BratOptions",
    revisions=("user",),
    subsets=("all",),
    splits=("all", "test", "dev", "train"),
    licence="the corpus's own",
    homepage="https://brat.nlplab.org/standoff.html",
    context="document",
    id_scheme="",
)


class BratOptions(Options):
    """Options of the dataset `brat`."""

    path: str = Field(description="folder or zip archive of .txt files, each with an .ann file beside it")
    language: str = Field("en", description="language of the corpus", pattern=r"^[a-z]{2,3}$")
    scheme: str = Field("", description="scheme of the ids, such as umls or mesh; empty recognises it")


class Brat(BaseDataset):
    """Reads a corpus; see `bioelx_bench.base.BaseDataset`.

    Oddities: `discontinuous`, `same_span`. Counts: `without_gold` (entities without an id),
    `documents_without_mention`, `texts_without_annotation` (no `.ann` file).
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        options = BratOptions.model_validate(dict(request.options))
        self.language, self.id_scheme = options.language, options.scheme
        self.path = Path(options.path).expanduser()
        if self.path.is_dir():
            files = sorted(file for file in self.path.rglob("*") if file.suffix in {".txt", ".ann"})
            names = [file.relative_to(self.path) for file in files]
            digests = {
                name.as_posix(): remembered_hash(file, None) for name, file in zip(names, files, strict=True)
            }
            self.sources = {self.path.name or ".": hash_json(digests)}
        elif self.path.is_file():
            with ZipReader(self.path) as archive:
                names = [Path(name) for name in sorted(archive.names) if "__MACOSX" not in name]
            self.sources = {self.path.name: remembered_hash(self.path, request.cache)}
        else:
            raise MissingError(f"there is no folder or file {self.path}", where=f"-D path={options.path}")
        self.annotated = {name for name in names if name.suffix == ".ann"}
        texts = [name for name in names if name.suffix == ".txt"]
        if not texts:
            raise MissingError(f"{options.path} holds no .txt file", where=self.path)
        self.texts = of_split(texts, Path(), request)

    def mentions(self) -> Iterator[LabelledMention]:
        """Entities by path, and within a text in the order of its annotation file."""
        archive = ZipReader(self.path) if self.path.is_file() else None
        try:
            for text in self.texts:
                if text.with_suffix(".ann") in self.annotated:
                    yield from self.document(text, archive)
                else:
                    self.counts["texts_without_annotation"] += 1
        finally:
            if archive is not None:
                archive.close()

    def document(self, name: Path, archive: ZipReader | None) -> Iterator[LabelledMention]:
        """The mentions of one text."""
        text, _ = self.read(name, archive)
        annotations, where = self.read(name.with_suffix(".ann"), archive)
        entities = parse_brat(text, annotations, where)
        document = Document(f"brat/{name.with_suffix('').as_posix()}", text, self.language)
        linked = [(entity, ids) for entity in entities if (ids := ids_of(entity))]
        self.counts["without_gold"] += len(entities) - len(linked)
        self.counts["documents_without_mention"] += not linked
        seen: set[object] = set()
        for entity, ids in linked:
            odd = ["discontinuous"] * (len(entity.spans) > 1) + ["same_span"] * (entity.spans in seen)
            seen.add(entity.spans)
            yield LabelledMention(
                id=f"{document.id}/{entity.id}",
                document=document,
                spans=entity.spans,
                text=entity.text,
                language=self.language,
                gold=ids,
                semantic_types=(entity.type,),
                oddities=tuple(odd),
            )

    def read(self, name: Path, archive: ZipReader | None) -> tuple[str, str]:
        """The text of a file of the corpus, and how errors name it."""
        if archive is None:
            where = str(self.path / name)
            return decode((self.path / name).read_bytes(), where), where
        where = f"{self.path}!{name.as_posix()}"
        return decode(archive.read(name.as_posix()), where), where


def ids_of(entity: Entity) -> tuple[str, ...]:
    """The ids of an entity, as they are written; empty if it has none."""
    if entity.references:
        return unique(entity.references)
    words = [word for note in entity.notes for word in WORD.findall(note)]
    return unique([word for word in words if is_concept_id(word)]) or (
        (entity.type,) if is_concept_id(entity.type) else ()
    )


def is_concept_id(word: str) -> bool:
    """Whether a word of a note is an id: of a known scheme, and no number alone."""
    return not word.isdecimal() and bool(schemes_of(word))
