"""What every dataset must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.errors import MissingError
from bioelx_bench.records import LabelledMention
from bioelx_bench.testing.component import ComponentConformance, expect

LANGUAGE = re.compile(r"[a-z]{2,3}")


class DatasetConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_dataset`; pytest then runs every check on one subset.

    Attributes:
        revision: What is read.
        subset: What is read.
        split: What is read.
        options: Options of datasets that take a user's own files.
        data_root: Folder with the dataset's files (small ones, made for the test); None where they are shipped.
        texts_at_spans: Whether a mention's text is what its document holds at its spans.
    """

    revision: ClassVar[str]
    subset: ClassVar[str]
    split: ClassVar[str] = "test"
    options: ClassVar[Mapping[str, Any]] = {}
    data_root: ClassVar[Path | None] = None
    texts_at_spans: ClassVar[bool] = True

    dataset: ClassVar[BaseDataset]
    found: ClassVar[list[LabelledMention]]

    @classmethod
    @abstractmethod
    def make_dataset(cls, request: DatasetRequest) -> BaseDataset:
        """The dataset for a request: what the declaration's factory gives."""

    @classmethod
    def request(cls, data_root: Path | None) -> DatasetRequest:
        """A request for the subset that is tested."""
        return DatasetRequest(
            revision=cls.revision,
            subset=cls.subset,
            split=cls.split,
            data_root=data_root,
            cache=cls.environment.cache,
            offline=True,
            options=cls.options,
            progress=cls.environment.progress,
        )

    @classmethod
    def setup_class(cls) -> None:
        """Read the subset once."""
        super().setup_class()
        cls.dataset = cls.make_dataset(cls.request(cls.data_root))
        cls.sources_at_first = dict(cls.dataset.sources)
        cls.found = list(cls.dataset.mentions())

    sources_at_first: ClassVar[dict[str, str]]

    def test_satisfies_the_protocol(self) -> None:
        expect(
            isinstance(self.dataset, BaseDataset),
            f"{type(self.dataset).__name__} must subclass bioelx_bench.base.BaseDataset",
            "the harness reads its mentions, sources and counts",
        )
        expect(self.found, "mentions() gives nothing", "there is nothing to score")

    def test_mentions_are_labelled_and_well_formed(self) -> None:
        for mention in self.found:
            who = f"mention {getattr(mention, 'id', mention)!r}"
            expect(
                isinstance(mention, LabelledMention),
                f"{who} is a {type(mention).__name__}, not a bioelx_bench.records.LabelledMention",
                "scoring needs its gold",
            )
            expect(mention.text, f"{who} has no text", "it cannot be searched; count it and leave it out")
            for language in (mention.language, mention.document.language):
                expect(
                    LANGUAGE.fullmatch(language),
                    f"{who} has the language {language!r}, not an ISO 639 code such as de",
                    "retrievers choose analyzers by it",
                )
            expect(
                isinstance(mention.gold, tuple) and all(isinstance(g, str) and g for g in mention.gold),
                f"the gold of {who} is {mention.gold!r}, not a tuple of concept ids",
                "they are compared with candidates",
            )

    def test_ids_are_unique(self) -> None:
        ids = [mention.id for mention in self.found]
        twice = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
        expect(not twice, f"mention ids come several times: {twice[:3]}", "logs find a mention by its id")

    def test_spans_are_inside_the_document(self) -> None:
        for mention in self.found:
            text = mention.document.text
            ends = 0
            for span in mention.spans:
                expect(
                    ends <= span.start < span.end <= len(text),
                    f"mention {mention.id!r}: the span {span.start}:{span.end} is outside the document, empty or "
                    "out of order",
                    "rankers mark the mention there",
                )
                ends = span.end
            if self.texts_at_spans and mention.spans:
                there = " ".join(text[s.start : s.end] for s in mention.spans)
                expect(
                    there == mention.text,
                    f"mention {mention.id!r}: the document has {there!r} at its spans, the mention's text is "
                    f"{mention.text!r}; set texts_at_spans = False if the data has it so",
                    "offsets that are one off, or counted in bytes, mark the wrong words",
                )

    def test_one_document_id_is_one_text(self) -> None:
        texts: dict[str, str] = {}
        for mention in self.found:
            document = mention.document
            expect(
                texts.setdefault(document.id, document.text) == document.text,
                f"the document id {document.id!r} stands for two texts",
                "intervals are clustered by document",
            )

    def test_reading_again_gives_the_same(self) -> None:
        again = self.make_dataset(self.request(self.data_root))
        expect(
            list(again.mentions()) == self.found,
            "a second reading gives other mentions or another order",
            "the dataset's hash is part of the run's id",
        )
        expect(again.counts == self.dataset.counts, "a second reading counts otherwise", "counts are shown")

    def test_sources_are_hashed_before_they_are_read(self) -> None:
        expect(
            self.sources_at_first and self.sources_at_first == self.dataset.sources,
            f"sources are {self.sources_at_first} before mentions() and {self.dataset.sources} afterwards",
            "the prepared data is found by them before anything is parsed",
        )
        for name, sha256 in self.dataset.sources.items():
            expect(
                re.fullmatch(r"[0-9a-f]{64}", sha256),
                f"the source {name!r} has {sha256!r}, not a sha256 in hex",
                "it says which data a figure is of",
            )

    def test_counts_are_whole_numbers(self) -> None:
        bad = {k: v for k, v in self.dataset.counts.items() if type(v) is not int or v < 0}
        expect(not bad, f"counts hold {bad}", "they say how many odd rows there were")

    def test_missing_files_are_an_error_with_advice(self) -> None:
        if self.data_root is None:
            pytest.skip("skipped: the files are shipped, or an option names them")
        empty = self.workplace / "empty"
        empty.mkdir(exist_ok=True)
        try:
            list(self.make_dataset(self.request(empty)).mentions())
        except MissingError as error:
            expect(
                error.hint,
                "the MissingError for missing files has no hint",
                "users must know how to get them",
            )
        except Exception as error:  # foreign code may raise anything
            kind = type(error).__name__
            expect(
                False, f"without its files the factory raises {kind}, not errors.MissingError", "users see it"
            )
        else:
            expect(
                False, "without its files the dataset is read all the same", "figures would be of other data"
            )
