from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.records import Interpolation
from bioelx_bench.runs.comparing import compare, decided
from bioelx_bench.runs.rescoring import rescore
from bioelx_bench.runs.run_result import RunResult, load_run, runs
from bioelx_bench.scoring import figures
from bioelx_bench.scoring.evaluation import NamedMetric

RECALL = NamedMetric(name="recall", plugin="bioelx-bench", function=figures.recall)


@pytest.fixture
def finished(run_arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, RunResult]:
    """A run with and one without a ranker, in one folder of runs."""
    found = {}
    for name, extra in (("plain", []), ("ranked", ["--ranker", "context"])):
        assert invoke([*run_arguments, *extra]) == 0
        run_id = json.loads(capsys.readouterr().out)["run_id"]
        output = Path(run_arguments[run_arguments.index("--output") + 1])
        found[name] = load_run(output / run_id)
    return found


def test_rows_agree_with_the_scores(finished: dict[str, RunResult]) -> None:
    run = finished["ranked"]
    rows = run.to_pandas()
    german = rows[rows["subset"] == "de"]
    assert (german["ranking_rank"] == 1).mean() == run.scores["de"].stage("ranking").figures["recall@1"]
    assert all(
        (p in g) == (r == 1)
        for p, g, r in zip(rows["predicted"], rows["gold"], rows["ranking_rank"].fillna(0), strict=True)
    )
    assert rows["evidence"].notna().any()
    frame = run.to_frame()
    assert list(frame.index) == ["de", "th", "macro", "micro"]
    assert frame.loc["de", "recall@1"] == run.scores["de"].stage("ranking").figures["recall@1"]
    assert "<table>" in run._repr_html_()


def test_texts_are_joined_where_the_dataset_is_there(finished: dict[str, RunResult], small_kb: Path) -> None:
    from bioelx_bench.records import Document, LabelledMention

    run = finished["plain"]
    ids = run.predictions().column("mention_id").to_pylist()

    def mentions() -> dict[str, list[LabelledMention]]:
        document = Document("d", "some context", "de")
        return {"de": [LabelledMention(i, document, (), "text of " + i, "de", (), ("T047",)) for i in ids]}

    rows = run.with_data(mentions).to_pandas()
    assert rows["mention"].tolist() == ["text of " + i for i in ids]
    assert rows["semantic_types"][0] == ["T047"]
    assert "mention" not in run.to_pandas().columns
    with pytest.raises(DataError, match="has no mention"):
        run.with_data(dict).to_pandas()


def test_a_metric_is_added_without_a_new_run(finished: dict[str, RunResult]) -> None:
    run = finished["ranked"]

    def right_and_alone(hits: Any) -> Any:
        lists, gold = hits.lists(), hits.gold()
        return {"first": np.array([bool(c and c[0] in g) for c, g in zip(lists, gold, strict=True)], float)}

    scored = run.rescore({"first": right_and_alone})
    assert scored.result.run_id == run.result.run_id
    for name, row in scored.scores.items():
        for stage in ("retrieval", "ranking"):
            assert row.stage(stage).figures["first"] == row.stage(stage).figures["recall@1"]
            assert row.in_kb.stage(stage).figures["first"] == row.in_kb.stage(stage).figures["recall@1"]
            assert row.stage(stage).figures["recall@1"] == run.scores[name].stage(stage).figures["recall@1"]
        assert row.slices == {} or "first" in row.slices["exact"].retrieval.figures
    assert load_run(run.folder).result == scored.result


@pytest.mark.parametrize(
    "file", ["candidates.jsonl", "rankings.jsonl", "result.json", "predictions.parquet", "manifest.json"]
)
def test_a_changed_file_is_noticed_and_named(
    finished: dict[str, RunResult], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished["ranked"]
    path = run.folder / file
    content = path.read_bytes()
    place = content.rfind(b"1")
    path.write_bytes(content[:place] + b"2" + content[place + 1 :])
    with pytest.raises(DataError, match=f"{file} was changed"):
        load_run(run.folder)
    with pytest.raises(DataError, match=f"{file} was changed"):
        compare([finished["plain"], run])
    assert invoke(["show", str(run.folder)]) == 1
    assert "--fresh" in capsys.readouterr().err


def test_a_lost_seal_is_an_error(finished: dict[str, RunResult]) -> None:
    (finished["plain"].folder / "seal.json").unlink()
    with pytest.raises(DataError, match="no seal"):
        load_run(finished["plain"].folder)


def test_a_mix_is_a_run_of_its_own_from_the_same_answers(finished: dict[str, RunResult]) -> None:
    run = finished["ranked"]
    output = run.folder.parent
    retriever = rescore(run, Interpolation(0.0), [RECALL], output)
    for name, row in retriever.scores.items():
        assert row.stage("ranking").figures == row.retrieval.figures
        assert row.retrieval.figures["recall@1"] == run.scores[name].retrieval.figures["recall@1"]
    half = rescore(run, Interpolation(0.5), [RECALL], output)
    assert len({run.result.run_id, retriever.result.run_id, half.result.run_id}) == 3
    assert half.manifest()["rescored_from"]["run_id"] == run.result.run_id
    assert rescore(retriever, Interpolation(0.5), [RECALL], output).result == half.result
    own = rescore(half, None, [RECALL], output)
    for name, row in own.scores.items():
        assert (
            row.stage("ranking").figures["recall@1"] == run.scores[name].stage("ranking").figures["recall@1"]
        )
    assert {r.result.run_id for r in runs(output)} >= {half.result.run_id, own.result.run_id}
    with pytest.raises(UsageError, match="no ranker"):
        rescore(finished["plain"], Interpolation(0.5), [RECALL], output)


def test_rescore_on_the_command_line(
    finished: dict[str, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished["ranked"]
    assert invoke(["rescore", str(run.folder), "--mix", "0.3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["interpolation"] == {"weight": 0.3, "temperature": 1.0}
    assert load_run(run.folder.parent / result["run_id"]).result.run_id == result["run_id"]
    for wrong in (["--mix", "1.5"], ["--temperature", "0"], [], ["--own-order", "--mix", "0.1"]):
        assert invoke(["rescore", str(run.folder), *wrong]) == 2
    assert invoke(["rescore", "no-such-run", "--mix", "0.1"]) == 3


def test_runs_are_compared(
    finished: dict[str, RunResult], run_arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain, ranked = finished["plain"], finished["ranked"]
    data = compare([plain, ranked], cutoffs=(1, 5))
    assert data.figures == ("recall@1", "recall@5")
    rows = {(r.subset, r.figure): r for r in data.pairs[0].differences}
    assert set(rows) == {(s, f) for s in ("de", "th", "macro") for f in data.figures}
    for (subset, figure), row in rows.items():
        assert row.first == pytest.approx(plain.scores[subset].retrieval.figures[figure])
        assert row.second == pytest.approx(ranked.scores[subset].stage("ranking").figures[figure])
        assert row.ci95 is not None
        assert row.ci95[0] <= row.difference <= row.ci95[1]
        assert row.wins + row.ties + row.losses == plain.scores[subset].n
        assert row.p <= row.p_holm <= 1
    found = list(decided(plain, ranked))
    macro = rows["macro", "recall@1"]
    assert sum(m.right == 1 for m in found) == macro.wins
    assert sum(m.right == 0 for m in found) == macro.losses
    folders = [str(run.folder) for run in (plain, ranked)]
    for form, expected in (
        ("markdown", "| recall@1 | de |"),
        ("latex", "\\toprule"),
        ("json", '"p_holm"'),
        ("table", "won/tied/lost"),
    ):
        assert invoke(["compare", *folders, "--to", form, "--show", "2"]) == 0
        out = capsys.readouterr().out
        assert expected in out
        assert form != "table" or max(map(len, out.splitlines())) <= 80
    assert invoke(["compare", *folders, "--metric", "mrr", "--json"]) == 0
    assert "mrr" in json.loads(capsys.readouterr().out)["figures"]
    assert invoke([a.replace("150", "100") for a in run_arguments]) == 0
    other = json.loads(capsys.readouterr().out)["run_id"]
    assert invoke(["compare", folders[0], str(plain.folder.parent / other)]) == 2
    assert "same mentions" in capsys.readouterr().err
    assert invoke(["compare", folders[0]]) == 2
    assert invoke(["compare", *folders, "--k", "x"]) == 2


def test_runs_are_listed_shown_and_removed_by_what_they_are(
    finished: dict[str, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    output = finished["plain"].folder.parent
    where = ["--output", str(output)]
    assert invoke(["runs", *where, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["run_id"] for row in listed} == {r.result.run_id for r in finished.values()}
    assert invoke(["runs", *where, "--ranker", "none", "--json"]) == 0
    assert [r["run_id"] for r in json.loads(capsys.readouterr().out)] == [finished["plain"].result.run_id]
    assert invoke(["runs", *where]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert invoke(["show", *where, "context"]) == 0
    out = capsys.readouterr().out
    assert finished["ranked"].result.run_id in out
    assert "time:" in out
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith(("bioelx-bench", "/")))
    assert invoke(["show", *where, "words"]) == 2
    assert "2 runs match" in capsys.readouterr().err
    assert invoke(["show", *where, "nothing-of-this-name"]) == 3
    assert invoke(["runs", *where, "--ranker", "context", "--prune", "--yes"]) == 0
    assert not finished["ranked"].folder.exists()
    assert finished["plain"].folder.exists()
    (finished["plain"].folder / "result.json").write_text("{}")
    assert invoke(["runs", *where, "--unfinished", "--prune", "--yes"]) == 0
    assert not finished["plain"].folder.exists()
