from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from bioelx_bench.cli.main import invoke
from bioelx_bench.datasets.cards import (
    CARD,
    PLOT,
    STATISTICS,
    plot_is_comparable,
    render_card,
    render_plot,
)
from bioelx_bench.plugins import load_plugins

SPECS = {d.spec.name: d.spec for d in load_plugins(disable="all").all("datasets") if d.spec.card}
CARDS = Path(__file__).resolve().parents[2] / "datasets_cards"
BUILT = sorted(path.name for path in CARDS.iterdir() if path.is_dir())
GPL = ("emea", "patent", "mantra")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CARDS, tmp_path / "cards"))


@pytest.mark.parametrize("name", BUILT)
def test_every_card_agrees_with_its_figures(name):
    statistics = json.loads((CARDS / name / STATISTICS).read_text(encoding="utf-8"))
    spec = SPECS[name]
    assert (CARDS / name / CARD).read_text(encoding="utf-8") == render_card(spec, statistics)
    plot = (CARDS / name / PLOT).read_text(encoding="utf-8")
    if plot_is_comparable(plot):
        assert plot == render_plot(statistics)


@pytest.mark.parametrize("name", BUILT)
def test_every_card_is_a_card_of_the_hub(name):
    card = DatasetCard.load(CARDS / name / CARD)
    assert card.data.pretty_name == SPECS[name].card.title
    assert card.data.license
    assert card.data.language
    assert (CARDS / name / PLOT).read_text(encoding="utf-8").startswith("<?xml")
    assert PLOT in card.text


@pytest.mark.parametrize("name", GPL)
def test_cards_of_gpl_data_repeat_none_of_it(name, data_root, prepare):
    statistics = json.loads((CARDS / name / STATISTICS).read_text(encoding="utf-8"))
    assert statistics["example"] is None
    subset = "emea-de" if name == "mantra" else "de"
    texts = {
        mention.document.text.strip() for mention in prepare(name, subset, data_root=data_root).mentions()
    }
    card = (CARDS / name / CARD).read_text(encoding="utf-8")
    assert not [text for text in texts if len(text) > 20 and text in card]


def test_every_benchmark_has_a_card():
    specs = [found.spec for found in load_plugins(disable="all").all("datasets")]
    assert {spec.name for spec in specs if spec.benchmark} <= set(SPECS)
    assert {"xl-bel", "emea", "patent", "mantra", "medmentions", "wikimed-de"} == set(BUILT)


def test_the_figures_of_the_shipped_data_are_recomputed_and_agree(cache, capsys):
    code = invoke(["cards", "check", "xl-bel", "--folder", str(CARDS), "--offline", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert (code, result["drifted"]) == (0, [])
    assert "figures not checked" not in result["cards"]["xl-bel"]


def test_the_figures_agree_with_the_reference():
    # Share of XL-BEL mentions whose gold the open sources cover, as counted apart from this package.
    statistics = json.loads((CARDS / "xl-bel" / STATISTICS).read_text(encoding="utf-8"))
    covered = {s: row["covered"] for s, row in statistics["parts"][0]["subsets"].items()}
    reference = {
        "en": 9,
        "es": 15,
        "de": 21,
        "fi": 18,
        "ru": 26,
        "tr": 26,
        "ko": 18,
        "zh": 24,
        "ja": 27,
        "th": 35,
    }
    assert {s: abs(100 * covered[s] - share) < 1 for s, share in reference.items()} == dict.fromkeys(
        reference, True
    )


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        (CARD, lambda text: text + "more\n", "README.md differs from its figures"),
        (STATISTICS, lambda text: text.replace('"covered": 0.215', '"covered": 0.216'), "differs"),
        (
            STATISTICS,
            lambda text: text.replace('"documents": 996', '"documents": 997'),
            "differs from the data",
        ),
    ],
)
def test_drift_is_found(file, change, told, folder, cache, capsys):
    path = folder / "xl-bel" / file
    before = path.read_text(encoding="utf-8")
    path.write_text(change(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    assert invoke(["cards", "check", "xl-bel", "--folder", str(folder), "--offline"]) == 1
    captured = capsys.readouterr()
    assert told in captured.err
    assert "bioelx-bench cards build" in captured.err


def test_a_plot_is_the_same_each_time():
    mpl = pytest.importorskip("matplotlib")
    statistics = json.loads((CARDS / "patent" / STATISTICS).read_text(encoding="utf-8"))
    svg = render_plot(statistics)
    assert svg == render_plot(statistics)
    assert f"Matplotlib v{mpl.__version__}," in svg


def test_cards_of_data_that_is_not_here_are_kept(folder, cache, capsys):
    assert invoke(["cards", "build", "emea", "--folder", str(folder), "--offline", "--json"]) == 0
    assert "not here" in json.loads(capsys.readouterr().out)["cards"]["emea"]
    same = (folder / "emea" / CARD).read_text(encoding="utf-8")
    assert same == (CARDS / "emea" / CARD).read_text(encoding="utf-8")


def test_building_gives_what_is_there(tmp_path, cache, capsys):
    pytest.importorskip("matplotlib")
    assert invoke(["cards", "build", "xl-bel", "--folder", str(tmp_path), "--offline"]) == 0
    for file in (CARD, STATISTICS):
        built = (tmp_path / "xl-bel" / file).read_text(encoding="utf-8")
        assert built == (CARDS / "xl-bel" / file).read_text(encoding="utf-8")


def test_an_unknown_card_is_told(cache, capsys):
    assert invoke(["cards", "check", "xl-bell"]) == 2
    assert "did you mean 'xl-bel'" in capsys.readouterr().err


def test_a_dataset_without_a_card_and_without_data_is_no_drift(folder, cache, capsys):
    assert not (folder / "ncbi-disease").exists()
    assert invoke(["cards", "check", "ncbi-disease", "--folder", str(folder)]) == 0
    assert "its data is not here" in capsys.readouterr().out
