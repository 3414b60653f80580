"""Names and scope notes from MeSH: descriptor and supplementary records, as XML or in the ASCII format."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

import pyarrow as pa

from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.io.archives import open_bytes
from bioelx_bench.io.text import open_text
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
from bioelx_bench.kb.sources import describe_file
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.schemes import SCHEMES

SOURCE: Final = "MSH"
BLOCK: Final = 1 << 20
RECORDS: Final = {"DescriptorRecord": "Descriptor", "SupplementalRecord": "SupplementalRecord"}
ASCII_NAMES: Final = ("MH", "NM")
ASCII_TERMS: Final = ("ENTRY", "PRINT ENTRY", "SY")
ASCII_NOTES: Final = ("MS", "NO")
HINT: Final = "give desc*.xml, supp*.xml, d*.bin or c*.bin as the NLM distributes them (also compressed)"


@dataclass(slots=True)
class Record:
    """A descriptor or supplementary concept record."""

    id: str = ""
    name: str = ""
    terms: dict[str, None] = field(default_factory=dict)
    note: str = ""


def build_from_mesh(
    files: Sequence[Path],
    name: str,
    folder: Path,
    *,
    language: str = "en",
    licence: str | None = None,
    progress: Progress | None = None,
) -> KnowledgeBase:
    """Build a knowledge base of MeSH ids.

    Args:
        files: Descriptor and supplementary records, XML or ASCII, also compressed.
        name: The knowledge base's name.
        folder: The output.
        language: Language of the names, for a translation of MeSH.
        licence: The files' licence, for the manifest.
        progress: Shows progress.

    Raises:
        MissingError: A file is not there.
        UsageError: The language is none, or the output exists.
        DataError: A file is not MeSH, is broken or declares entities; says file and line.
    """
    if why := schemas.validation_error("language", language):
        raise UsageError(f"{language!r} is not a language", where="--language", why=why)
    described = [describe_file(file, licence=licence) for file in files]
    counts: dict[str, int] = {"records": 0, "dropped:unusable_name": 0}
    notes: list[tuple[str, str, str]] = []

    def names() -> Iterator[pa.RecordBatch]:
        for file in files:
            rows = []
            for record in read_mesh(file):
                counts["records"] += 1
                texts = [t for t in dict.fromkeys([record.name, *record.terms]) if usable(t)]
                counts["dropped:unusable_name"] += len({record.name, *record.terms}) - len(texts)
                rows += [(record.id, language, text, SOURCE, text == record.name) for text in texts]
                notes.extend([(record.id, record.note, SOURCE)] if record.note else [])
            if rows:
                columns = [pa.array(column) for column in zip(*rows, strict=True)]
                yield pa.record_batch(columns, schema=schemas.NAMES)

    def definitions() -> Iterator[pa.RecordBatch]:
        if notes:
            columns = [pa.array(column, pa.string()) for column in zip(*notes, strict=True)]
            yield pa.record_batch(columns, schema=schemas.DEFINITIONS)

    return build_knowledge_base(
        folder,
        name,
        lambda: Rows(names=names(), definitions=definitions(), id_scheme=SCHEMES["mesh"], counts=counts),
        files=described,
        filters={"builder": "mesh", "language": language},
        progress=progress,
    )


def usable(text: str) -> bool:
    """Whether a text can be a name."""
    return schemas.validation_error("name", text) is None


def read_mesh(file: Path) -> Iterator[Record]:
    """The records of a file with an id and a name.

    Raises:
        DataError: It is not MeSH, or broken.
    """
    with open_bytes(file) as stream:
        is_xml = stream.peek(64)[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        found = 0
        for record in xml_records(stream, file) if is_xml else ascii_records(file):
            if SCHEMES["mesh"].matches(record.id) and record.name:
                found += 1
                yield record
    if not found:
        raise DataError("the file has no MeSH record", where=file, hint=HINT)


class Handler:
    """Gathers records while expat reads."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data
        self.parser.EntityDeclHandler = self.refuse
        self.parser.buffer_text = True
        self.done: list[Record] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._record: Record | None = None

    def refuse(self, *_: object) -> None:
        """MeSH declares no entities; expanding them is an attack."""
        raise DataError(
            "the file declares XML entities", where=at(self.file, self.parser.CurrentLineNumber), hint=HINT
        )

    def start(self, tag: str, _attributes: object) -> None:
        """An element begins."""
        if tag in RECORDS and len(self._path) == 1:
            self._record = Record()
        self._path.append(tag)
        self._text = []

    def data(self, text: str) -> None:
        """Text inside an element."""
        self._text.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._path.pop()
        text, self._text = " ".join("".join(self._text).split()), []
        record = self._record
        if record is None or len(self._path) < 2:
            if record is not None and tag in RECORDS:
                self.done.append(record)
                self._record = None
            return
        kind, below = RECORDS[self._path[1]], self._path[2:]
        if tag == f"{kind}UI" and not below:
            record.id = text
        elif tag == "String" and below == [f"{kind}Name"]:
            record.name = text
        elif tag == "String" and below == ["ConceptList", "Concept", "TermList", "Term"]:
            record.terms[text] = None
        elif tag in ("ScopeNote", "Note") and not record.note and below in ([], ["ConceptList", "Concept"]):
            record.note = text


def xml_records(stream: io.BufferedReader, file: Path) -> Iterator[Record]:
    """Records of an XML file, a block at a time."""
    handler = Handler(file)
    try:
        while block := stream.read(BLOCK):
            handler.parser.Parse(block, False)
            yield from handler.done
            handler.done = []
        handler.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise DataError(
            "the file is not XML, or cut off", where=at(file, error.lineno), why=str(error), hint=HINT
        ) from error
    yield from handler.done


def ascii_records(file: Path) -> Iterator[Record]:
    """Records of a file in the ASCII format."""
    record: Record | None = None
    with open_text(file) as lines:
        for line in lines:
            if line.strip() == "*NEWRECORD":
                if record is not None:
                    yield record
                record = Record()
            elif record is not None:
                tag, _, value = line.partition(" = ")
                text = " ".join(value.split())
                if tag == "UI":
                    record.id = text
                elif tag in ASCII_NAMES:
                    record.name = text
                elif tag in ASCII_TERMS:
                    record.terms[text.partition("|")[0]] = None
                elif tag in ASCII_NOTES:
                    record.note = record.note or text
    if record is not None:
        yield record
