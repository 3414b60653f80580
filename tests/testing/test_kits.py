"""The kits for datasets, knowledge bases, metrics and commands catch each fault they are there for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pytest
import typer

from bioelx_bench.base import BaseDataset, DatasetRequest, Environment
from bioelx_bench.errors import MissingError
from bioelx_bench.files import hash_file
from bioelx_bench.metrics import Hits, Metric
from bioelx_bench.records import Document, LabelledMention, Span
from bioelx_bench.testing import (
    CommandConformance,
    DatasetConformance,
    KnowledgeBaseConformance,
    MetricConformance,
)


def run_check(kit: type[Any], check: str) -> None:
    """Run one check of a conformance class."""
    kit.setup_class()
    try:
        getattr(kit(), check)()
    finally:
        kit.teardown_class()


class Lines(BaseDataset):
    """A good dataset: one mention a line, its place marked by brackets."""

    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self.path = (request.data_root or Path()) / "lines.txt"
        if not self.path.is_file():
            raise MissingError("there is no lines.txt", hint="write one")
        self.sources["lines.txt"] = hash_file(self.path)

    def mentions(self) -> Iterator[LabelledMention]:
        for number, line in enumerate(self.path.read_text("utf-8").splitlines()):
            before, _, rest = line.partition("[")
            text, _, after = rest.partition("]")
            name = f"lines/{number}"
            document = Document(name, before + text + after, "de")
            spans = (Span(len(before), len(before) + len(text)),)
            yield LabelledMention(name, document, spans, text, "de", ("C0004096",))


class Changed(Lines):
    """The dataset with every mention changed by `change`."""

    def change(self, mention: LabelledMention) -> Any:
        raise NotImplementedError

    def mentions(self) -> Iterator[LabelledMention]:
        return map(self.change, super().mentions())


class BytesForCharacters(Changed):
    def change(self, mention: LabelledMention) -> Any:
        (span,) = mention.spans
        start = len(mention.document.text[: span.start].encode())
        return replace(mention, spans=(Span(start, start + len(mention.text)),))


class SameIds(Changed):
    def change(self, mention: LabelledMention) -> Any:
        return replace(mention, id="lines/0")


class NoGold(Changed):
    def change(self, mention: LabelledMention) -> Any:
        return mention.unlabelled()


class LongLanguage(Changed):
    def change(self, mention: LabelledMention) -> Any:
        return replace(mention, language="German")


class SameDocument(Changed):
    def change(self, mention: LabelledMention) -> Any:
        return replace(mention, document=replace(mention.document, id="one"))


class Shuffled(Lines):
    turns = 0

    def mentions(self) -> Iterator[LabelledMention]:
        type(self).turns += 1
        found = list(super().mentions())
        return iter(found[::-1] if self.turns % 2 else found)


class LateSources(Lines):
    def __init__(self, request: DatasetRequest) -> None:
        super().__init__(request)
        self.late, self.sources = self.sources, {}

    def mentions(self) -> Iterator[LabelledMention]:
        self.sources = self.late
        return super().mentions()


class Silent(Lines):
    def __init__(self, request: DatasetRequest) -> None:
        BaseDataset.__init__(self)
        self.path = (request.data_root or Path()) / "lines.txt"
        self.sources["lines.txt"] = "0" * 64

    def mentions(self) -> Iterator[LabelledMention]:
        return super().mentions() if self.path.is_file() else iter(())


def dataset_kit(dataset: type[Lines], folder: Path) -> type[DatasetConformance]:
    class Kit(DatasetConformance):
        revision, subset, data_root = "1", "de", folder

        @classmethod
        def make_dataset(cls, request: DatasetRequest) -> BaseDataset:
            return dataset(request)

    return Kit


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    (tmp_path / "lines.txt").write_text("Für [Asthma] gilt:\nüber [Fieber]\n", encoding="utf-8")
    return tmp_path


def checks_of(kit: type[Any]) -> list[str]:
    return [name for name in dir(kit) if name.startswith("test_")]


@pytest.mark.parametrize("check", checks_of(DatasetConformance))
def test_a_good_dataset_passes(lines: Path, check: str) -> None:
    run_check(dataset_kit(Lines, lines), check)


@pytest.mark.parametrize(
    ("dataset", "check", "message"),
    [
        (BytesForCharacters, "test_spans_are_inside_the_document", "the document has 'sthma ' at its spans"),
        (SameIds, "test_ids_are_unique", "several times"),
        (NoGold, "test_mentions_are_labelled_and_well_formed", "LabelledMention"),
        (LongLanguage, "test_mentions_are_labelled_and_well_formed", "'German', not an ISO 639 code"),
        (SameDocument, "test_one_document_id_is_one_text", "two texts"),
        (Shuffled, "test_reading_again_gives_the_same", "another order"),
        (LateSources, "test_sources_are_hashed_before_they_are_read", "before mentions"),
        (Silent, "test_missing_files_are_an_error_with_advice", "without its files"),
    ],
)
def test_a_faulty_dataset_is_caught(dataset: type[Lines], check: str, message: str, lines: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=message):
        run_check(dataset_kit(dataset, lines), check)


def reciprocal(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    return {"reciprocal": np.where(hits.ranks <= hits.depth, 1.0 / hits.ranks, 0.0)}


def mean_of_all(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    values = reciprocal(hits)["reciprocal"]
    return {"reciprocal": np.full(len(hits), values.mean() if len(hits) else 0.0)}


def one_number(hits: Hits) -> Any:
    return {"reciprocal": reciprocal(hits)["reciprocal"].mean()}


def not_a_number(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    return {"reciprocal": np.where(hits.ranks <= hits.depth, 1.0 / hits.ranks, np.nan)}


def rank_itself(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    return {"rank": hits.ranks.astype(np.float64)}


def sorts_in_place(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    hits.gold_ranks[:] = hits.gold_ranks[::-1].copy()
    return reciprocal(hits)


def spaced(hits: Hits) -> Mapping[str, npt.NDArray[np.float64]]:
    return {"Mean rank": reciprocal(hits)["reciprocal"]}


def metric_kit(metric: Any) -> type[MetricConformance]:
    class Kit(MetricConformance):
        @classmethod
        def make_metric(cls) -> Metric:
            found: Metric = metric
            return found

    return Kit


@pytest.mark.parametrize("check", checks_of(MetricConformance))
def test_a_good_metric_passes(check: str) -> None:
    run_check(metric_kit(reciprocal), check)


@pytest.mark.parametrize(
    ("metric", "check", "message"),
    [
        (mean_of_all, "test_a_mention_counts_alike_wherever_it_stands", "depends on the other mentions"),
        (one_number, "test_gives_one_finite_value_a_mention", "not one value a mention"),
        (not_a_number, "test_gives_one_finite_value_a_mention", "not finite"),
        (rank_itself, "test_better_ranks_are_not_worse", "gets worse"),
        (sorts_in_place, "test_gives_one_finite_value_a_mention", "changes the arrays"),
        (spaced, "test_gives_one_finite_value_a_mention", "the figure name 'Mean rank'"),
    ],
)
def test_a_faulty_metric_is_caught(metric: Any, check: str, message: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=message):
        run_check(metric_kit(metric), check)


def app_of(function: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name="command")(function)
    return app


def without_help(word: str = "x") -> None:
    """Say something."""


def without_docstring(word: Annotated[str, typer.Option(help="What to say.")] = "x") -> None:
    print(word)


@pytest.mark.parametrize(
    ("factory", "check", "message"),
    [
        (lambda: app_of(without_help), "test_every_option_has_a_help_text", r"no help text for \['--word'\]"),
        (lambda: app_of(without_docstring), "test_every_option_has_a_help_text", "no docstring"),
        (lambda: without_help, "test_is_a_typer_application", "not a typer.Typer"),
    ],
)
def test_a_faulty_command_is_caught(factory: Any, check: str, message: str) -> None:
    class Kit(CommandConformance):
        @classmethod
        def make_app(cls) -> typer.Typer:
            made: typer.Typer = factory()
            return made

    with pytest.raises(pytest.fail.Exception, match=message):
        run_check(Kit, check)


def test_a_knowledge_base_that_depends_on_the_day_is_caught() -> None:
    from bioelx_bench.testing import make_knowledge_base

    turns = iter(range(100))

    class Kit(KnowledgeBaseConformance):
        @classmethod
        def build(cls, folder: Path, environment: Environment) -> None:
            names = [("C0004096", "en", f"asthma {next(turns)}")]
            made = make_knowledge_base(folder.parent / f"other{next(turns)}", names)
            for path in sorted(made.folder.iterdir()):
                path.rename(folder / path.name)

    run_check(Kit, "test_every_concept_can_be_read")
    with pytest.raises(pytest.fail.Exception, match="sort rows, and leave times and paths out"):
        run_check(Kit, "test_a_second_build_is_the_same")
