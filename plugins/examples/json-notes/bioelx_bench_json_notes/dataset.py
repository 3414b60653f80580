"""Notes in JSON: `{"notes": [{"id", "text", "annotations": [{"start", "end", "concepts"}]}]}`, a file a language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.files import hash_file
from bioelx_bench.records import Document, LabelledMention, Span


class JsonNotes(BaseDataset):
    """Reads the notes that are in the package, or those of `json-notes/LANGUAGE.json` below a data root."""

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self._language = request.subset
        file = f"{request.subset}.json"
        own = Path(__file__).parent / "notes"
        self._path = (own if request.data_root is None else request.data_root / "json-notes") / file
        if not self._path.is_file():
            raise MissingError(
                f"there are no notes {file}",
                where=self._path,
                hint="leave --data-root out for the notes in the package",
            )
        self.sources[f"json-notes/{file}"] = hash_file(self._path)

    def mentions(self) -> Iterator[LabelledMention]:
        """Every annotation that names a concept."""
        for note in self._notes():
            document = Document(str(note["id"]), note["text"], self._language)
            for number, annotation in enumerate(note["annotations"]):
                if not annotation["concepts"]:
                    self.counts["annotation_without_concept"] += 1
                    continue
                span = Span(annotation["start"], annotation["end"])
                yield LabelledMention(
                    id=f"json-notes/{self._language}/{note['id']}/{number}",
                    document=document,
                    spans=(span,),
                    text=document.text[span.start : span.end],
                    language=self._language,
                    gold=tuple(annotation["concepts"]),
                )

    def _notes(self) -> list[dict[str, Any]]:
        try:
            notes: list[dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))["notes"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                "the file is not JSON with a list 'notes'", where=at(self._path), why=str(error)
            ) from error
        return notes
