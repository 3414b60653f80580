"""The library as a notebook uses it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bioelx_bench
from bioelx_bench import evaluate, link
from bioelx_bench.base import BaseRetriever
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.records import Candidate, Document, LabelledMention, Mention, Ranking

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Grams, Reverse

pytestmark = pytest.mark.usefixtures("cache")


def test_exported_names_are_pinned_and_shown() -> None:
    assert bioelx_bench.__all__ == [
        *(
            "BaseDataset",
            "BaseRanker",
            "BaseRetriever",
            "LinkedMention",
            "RunConfig",
            "RunResult",
            "Workspace",
        ),
        *(
            "compare",
            "evaluate",
            "hookimpl",
            "link",
            "load_dataset",
            "load_run",
            "open_knowledge_base",
            "runs",
        ),
    ]
    assert set(bioelx_bench.__all__) <= set(dir(bioelx_bench))
    for name in bioelx_bench.__all__:
        assert callable(getattr(bioelx_bench, name))


def test_a_live_retriever_is_evaluated(
    tmp_path: Path, kb_folder: Path, mentions: list[LabelledMention]
) -> None:
    run = evaluate(mentions, Grams(), kb=kb_folder, k=3, output=tmp_path / "runs")
    assert run.scores["de"].retrieval.figures["recall@1"] == 0.75
    assert run.scores["de"].coverage == 0.75
    frame = run.to_pandas()
    assert list(frame["mention"]) == [m.text for m in mentions]
    assert "R@1" in run._repr_html_()
    again = evaluate(mentions, Grams(), kb=kb_folder, k=3, output=tmp_path / "runs")
    assert again.folder == run.folder
    ranked = evaluate(mentions, Grams(), Reverse(), kb=kb_folder, k=3, output=tmp_path / "runs")
    assert ranked.result.ranker is not None
    assert ranked.folder != run.folder
    assert len(bioelx_bench.runs(tmp_path / "runs")) == 2
    assert bioelx_bench.load_run(run.folder).result == run.result


def test_command_keyword_and_repetition_give_one_result(
    tmp_path: Path, kb_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "grams.py"
    head = (
        "from bioelx_bench import hookimpl\nfrom bioelx_bench.declarations import RetrieverSpec\n"
        "@hookimpl\ndef retrievers():\n"
        "    return [RetrieverSpec(name='grams', summary='s', factory=__name__ + ':make')]\n"
        "def make(options, environment):\n    return Grams()\n"
    )
    plugin.write_text(
        (Path(__file__).parent / "conftest.py").read_text().replace("@pytest.fixture\n", "") + head
    )
    arguments = [
        "run",
        "--plugin",
        str(plugin),
        "--retriever",
        "grams",
        "--dataset",
        "xl-bel",
        "--subset",
        "de",
    ]
    arguments += [
        "--limit",
        "20",
        "--kb",
        str(kb_folder),
        "--k",
        "5",
        "--output",
        str(tmp_path / "a"),
        "--json",
    ]
    assert invoke(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    workspace = bioelx_bench.Workspace(plugin_files=[plugin])
    options: dict[str, Any] = {"subset": "de", "limit": 20, "k": 5, "output": tmp_path / "b"}
    second = evaluate("xl-bel", "grams", kb=str(kb_folder), workspace=workspace, **options)
    stored = json.loads((second.folder / "result.json").read_text())
    assert {k: v for k, v in stored.items() if k != "timing"} == {
        k: v for k, v in first.items() if k != "timing"
    }
    live = sys.modules["bioelx_bench_local_grams"].Grams()
    third = json.loads(
        (
            evaluate("xl-bel", live, kb=str(kb_folder), workspace=workspace, **options).folder / "result.json"
        ).read_text()
    )
    for record in (stored, third):
        for field in ("timing", "run_id"):
            record.pop(field)
        for field in ("name", "plugin"):
            record["retriever"].pop(field)
    assert third == stored


class NoSearch:
    pass


def test_objects_without_the_methods_are_named_with_the_signature(kb_folder: Path, mentions: Any) -> None:
    with pytest.raises(UsageError, match="no method 'search'") as caught:
        evaluate(mentions, NoSearch(), kb=kb_folder)  # type: ignore[arg-type]
    assert "search(self, mentions, k" in str(caught.value)
    with pytest.raises(UsageError, match="not a LabelledMention"):
        evaluate([m.unlabelled() for m in mentions], Grams(), kb=kb_folder)
    with pytest.raises(UsageError, match="is a class"):
        evaluate(mentions, Grams, kb=kb_folder)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"k": "many"}, "k must be a whole number at least 1 and at most 100000, not 'many'"),
        ({"k": True}, "k must be a whole number"),
        ({"seed": -1}, "seed must be a whole number at least 0"),
        ({"rerank_dept": 3}, "did you mean 'rerank_depth'"),
    ],
)
def test_wrong_options_have_one_sentence(
    options: dict[str, Any],
    expected: str,
    kb_folder: Path,
    mentions: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(mentions, Grams(), kb=kb_folder, **options)
    assert expected in caught.value.what
    (name, value), *_ = options.items()
    settings = tmp_path / "settings.toml"
    settings.write_text(f"{name} = {json.dumps(value)}\n")
    assert invoke(["config", "--config", str(settings)]) == 2
    shown = capsys.readouterr().err
    assert expected in shown
    assert f"{name} in {settings}" in shown


def broken(change: Callable[[Mention, list[Candidate]], Any]) -> BaseRetriever:
    """A retriever whose lists are changed before they are given."""

    class Broken(Grams):
        model_revision = change.__name__ + str(id(change))

        def search(self, mentions: Sequence[Mention], k: int, unit: str = "concept") -> Any:
            return [change(m, c) for m, c in zip(mentions, super().search(mentions, k), strict=True)]

    return Broken()


def rename(mention: Mention, found: list[Candidate]) -> None:
    object.__setattr__(mention, "text", "other")


HOSTILE: dict[str, tuple[Callable[[Mention, list[Candidate]], Any], str]] = {
    "gold": (lambda m, c: m.gold, "AttributeError"),  # type: ignore[attr-defined]
    "unknown": (lambda m, c: [Candidate("C9999999", 1.0, "x")], "which the knowledge base does not have"),
    "name": (lambda m, c: [Candidate("C0004096", 1.0, "dengue")], "none of the concept"),
    "twice": (lambda m, c: [Candidate("C0004096", 1.0, "asthma")] * 2, "twice"),
    "order": (
        lambda m, c: [Candidate("C0004096", 1.0, "asthma"), Candidate("C0011311", 2.0, "dengue")],
        "not best first",
    ),
    "nan": (lambda m, c: [Candidate("C0004096", math.nan, "asthma")], "not finite"),
    "inf": (lambda m, c: [Candidate("C0004096", math.inf, "asthma")], "not finite"),
    "text": (lambda m, c: [Candidate("C0004096", "1.0", "asthma")], "no number"),  # type: ignore[arg-type]
    "bool": (lambda m, c: [Candidate("C0004096", True, "asthma")], "no number"),
    "tuple": (lambda m, c: [("C0004096", 1.0, "asthma")], "in place of a Candidate"),
    "none": (lambda m, c: None, "in place of a list"),
    "id": (lambda m, c: [Candidate(4096, 1.0, "asthma")], "must be str"),  # type: ignore[arg-type]
    "many": (lambda m, c: [Candidate("C0004096", 1.0, "asthma")] * 9, "where k=3"),
    "mutated": (lambda m, c: rename(m, c) or c, "changed the mention"),
    "raises": (lambda m, c: 1 / 0, "ZeroDivisionError"),
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_hostile_retriever_is_refused_with_mention_and_line(
    case: str, tmp_path: Path, kb_folder: Path, mentions: Any
) -> None:
    change, expected = HOSTILE[case]
    with pytest.raises(BenchError) as caught:
        evaluate(mentions, broken(change), kb=kb_folder, k=3, output=tmp_path / "runs")
    text = str(caught.value)
    assert expected in text
    assert "Broken" in text
    assert f"{Path(__file__).name}:" in text
    assert "bug in bioelx-bench" not in text
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_numbers_of_numpy_are_simply_taken(tmp_path: Path, kb_folder: Path, mentions: Any) -> None:
    taken = broken(lambda m, c: [Candidate(x.concept_id, np.float32(x.score), x.name) for x in c])  # type: ignore[arg-type]
    run = evaluate(mentions, taken, kb=kb_folder, k=3, output=tmp_path / "runs")
    assert run.scores["de"].retrieval.figures["recall@1"] == 0.75


RANKINGS: dict[str, tuple[Callable[[Mention, Sequence[Candidate]], Any], str]] = {
    "lost": (lambda m, c: Ranking(m.id, tuple(c)[:-1]), "no permutation"),
    "score": (
        lambda m, c: Ranking(m.id, tuple(Candidate(x.concept_id, 9.0, x.name) for x in c)),
        "score or name",
    ),
    "evidence": (lambda m, c: Ranking(m.id, tuple(c), (1.0,) * (len(c) + 1)), "values of evidence"),
    "nan": (lambda m, c: Ranking(m.id, tuple(c), (math.nan,) * len(c)), "finite"),
    "type": (lambda m, c: "first", "in place of a Ranking"),
    "other": (lambda m, c: Ranking("x", tuple(c)), "not asked for"),
    "raises": (lambda m, c: {}["x"], "KeyError"),
}


@pytest.mark.parametrize("case", list(RANKINGS))
def test_a_hostile_ranker_is_refused(case: str, tmp_path: Path, kb_folder: Path, mentions: Any) -> None:
    make, expected = RANKINGS[case]

    class Hostile(Reverse):
        model_revision = case

        def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Any:
            return make(mention, candidates)

    everything = broken(
        lambda m, c: [Candidate("C0004096", 2.0, "asthma"), Candidate("C0011311", 1.0, "dengue")]
    )
    with pytest.raises(BenchError, match=expected) as caught:
        evaluate(mentions, everything, Hostile(), kb=kb_folder, k=3, output=tmp_path / "runs")
    assert "Hostile" in str(caught.value)
    assert f"{Path(__file__).name}:" in str(caught.value)


class Failing(Reverse):
    """Fails for some mentions until told not to."""

    model_revision = "failing"
    failing: tuple[str, ...] = ()

    def identity(self) -> dict[str, str]:
        return {}

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        status = "failed" if mention.id in self.failing else "ok"
        error = "429 out of quota" if status == "failed" else ""
        return Ranking(mention.id, tuple(candidates), status=status, error=error)


def test_failed_work_is_no_success_and_is_asked_again(tmp_path: Path, kb_folder: Path, mentions: Any) -> None:
    everything = broken(
        lambda m, c: [Candidate("C0004096", 2.0, "asthma"), Candidate("C0011311", 1.0, "dengue")]
    )
    ranker = Failing()
    options: dict[str, Any] = {"kb": kb_folder, "k": 3, "output": tmp_path / "runs"}
    ranker.failing = ("m1",)
    with pytest.raises(BenchError, match="429 out of quota"):
        evaluate(mentions, everything, ranker, **options)
    ranker.failing = tuple(m.id for m in mentions)
    with pytest.raises(BenchError, match="429 out of quota"):
        evaluate(mentions, everything, ranker, max_errors=100, **options)
    ranker.failing = ("m1",)
    run = evaluate(mentions, everything, ranker, max_errors=0.5, **options)
    assert run.result.usage.errors == 1


def test_text_without_gold_is_linked(kb_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = link(
        ["fever after [dengue] in a child with [asthma]", "diabetes"], Grams(), Reverse(), kb=kb_folder, k=3
    )
    assert [one.mention.text for one in found] == ["dengue", "asthma", "diabetes"]
    assert found[0].mention.document.text == "fever after dengue in a child with asthma"
    assert found[0].mention.document.text[slice(12, 18)] == "dengue"
    assert found[2].mention.document.text == ""
    plain = link("[dengue]", Grams(), kb=kb_folder)
    assert plain[0].best is not None
    assert plain[0].best.concept_id == "C0011311"
    hostile = link([Mention("x", Document("d", "", "en"), (), "<script>dengue", "en")], Grams(), kb=kb_folder)
    assert "<script>" not in hostile[0]._repr_html_()
    for wrong in ("a [b", "a] b", "a []", "[a [b]]", ""):
        with pytest.raises(UsageError):
            link(wrong, Grams(), kb=kb_folder)


def test_another_code_is_another_run(
    tmp_path: Path, kb_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "edited.py"
    source = (Path(__file__).parent / "conftest.py").read_text().replace("@pytest.fixture\n", "") + (
        "from bioelx_bench import hookimpl\nfrom bioelx_bench.declarations import RetrieverSpec\n"
        "@hookimpl\ndef retrievers():\n"
        "    return [RetrieverSpec(name='grams', summary='s', factory=__name__ + ':make')]\n"
        "def make(options, environment):\n    return Grams()\n"
    )
    arguments = [
        "run",
        "--plugin",
        str(plugin),
        "--retriever",
        "grams",
        "--dataset",
        "xl-bel",
        "--subset",
        "de",
    ]
    arguments += ["--limit", "5", "--kb", str(kb_folder), "--output", str(tmp_path / "runs"), "--json"]
    ids = []
    for text in (source, source.replace("i + 3", "i + 4")):
        plugin.write_text(text)
        sys.modules.pop("bioelx_bench_local_edited", None)
        assert invoke(arguments) == 0
        captured = capsys.readouterr()
        ids.append(json.loads(captured.out)["run_id"])
    assert ids[0] != ids[1]
    assert "the code of the retriever is another one" in captured.err
