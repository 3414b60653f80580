"""Exports: other evaluators must find our figures in them, and papers and spreadsheets must take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bioelx_bench_report.exports import word
from bioelx_bench_report.loading import DataSource, Runs, load_runs
from bioelx_bench_report.paper_tables import escape_latex, escape_markdown, latex, markdown, paper_table

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.cli.main import invoke
from bioelx_bench.plugins import load_plugins
from bioelx_bench.runs.run_result import load_run

HOSTILE = "a_b & 100% $x$ {y} \\end{table} #1 ~^ | `c` <i>"


@pytest.fixture(scope="module")
def loaded(runs: Sequence[str], kb_folder: str, cache: str) -> Runs:
    environment = Environment(cache=Cache(Path(cache)), plugins=load_plugins())
    return load_runs(runs, Path("runs"), DataSource(kb=kb_folder), environment)


def expected(run: str) -> dict[str, float]:
    """Our figures over all mentions, after the last stage."""
    result = load_run(run).result
    figures = result.scores["micro"].stage(result.stage).figures
    return {name: value for name, value in figures.items() if value is not None}


def test_ir_measures_finds_our_figures(runs: Sequence[str], tmp_path: Path) -> None:
    measures = pytest.importorskip("ir_measures", reason="skipped: ir-measures is not installed")
    assert invoke(["export", *runs, "--to", "trec", "--output", str(tmp_path)]) == 0
    qrels = list(measures.read_trec_qrels(str(tmp_path / "qrels.txt")))
    for run in runs:
        ours = expected(run)
        file = next(tmp_path.glob(f"*-{Path(run).name[:8]}.run"))
        names = {"mrr": measures.RR}
        for k in (1, 5, 10):
            names |= {
                f"recall@{k}": measures.Success @ k,
                f"ndcg@{k}": measures.nDCG @ k,
                f"map@{k}": measures.AP @ k,
            }
        theirs = measures.calc_aggregate(list(names.values()), qrels, list(measures.read_trec_run(str(file))))
        for name, measure in names.items():
            assert theirs[measure] == pytest.approx(ours[name], abs=1e-12), name


def test_ranx_finds_our_figures(runs: Sequence[str], tmp_path: Path) -> None:
    ranx = pytest.importorskip("ranx", reason="skipped: ranx is not installed")
    assert invoke(["export", *runs, "--to", "ranx", "--output", str(tmp_path)]) == 0
    qrels = ranx.Qrels.from_file(str(tmp_path / "qrels.json"), kind="json")
    names = {"mrr": "mrr", **{f"recall@{k}": f"hit_rate@{k}" for k in (1, 5, 10)}}
    names |= {f"{name}@{k}": f"{name}@{k}" for name in ("ndcg", "map") for k in (1, 5, 10)}
    for run in runs:
        ours = expected(run)
        file = next(tmp_path.glob(f"*-{Path(run).name[:8]}.json"))
        theirs = ranx.evaluate(
            qrels, ranx.Run.from_file(str(file), kind="json"), list(names.values()), make_comparable=True
        )
        for name, other in names.items():
            assert theirs[other] == pytest.approx(ours[name], abs=1e-12), name


def test_rows_are_those_of_the_library(runs: Sequence[str], kb_folder: str, tmp_path: Path) -> None:
    import pandas as pd

    common = ["export", *runs, "--kb", kb_folder]
    for form in ("csv", "parquet"):
        assert invoke([*common, "--to", form, "--output", str(tmp_path / f"rows.{form}")]) == 0
        scores = [*common, "--to", form, "--rows", "scores", "--output", str(tmp_path / f"scores.{form}")]
        assert invoke(scores) == 0
    plain, typed = pd.read_csv(tmp_path / "rows.csv"), pd.read_parquet(tmp_path / "rows.parquet")
    assert len(plain) == len(typed) == 600 * len(runs)
    assert list(plain["mention_id"]) == list(typed["mention_id"])
    assert json.loads(plain["gold"][0]) == list(typed["gold"][0])
    assert {"language", "mention", "context", "gold_names", "predicted_name"} <= set(typed.columns)
    frame = load_run(runs[2]).to_pandas()
    ours = typed[typed["run_id"] == load_run(runs[2]).result.run_id]
    assert list(ours["predicted"].fillna("")) == list(frame["predicted"].fillna(""))
    table = pd.read_csv(tmp_path / "scores.csv")
    macro = table[(table["subset"] == "macro") & (table["run_id"] == load_run(runs[0]).result.run_id)]
    assert macro["recall@1"].item() == pytest.approx(load_run(runs[0]).to_frame().loc["macro", "recall@1"])


def test_tables_of_papers(loaded: Runs, tmp_path: Path) -> None:
    strange = replace(loaded, labels=(HOSTILE, *loaded.labels[1:]))
    table = paper_table(strange, "recall@1", load_plugins())
    assert table.subsets[-1] == "macro"
    for place in range(len(table.subsets)):
        column = [row[place] for row in table.cells]
        values = [cell.value for cell in column if cell.value is not None]
        assert [cell.value == max(values) for cell in column] == [cell.best for cell in column]
        assert column[0].mark == ""
    marks = {cell.mark for row in table.cells[1:] for cell in row}
    assert marks <= {"", "+", "-"}
    text = latex(table)
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(table.systems)
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == len(table.subsets)
        assert line.endswith(r"\\")
    assert text.count(r"\textbf") == sum(cell.best for row in table.cells for cell in row)
    assert r"\end{table} #" not in text
    shown = markdown(table)
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(table.subsets) + 2}
    assert escape_markdown("a|b<i>") == r"a\|b\<i\>"
    compile_latex(text, tmp_path)


def compile_latex(text: str, folder: Path) -> None:
    """Compile a table where a TeX is there; its structure was checked before."""
    if (program := shutil.which("tectonic") or shutil.which("pdflatex")) is None:
        return
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
    (folder / "table.tex").write_text(document, encoding="utf-8")
    flags = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in program else []
    subprocess.run([program, *flags, "table.tex"], cwd=folder, check=True, capture_output=True, timeout=120)
    assert (folder / "table.pdf").is_file()


def test_a_significant_difference_is_marked(loaded: Runs) -> None:
    from bioelx_bench.runs.comparing import compare

    table = paper_table(loaded, "recall@10", load_plugins())
    pairs = {pair.second: pair for pair in compare(loaded.runs, cutoffs=(10,)).pairs if pair.first == 0}
    for system, pair in pairs.items():
        for found in pair.differences:
            cell = table.cells[system][table.subsets.index(found.subset)]
            wanted = (
                "" if found.p_holm >= 0.05 or not found.difference else "+" if found.difference > 0 else "-"
            )
            assert cell.mark == wanted


def test_escaping() -> None:
    assert escape_latex("50% of $x_1$ & \\y\n\x07") == r"50\% of \$x\_1\$ \& \textbackslash{}y"
    assert word("plain/id:1") == "plain/id:1"
    assert word("two words\t%") == "two%20words%09%25"


def test_hugging_face_takes_the_results(
    runs: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import ModelCard

    assert invoke(["export", runs[2], "--to", "hf"]) == 0
    card = ModelCard(f"---\n{capsys.readouterr().out}---\n")
    results = card.data.eval_results
    assert results is not None
    found = {(r.metric_args["subset"], r.metric_type): r.metric_value for r in results}
    scores = load_run(runs[2]).result.scores
    assert found["macro", "recall@1"] == scores["macro"].stage("ranking").figures["recall@1"]
    assert {subset for subset, _ in found} == set(scores)
    assert invoke(["export", *runs, "--to", "hf", "--output", str(tmp_path / "meta.yaml")]) == 0


def test_plots_are_vectors_and_pictures(runs: Sequence[str], kb_folder: str, tmp_path: Path) -> None:
    assert invoke(["export", *runs, "--kb", kb_folder, "--plots", str(tmp_path / "plots")]) == 0
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {
        "recall-curves.svg",
        "recall-curves.png",
        "slices.svg",
        "errors-3.png",
        "languages-1.svg",
    } <= names
    assert (tmp_path / "plots" / "slices.svg").read_text(encoding="utf-8").startswith("<svg")
    assert (tmp_path / "plots" / "slices.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--to", "excel"], 2, "unknown format 'excel'"),
        ([], 2, "nothing to export"),
        (["--to", "csv"], 2, "needs a place to write"),
        (["--to", "csv", "--rows", "words", "--output", "x.csv"], 2, "unknown rows 'words'"),
        (["--to", "latex", "--figure", "bleu"], 2, "no figure 'bleu'"),
    ],
)
def test_mistakes_are_named(
    runs: Sequence[str], arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["export", *runs, *arguments]) == code
    assert text in capsys.readouterr().err
