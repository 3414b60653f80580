"""Any corpus in BigBIO's `bigbio_kb` schema (passages, entities with offsets and normalised ids).

Source of the schema: `task_schemas.md` of bigscience-workshop/biomedical.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.datasets.rows import ending, read_rows
from bioelx_bench.datasets.sources import remembered_hash
from bioelx_bench.datasets.text import unique
from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.options import Options
from bioelx_bench.records import Document, LabelledMention, Span

ENDS: Final = frozenset((".jsonl", ".json", ".ndjson", ".parquet"))
SPLIT_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "test": ("test",),
    "dev": ("dev", "validation", "valid", "val"),
    "train": ("train", "trng"),
}
"""Words in file and folder names that say which split a file holds."""

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class BigBioOptions(Options):
    """Options of the dataset `bigbio`."""

    path: str = Field(
        description="folder, Parquet or JSON lines file, or an id on the Hub such as bigbio/bc5cdr"
    )
    language: str = Field("en", description="language of the corpus", pattern=r"^[a-z]{2,3}$")
    database: str = Field("", description="take only ids of this db_name, such as UMLS; empty takes all")
    hub_revision: str = Field("main", description="commit, tag or branch on the Hub")


class BigBio(BaseDataset):
    """Reads a corpus; see `bioelx_bench.base.BaseDataset`.

    Entities with the same spans and ids are one mention with the types of all, since some corpora repeat an
    entity for each semantic type. Counts: `merged` (such repetitions), `without_gold` (entities without an
    id, or without
    one of the database: no row), `several_gold`, `discontinuous`, `offset_mismatch` (the offsets do not
    give the
    text: the mention has no position), `same_span`, `documents_without_mention`.
    """

    def __init__(self, request: DatasetRequest) -> None:
        self.language = str(request.options["language"])
        self.database = str(request.options["database"])
        if request.subset not in {"all", self.language}:
            raise UsageError(f"the corpus has no subset {request.subset!r} (known: all)", where="--subset")
        folder, paths = corpus_files(request)
        self.files = {
            path.relative_to(folder).as_posix(): path for path in of_split(sorted(paths), folder, request)
        }
        self._sources = {name: remembered_hash(path, request.cache) for name, path in self.files.items()}
        self.counts: Counter[str] = Counter()

    @cached_property
    def sources(self) -> dict[str, str]:
        """The files that were read."""
        return self._sources

    def mentions(self) -> Iterator[LabelledMention]:
        """Mentions by file name, document and entity."""
        for path in self.files.values():
            for place, row in read_rows(path):
                yield from self.document(row, place)

    def document(self, row: Mapping[str, Any], place: str) -> Iterator[LabelledMention]:
        """The mentions of one document."""
        for key in ("passages", "entities"):
            if not isinstance(row.get(key), list):
                raise DataError(
                    f"the document has no list {key!r}",
                    where=place,
                    why="the schema bigbio_kb has id, document_id, passages and entities",
                    hint="load the corpus's bigbio_kb configuration, not its source one",
                )
        identifier = str(row.get("document_id") or row.get("id") or place)
        document = Document(f"bigbio/{identifier}", passage_text(row["passages"], place), self.language)
        merged: dict[tuple[tuple[Span, ...], tuple[str, ...], str], list[str]] = {}
        for entity in row["entities"]:
            self.entity(entity, document.text, merged, place)
        self.counts["documents_without_mention"] += not merged
        seen: set[tuple[Span, ...]] = set()
        for number, ((spans, gold, text), types) in enumerate(merged.items()):
            self.counts["several_gold"] += len(gold) > 1
            self.counts["discontinuous"] += len(spans) > 1
            self.counts["same_span"] += bool(spans) and spans in seen
            seen.add(spans)
            yield LabelledMention(
                id=f"{document.id}/{number:04d}",
                document=document,
                spans=spans,
                text=text,
                language=self.language,
                gold=gold,
                semantic_types=unique(types),
            )

    def entity(
        self,
        entity: Any,
        text: str,
        merged: dict[tuple[tuple[Span, ...], tuple[str, ...], str], list[str]],
        place: str,
    ) -> None:
        """Add an entity to the document's mentions."""
        try:
            surface = " ".join(entity["text"])
            spans = tuple(Span(int(start), int(end)) for start, end in entity["offsets"])
            ids = [(link["db_name"], str(link["db_id"])) for link in entity["normalized"]]
            types = entity["type"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "an entity is not in the schema bigbio_kb", where=place, why=repr(error)
            ) from error
        gold = unique([one.removeprefix("UMLS:") for name, one in ids if one and self.database in {"", name}])
        if not gold:
            self.counts["without_gold"] += 1
            return
        spans = tuple(sorted(spans, key=lambda span: (span.start, span.end)))
        found = " ".join(text[max(span.start, 0) : max(span.end, 0)] for span in spans)
        inside = all(0 <= span.start < span.end <= len(text) for span in spans)
        if not inside or found.split() != surface.split():
            self.counts["offset_mismatch"] += 1
            spans = ()
        key = (spans, gold, surface)
        self.counts["merged"] += key in merged
        merged.setdefault(key, []).extend(types if isinstance(types, list) else [str(types)])


def passage_text(passages: list[Any], place: str) -> str:
    """The document's text: each passage at its offset, with spaces between."""
    text = ""
    try:
        for passage in passages:
            for part, (start, _) in zip(passage["text"], passage["offsets"], strict=True):
                if int(start) < len(text):
                    raise ValueError(f"the passage at {start} overlaps the one before")
                if int(start) > len(text) + (1 << 20):
                    raise ValueError(f"the passage at {start} leaves a gap of over 1 MiB")
                text = text.ljust(int(start)) + part
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("a passage is not in the schema bigbio_kb", where=place, why=str(error)) from error
    return text


def corpus_files(request: DatasetRequest) -> tuple[Path, list[Path]]:
    """The corpus's folder and its data files, on disk or fetched from the Hub."""
    given = str(request.options["path"])
    path = Path(given).expanduser()
    if path.is_file():
        return path.parent, [path]
    if not path.is_dir():
        if not HUB_ID.fullmatch(given):
            raise MissingError(f"there is no folder or file {given}", where=f"-D path={given}")
        path = from_hub(given, str(request.options["hub_revision"]), request)
    files = [file for file in path.rglob("*") if file.is_file() and ending(file) in ENDS]
    files = [file for file in files if not any(p.startswith(".") for p in file.relative_to(path).parts)]
    if not files:
        scripts = any(path.glob("*.py"))
        raise MissingError(
            f"{given} holds no Parquet or JSON lines file",
            where=path,
            why="it is a loading script, which `datasets` no longer runs" if scripts else None,
            hint="convert it to bigbio_kb JSON lines with the script's own tools, and give that file",
        )
    return path, files


def from_hub(repository: str, revision: str, request: DatasetRequest) -> Path:
    """Download a dataset repository's data files; resumes, and uses what is there when offline."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository,
                repo_type="dataset",
                revision=revision,
                cache_dir=request.cache.root / "hub",
                local_files_only=request.offline,
                allow_patterns=[*(f"**/*{end}*" for end in ENDS), *(f"*{end}*" for end in ENDS), "*.py"],
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise (MissingError if request.offline else BenchError)(
            f"{repository} cannot be had from the Hub: {error}".splitlines()[0],
            where=f"-D path={repository}",
            hint="check the name and the connection, or give a local folder",
        ) from error


def of_split(files: list[Path], folder: Path, request: DatasetRequest) -> list[Path]:
    """The files of a split, told by the words in their paths; `all` takes every file."""
    if request.split == "all":
        return files
    wanted = SPLIT_WORDS[request.split]
    chosen = [
        file
        for file in files
        if set(re.split(r"[^a-z]+", file.relative_to(folder).as_posix().lower())) & set(wanted)
    ]
    if not chosen:
        raise MissingError(
            f"no file of the corpus is named {' or '.join(wanted)}",
            where=folder,
            hint="name a file by its split, or give --split all",
        )
    return chosen
