"""The page of a report: what it holds, that nothing in it runs but its own scripts, and how a browser shows it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bioelx_bench_report import analysis
from bioelx_bench_report.explorer import pieces
from bioelx_bench_report.lists import read_candidates
from bioelx_bench_report.loading import DataSource, Runs, load_runs
from bioelx_bench_report.page import json_text, render
from bioelx_bench_report.report import make_report
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache
from bioelx_bench.cli.main import invoke
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress
from bioelx_bench.records import Document, LabelledMention, Span
from bioelx_bench.runs.run_result import load_run

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def loaded(runs: Sequence[str], kb_folder: str, cache: str) -> Runs:
    environment = Environment(cache=Cache(Path(cache)), plugins=load_plugins())
    return load_runs(runs, Path("runs"), DataSource(kb=kb_folder), environment)


@pytest.fixture(scope="module")
def page(loaded: Runs) -> str:
    hostile = replace(loaded, labels=(HOSTILE, *loaded.labels[1:]))
    return render(make_report(hostile, Progress(enabled=False)))


def mentions_of(page: str) -> dict[str, Any]:
    packed = re.search(r'id="mentions-data">([A-Za-z0-9+/=]*)</script>', page)
    assert packed is not None
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def test_every_mention_is_there_with_its_candidates(page: str, loaded: Runs) -> None:
    data = mentions_of(page)
    for run, shown in zip(loaded.runs, data["runs"], strict=True):
        frame = run.with_data(lambda: {"all": list((loaded.texts or {}).values())}, loaded.kb).to_pandas()
        assert data["id"] == frame["mention_id"].tolist()
        assert data["mention"] == frame["mention"].tolist()
        assert shown["after"] == frame[f"{run.result.stage}_rank"].fillna(0).tolist()
        for number, candidates in enumerate(read_candidates(run, data["id"])):
            flat = shown["candidates"][number]
            rows = [flat[at : at + 6] for at in range(0, len(flat), 6)]
            before = sorted((row for row in rows if row[3] <= 10), key=lambda row: row[3])
            assert [data["concepts"][row[0]] for row in before] == candidates.concepts[:10]
            assert [data["names"][row[1]] for row in before] == candidates.names[:10]
            if run.result.ranker is not None:
                after = sorted((row for row in rows if 0 < row[4] <= 10), key=lambda row: row[4])
                assert [data["concepts"][row[0]] for row in after] == [
                    candidates.concepts[place] for place in candidates.order[:10]
                ]
    marked = [parts[1] for parts in data["pieces"]]
    assert sum(part == mention for part, mention in zip(marked, data["mention"], strict=True)) > 500
    gold = data["concepts"][data["gold"][0][0]]
    assert gold == loaded.runs[0].predictions().column("gold").to_pylist()[0][0]


def test_nothing_runs_but_the_two_scripts(page: str) -> None:
    assert HOSTILE in mentions_of(page)["runs"][0]["label"]
    assert "<script>document" not in page
    assert html.escape(HOSTILE) in page
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 2
    policy = html.unescape(re.search(r'Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "innerHTML" not in scripts[1]
    outside = page.split('<script type="text/plain"')[0] + scripts[1]
    assert not re.search(r'(src|href)="(?!#)', outside)
    assert len(page) < 3_000_000


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
)
def test_json_in_a_script_cannot_end_it(value: Any) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_each_mention_has_one_outcome(loaded: Runs) -> None:
    for run in loaded.runs:
        for outcome in run.outcomes():
            flags = analysis.outcome_flags(outcome)
            assert (np.sum(list(flags.values()), axis=0) == 1).all()
            final = outcome.stages()[run.result.stage]
            right = flags[analysis.RIGHT] | flags[analysis.WON]
            assert (right == (final.ranks == 1)).all()
            if run.result.ranker is None:
                assert not flags[analysis.WON].any()
                assert not flags[analysis.LOST].any()


def test_curves_and_ceilings_are_those_of_the_result(loaded: Runs) -> None:
    run = loaded.runs[2]
    outcomes = list(run.outcomes())
    curve = {(row["stage"], row["k"]): row["recall"] for row in analysis.curve_rows("x", run, outcomes)}
    macro = run.result.scores["macro"]
    for k in (k for k in run.result.cutoffs if k <= run.result.k):
        assert curve["retrieval", k] == pytest.approx(macro.retrieval.figures[f"recall@{k}"], abs=1e-12)
        assert curve["ranking", k] == pytest.approx(macro.stage("ranking").figures[f"recall@{k}"], abs=1e-12)
    for row in analysis.language_rows(run, outcomes):
        assert row["recall"] <= row["ceiling"] <= row["coverage"]


def test_calibration_of_a_ranker_that_knows_its_chances() -> None:
    from bioelx_bench_report.lists import Candidates

    generator = np.random.default_rng(0)
    lists = []
    for _ in range(4000):
        evidence = np.sort(generator.normal(0, 2, 4))[::-1]
        chances = np.exp(evidence) / np.exp(evidence).sum()
        right = bool(generator.random() < chances[0])
        found = Candidates(
            list("abcd"), list("abcd"), [0.0] * 4, [0, 1, 2, 3], [None] * 4, evidence.tolist(), True
        )
        lists.append((found, right))
    rows = analysis.calibration_rows("x", lists, 1.0)
    error = analysis.calibration_error(rows)
    assert sum(row["mentions"] for row in rows) == 4000
    assert error is not None
    assert error < 0.03
    assert (analysis.calibration_error(analysis.calibration_rows("x", lists, 4.0)) or 0) > 0.1
    assert analysis.calibration_error([]) is None


def mention(text: str, *spans: tuple[int, int]) -> LabelledMention:
    where = tuple(Span(*span) for span in spans)
    return LabelledMention("m", Document("d", text, "en"), where, "mention", "en", ("C0000001",))


def test_the_context_is_cut_around_the_mention() -> None:
    assert pieces(mention("a fever here", (2, 7))) == ["a ", "fever", " here"]
    assert pieces(mention("left and right lung", (0, 4), (15, 19))) == ["", "left", " and right ", "lung", ""]
    long = "x" * 1000
    before, inside, after = pieces(mention(long, (500, 510)))
    assert (before[0], after[-1], len(before), len(inside), len(after)) == ("…", "…", 241, 10, 241)
    for broken in (mention("short"), mention("short", (3, 99)), mention("short", (0, 3), (2, 4))):
        assert pieces(broken) == ["", "mention"]


def test_a_report_without_data_says_so(runs: Sequence[str], kb_folder: str, cache: str) -> None:
    plugins = load_plugins()
    plugins.declared["datasets"].clear()
    environment = Environment(cache=Cache(Path(cache)), plugins=plugins)
    found = load_runs(runs[:1], Path("runs"), DataSource(kb="open-doid"), environment)
    assert found.texts is None
    assert found.kb is None
    assert "unknown dataset" in found.missing[0]
    assert "not the one of run" in found.missing[1]
    text = render(make_report(found, Progress(enabled=False)))
    assert html.escape(found.missing[0]) in text
    assert mentions_of(text)["pieces"] is None


def test_the_command_writes_the_page(
    runs: Sequence[str], kb_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report.html"
    assert invoke(["report", *runs, "--kb", kb_folder, "--output", str(output), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["bytes"] == output.stat().st_size
    assert answer["runs"] == [load_run(run).result.run_id for run in runs]
    assert invoke(["report", *runs, "--output", str(tmp_path / "report.pdf")]) == 2
    assert invoke(["report", str(tmp_path / "none")]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.skipif(CHROMIUM is None, reason="skipped: no Chromium is installed (apt-get install chromium)")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it(page: str, tmp_path: Path, width: int) -> None:
    assert CHROMIUM is not None
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},9000", "--dump-dom"]
    arguments += ["--virtual-time-budget=20000", file.as_uri()]
    done = subprocess.run([CHROMIUM, *arguments], capture_output=True, text=True, timeout=120, check=True)
    shown = done.stdout
    assert 'data-ready="yes"' in shown
    assert "<title>owned" not in shown
    charts = len(re.findall(r'class="chart"', page))
    assert len(re.findall(r'class="marks"', shown)) >= charts >= 9
    assert "600 of 600 mentions" in shown
    assert shown.count('class="row"') == 50
    assert "<mark>" in shown
