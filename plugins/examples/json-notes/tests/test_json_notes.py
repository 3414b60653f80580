"""The dataset keeps its contract, and names what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from bioelx_bench_json_notes.dataset import JsonNotes

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.cache import Cache
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.testing import DatasetConformance


class TestJsonNotes(DatasetConformance):
    revision, subset = "1.0", "de"

    @classmethod
    def make_dataset(cls, request: DatasetRequest) -> BaseDataset:
        return JsonNotes(request)

    def test_nothing_is_dropped_uncounted(self) -> None:
        assert [mention.text for mention in self.found] == [
            "Kopfschmerzen",
            "Asthma",
            "Diabetes mellitus Typ 2",
            "Herzinfarkt",
        ]
        assert self.dataset.counts == {"annotation_without_concept": 1}


def request_in(folder: Path) -> DatasetRequest:
    return DatasetRequest(revision="1.0", subset="es", split="test", data_root=folder, cache=Cache(folder))


def test_missing_notes_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no notes es"):
        JsonNotes(request_in(tmp_path))


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}"])
def test_broken_notes_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "json-notes").mkdir()
    (tmp_path / "json-notes" / "es.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="not JSON with a list"):
        list(JsonNotes(request_in(tmp_path)).mentions())
