"""Components that give what cannot be: refused where it occurs, as the component's error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bioelx_bench.base import BaseDataset, BaseRanker, BaseRetriever, Notes
from bioelx_bench.cli.main import invoke
from bioelx_bench.datasets.prepare import CheckedDataset
from bioelx_bench.errors import BenchError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.records import Candidate, Document, LabelledMention, Mention, Ranking, Span, Unit, Usage
from bioelx_bench.runs.foreign import Origin
from bioelx_bench.runs.ranking import CheckedRanker
from bioelx_bench.runs.retrieval import CheckedRetriever, notes_of

MENTION = Mention(id="m", document=Document("d", "a text", "en"), spans=(), text="text", language="en")
GIVEN = (Candidate("C1", 0.5, "a"), Candidate("C2", 0.25, "b"))
HUGE = 10**400


def ranking(**changes: Any) -> Ranking:
    return Ranking(**{"mention_id": "m", "candidates": GIVEN, **changes})


RANKINGS: dict[str, Any] = {
    "no ranking": 5,
    "another mention": ranking(mention_id="x"),
    "a mention that is no text": ranking(mention_id=[5]),
    "one lost": ranking(candidates=GIVEN[:1]),
    "one added": ranking(candidates=(*GIVEN, Candidate("C3", 1.0, "c"))),
    "one twice": ranking(candidates=(GIVEN[0], GIVEN[0])),
    "another score": ranking(candidates=(Candidate("C1", 9.0, "a"), GIVEN[1])),
    "another name": ranking(candidates=(Candidate("C1", 0.5, "x"), GIVEN[1])),
    "no candidates": ranking(candidates=None),
    "short evidence": ranking(evidence=(1.0,)),
    "evidence of another type": ranking(evidence=5),
    "evidence as text": ranking(evidence=("x", "y")),
    "evidence NaN": ranking(evidence=(float("nan"), 1.0)),
    "evidence beyond floats": ranking(evidence=(HUGE, 1)),
    "usage of another type": ranking(usage="x"),
    "negative usage": ranking(usage=Usage(-1, 0, 0, 0.0)),
    "endless usage": ranking(usage=Usage(HUGE, 0, 0, 0.0)),
    "endless cost": ranking(usage=Usage(1, 0, 0, HUGE)),
    "fallbacks as list": ranking(fallbacks=[1]),
    "a fallback as text": ranking(fallbacks={"x": "y"}),
    "endless fallbacks": ranking(fallbacks={"x": HUGE}),
    "a status with an escape": ranking(status="won\x1b[31m"),
    "a status that is no text": ranking(status=3),
    "nil as text": ranking(nil="x"),
    "an error that is no text": ranking(error=3),
}


class Given(BaseRanker):
    """Answers as it is told."""

    model_revision = "1"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def rank(self, mention: Mention, candidates: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def asked(answer: Any) -> list[Ranking]:
    ranker = Given(answer)
    return list(CheckedRanker(ranker, Origin("ranker", "given", None, ranker)).rank([(MENTION, GIVEN)]))


@pytest.mark.parametrize("case", RANKINGS)
def test_a_ranking_that_cannot_be_is_refused(case: str) -> None:
    with pytest.raises(BenchError, match="the ranker 'given'") as caught:
        asked(RANKINGS[case])
    assert len(str(caught.value)) < 2000


def test_a_ranking_with_half_a_character_in_its_error_can_be_written() -> None:
    (found,) = asked(ranking(status="failed", error="no \udcff"))
    assert found.error == "no \\udcff"


@pytest.mark.parametrize(
    "error", [KeyError("x"), SystemExit(0), asyncio.CancelledError(), BaseException("x"), StopIteration()]
)
def test_whatever_a_component_raises_is_its_own_error(error: BaseException) -> None:
    with pytest.raises(BenchError, match="the ranker 'given'"):
        asked(error)


class Searching(BaseRetriever):
    """Finds what it is told, and has the notes that it is told."""

    model_revision = "1"
    units = ("concept",)

    def __init__(self, answer: Callable[[list[Mention]], Any], notes: Notes | None = None) -> None:
        self.answer = answer
        self.told = notes

    def index_identity(self) -> dict[str, Any]:
        return {}

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        pass

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        pass

    def search(self, mentions: Any, k: int, unit: Unit = "concept") -> Any:
        return self.answer(mentions)

    def notes(self) -> Any:
        return self.told


def change(mentions: list[Mention]) -> list[list[Candidate]]:
    object.__setattr__(mentions[0], "text", "another")
    return [[] for _ in mentions]


def searched(kb: KnowledgeBase, answer: Callable[[list[Mention]], Any]) -> list[list[Candidate]]:
    retriever = Searching(answer)
    origin = Origin("retriever", "searching", None, retriever)
    return CheckedRetriever(retriever, origin, kb, 2, "concept").search([MENTION])


@pytest.mark.parametrize(
    "score", [float("nan"), float("inf"), HUGE, 1j, True, "1", None, np.bool_(True), b"1"]
)
def test_a_score_that_is_no_finite_number_is_refused(small_kb: Path, score: Any) -> None:
    kb = KnowledgeBase.open(small_kb)
    with pytest.raises(BenchError, match=r"the retriever 'searching'.*for the mention m"):
        searched(kb, lambda _: [[Candidate(kb.concept_id(0), score, kb.name_text(0))]])


def test_numbers_of_numpy_are_taken(small_kb: Path) -> None:
    kb = KnowledgeBase.open(small_kb)
    name = kb.name_text(int(kb.name_offsets[0]))
    ((found,),) = searched(kb, lambda _: [[Candidate(kb.concept_id(0), np.float32(0.5), name)]])  # type: ignore[arg-type]
    assert type(found.score) is float


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: None,
        lambda _: [],
        lambda _: [[], []],
        lambda _: ["ab"],
        lambda _: ([] for _ in range(1)),
        lambda _: [[Candidate("C9999999", 1.0, "x")]],
        lambda _: [[("C0000001", 1.0, "x")]],
        lambda mentions: [[Candidate(mentions[0].gold[0], 1.0, "x")]],
        change,
    ],
)
def test_an_answer_that_cannot_be_is_refused(small_kb: Path, answer: Any) -> None:
    with pytest.raises(BenchError, match="the retriever 'searching'"):
        searched(KnowledgeBase.open(small_kb), answer)


def deep(levels: int) -> list[Any]:
    return [] if levels == 0 else [deep(levels - 1)]


@pytest.mark.parametrize(
    "notes",
    [
        5,
        Notes(counts={"n": 1.5}),  # type: ignore[dict-item]
        Notes(counts={"n": HUGE}),
        Notes(facts={"f": float("nan")}),
        Notes(facts={"f": HUGE}),
        Notes(facts={"f": "\udcff"}),
        Notes(facts={"f": object()}),
        Notes(facts={"f": deep(500)}),
    ],
)
def test_notes_that_cannot_be_written_are_refused(notes: Any) -> None:
    retriever = Searching(lambda _: [], notes)
    with pytest.raises(BenchError, match="the retriever 'searching'") as caught:
        notes_of(retriever, Origin("retriever", "searching", None, retriever))
    assert len(str(caught.value)) < 2000


def labelled(**changes: Any) -> LabelledMention:
    fields = {"id": "m", "document": Document("d", "a text", "en"), "spans": (Span(2, 6),), "text": "text"}
    return LabelledMention(**{**fields, "language": "en", "gold": ("C0000001",), **changes})


class Reading(BaseDataset):
    """Gives what it is told."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def mentions(self) -> Iterator[LabelledMention]:
        if isinstance(self.given, BaseException):
            raise self.given
        yield self.given


@pytest.mark.parametrize(
    "given",
    [
        5,
        MENTION,
        KeyError("x"),
        SystemExit(0),
        labelled(id=5),
        labelled(text=None),
        labelled(language=3),
        labelled(document="a text"),
        labelled(document=Document("d", None, "en")),  # type: ignore[arg-type]
        labelled(gold="C0000001"),
        labelled(gold=(5,)),
        labelled(gold=None),
        labelled(spans=((2, 6),)),
    ],
)
def test_a_mention_that_cannot_be_is_refused(given: Any) -> None:
    dataset = CheckedDataset(Origin("dataset", "reading", None, Reading), lambda _: Reading(given), None)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match="the dataset 'reading'"):
        list(dataset.mentions())


class Forgetful(Reading):
    def __init__(self) -> None:
        self.given = None


@pytest.mark.parametrize("made", [Forgetful, lambda: 5, lambda: {}["x"]])
def test_what_is_no_dataset_is_refused(made: Callable[[], Any]) -> None:
    with pytest.raises(BenchError, match="the dataset 'reading'"):
        CheckedDataset(Origin("dataset", "reading", None, Forgetful), lambda _: made(), None)  # type: ignore[arg-type]


def test_control_characters_in_data_are_shown_as_codes(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "m.csv"
    table.write_text(
        "id,mention,gold,language\nm\x1b[31m,\u202eab\x1b]0;x\x07,C0000001,en\n", encoding="utf-8"
    )
    assert invoke(["datasets", "show", "table", "-D", f"path={table}"]) == 0
    out = capsys.readouterr().out
    assert "<U+001B>" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
