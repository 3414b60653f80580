"""Any corpus in BigBIO's `bigbio_kb` schema (passages, entities with offsets and normalised ids).

Source of the schema: `task_schemas.md` of bigscience-workshop/biomedical.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.corpus_folder import corpus_files, corpus_rows
from bioelx_bench.datasets.offsets import CHARACTERS, Offsets, recognise_unit
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.datasets.text import unique
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.options import Options
from bioelx_bench.records import Document, LabelledMention, Span
from bioelx_bench.schemes import schemes_of

SPEC: Final = DatasetSpec(
    name="bigbio",
    benchmark=False,
    summary="Any corpus in the bigbio_kb schema: folder, Parquet, Arrow, JSON lines or Hub id (-D path=)",
    factory="bioelx_bench.datasets.bigbio:BigBio",
    options="bioelx_bench.datasets.bigbio:BigBioOptions",
    revisions=("user",),
    subsets=("all",),
    open_subsets=True,
    splits=("all", "test", "dev", "train"),
    licence="the corpus's own",
    homepage="https://github.com/bigscience-workshop/biomedical",
    context="document",
    id_scheme="",
)


class BigBioOptions(Options):
    """Options of the dataset `bigbio`."""

    path: str = Field(
        description="folder, Parquet, Arrow or JSON lines file, or an id on the Hub such as bigbio/bc5cdr"
    )
    language: str = Field("en", description="language of the corpus", pattern=r"^[a-z]{2,3}$")
    database: str = Field("", description="take only ids of this db_name, such as UMLS; empty takes all")
    scheme: str = Field("", description="scheme of the ids, such as umls or mesh; empty recognises it")
    hub_revision: str = Field("main", description="commit, tag or branch on the Hub")


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as the corpus gives it: its pieces in the order of the annotation."""

    texts: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    ids: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def occurrences(self) -> list[Entity]:
        """The entity of each occurrence where it lists several of one string; else itself alone."""
        distinct = {" ".join(text.split()).casefold() for text in self.texts}
        if len(self.offsets) < 2 or len(distinct) != 1 or len(self.texts) not in {1, len(self.offsets)}:
            return [self]
        texts = self.texts * (len(self.offsets) // len(self.texts))
        return [
            Entity((text,), (pair,), self.ids, self.types)
            for text, pair in zip(texts, self.offsets, strict=True)
        ]


class BigBio(BaseDataset):
    """Reads a corpus; see `bioelx_bench.base.BaseDataset`.

    Entities with the same spans and ids are one mention with the types of all, since some corpora repeat an entity
    for each semantic type. Lists of structs and structs of lists are read alike.

    Oddities: `merged` (such repetitions), `occurrences_split` (the entity lists several occurrences of one string:
    each is a mention), `discontinuous`, `pieces_reordered` (pieces of a discontinuous mention that stand in another
    order in the text), `offsets_in_bytes` and `offsets_in_utf16` (converted), `offset_mismatch` (the offsets do not
    give the text: the mention has no position), `same_span`. Counts: `without_gold` (entities without an id, or
    without one of the database), `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        options = BigBioOptions.model_validate(dict(request.options))
        self.language, self.database, self.id_scheme = options.language, options.database, options.scheme
        if request.subset not in {"all", self.language}:
            raise UsageError(f"the corpus has no subset {request.subset!r} (known: all)", where="--subset")
        self.files = corpus_files(options.path, options.hub_revision, request)
        self.sources = {name: remembered_hash(path, request.cache) for name, path in self.files.items()}

    def mentions(self) -> Iterator[LabelledMention]:
        """Mentions by file name, document and entity."""
        for mention, _ in self.with_places():
            yield mention

    def place(self, identifier: str) -> str | None:
        """File and line of the second document that has a mention of this id."""
        found = [place for mention, place in self.with_places() if mention.id == identifier]
        return found[1] if len(found) > 1 else None

    def with_places(self) -> Iterator[tuple[LabelledMention, str]]:
        """Every mention, and where its document stands."""
        for path in self.files.values():
            for place, row in corpus_rows(path):
                for mention in self.document(row, place):
                    yield mention, place

    def document(self, row: Mapping[str, Any], place: str) -> Iterator[LabelledMention]:
        """The mentions of one document."""
        identifier = str(row.get("document_id") or row.get("id") or place)
        entities = []
        for given in structs(row, "entities", place):
            entity = read_entity(given, self.database, place)
            if entity.ids:
                entities.append(entity)
            else:
                self.counts["without_gold"] += 1
        pieces = passage_pieces(structs(row, "passages", place), place)
        try:
            offsets = recognise_unit(
                pieces, [(one.offsets, one.texts) for entity in entities for one in entity.occurrences]
            )
        except ValueError as error:
            raise DataError(
                "a passage is not in the schema bigbio_kb", where=place, why=str(error)
            ) from error
        document = Document(f"bigbio/{identifier}", offsets.text, self.language)
        self.counts["documents_without_mention"] += not entities
        yield from mentions_of_document(document, entities, offsets)


def mentions_of_document(
    document: Document, entities: list[Entity], offsets: Offsets
) -> Iterator[LabelledMention]:
    """The mentions of a document's entities: equal ones merged, occurrences apart."""
    merged: dict[tuple[tuple[Span, ...], tuple[str, ...], str], tuple[list[str], list[str]]] = {}
    for entity in entities:
        occurrences = entity.occurrences
        if len(occurrences) > 1 and any(offsets.agree(o.offsets, o.texts) is None for o in occurrences):
            occurrences = [entity]
        for one in occurrences:
            spans, odd = locate_pieces(one, offsets)
            odd += ["occurrences_split"] * (len(occurrences) > 1)
            key = (spans, one.ids, " ".join(one.texts))
            types, kinds = merged.setdefault(key, ([], odd))
            kinds += ["merged"] * bool(types)
            types += one.types
    seen: set[tuple[Span, ...]] = set()
    for number, ((spans, ids, text), (types, odd)) in enumerate(merged.items()):
        odd += ["same_span"] * (bool(spans) and spans in seen)
        seen.add(spans)
        yield LabelledMention(
            id=f"{document.id}/{number:04d}",
            document=document,
            spans=spans,
            text=text,
            language=document.language,
            gold=ids,
            semantic_types=unique(types),
            oddities=tuple(odd),
        )


def locate_pieces(entity: Entity, offsets: Offsets) -> tuple[tuple[Span, ...], list[str]]:
    """The spans of an entity's pieces in document order, and what was odd."""
    found = offsets.agree(entity.offsets, entity.texts)
    if found is None:
        return (), ["offset_mismatch"]
    spans = tuple(sorted(found, key=lambda span: (span.start, span.end)))
    odd = [f"offsets_in_{offsets.unit}"] * (offsets.unit != CHARACTERS)
    odd += ["discontinuous"] * (len(spans) > 1)
    odd += ["pieces_reordered"] * (list(spans) != found)
    return spans, odd


def structs(row: Mapping[str, Any], key: str, place: str) -> list[Any]:
    """A list of structs, also where the file holds a struct of lists."""
    value = row.get(key)
    if isinstance(value, Mapping):
        return transposed(value, key, place)
    if not isinstance(value, list):
        raise DataError(
            f"the document has no list {key!r}",
            where=place,
            why="the schema bigbio_kb has id, document_id, passages and entities",
            hint="load the corpus's bigbio_kb configuration, not its source one",
        )
    return value


def transposed(value: Mapping[str, Any], key: str, place: str) -> list[dict[str, Any]]:
    """A struct of lists as a list of structs."""
    columns = list(value.values())
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        raise DataError(f"{key!r} must be a list of structs, or a struct of lists of one length", where=place)
    return [dict(zip(value, items, strict=True)) for items in zip(*columns, strict=True)]


def read_entity(given: Any, database: str, place: str) -> Entity:
    """An entity, with the ids of the database that is asked for."""
    try:
        texts = given["text"] if isinstance(given["text"], list) else [given["text"]]
        offsets = tuple((int(start), int(end)) for start, end in given["offsets"])
        links = given["normalized"] or []
        if isinstance(links, Mapping):
            links = transposed(links, "normalized", place)
        ids = [(link.get("db_name"), link["db_id"]) for link in links]
        types = given["type"] if isinstance(given["type"], list) else [str(given["type"])]
        if not texts or not all(isinstance(text, str) for text in [*texts, *types]):
            raise TypeError("text and type must be text or lists of texts")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError("an entity is not in the schema bigbio_kb", where=place, why=repr(error)) from error
    named = [id_text(name, one) for name, one in ids if one is not None and database in {"", name}]
    return Entity(tuple(texts), offsets, unique([one for one in named if one]), tuple(types))


def id_text(database: Any, identifier: Any) -> str:
    """An id as text; one of digits alone gets its database's name, where that says which scheme it is of."""
    text = str(identifier).strip()
    if text.isdecimal() and isinstance(database, str) and schemes_of(f"{database}:{text}"):
        return f"{database}:{text}"
    return text


def passage_pieces(passages: list[Any], place: str) -> list[tuple[str, int]]:
    """Text and start of each piece of the passages."""
    try:
        pieces = []
        for passage in passages:
            texts = passage["text"] if isinstance(passage["text"], list) else [passage["text"]]
            for text, (start, _) in zip(texts, passage["offsets"], strict=True):
                if not isinstance(text, str):
                    raise TypeError(f"the text of a passage must be text, not {type(text).__name__}")
                pieces.append((text, int(start)))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("a passage is not in the schema bigbio_kb", where=place, why=str(error)) from error
    return pieces
