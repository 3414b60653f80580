from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from bioelx_bench import load_dataset
from bioelx_bench.datasets.schema import COLUMNS, row_of
from bioelx_bench.datasets.xl_bel import SHA256, XlBel
from bioelx_bench.errors import DataError

LANGUAGES = ("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th")


@pytest.mark.parametrize("revision", ["v0.0", "v1.0"])
def test_every_language_has_a_thousand_mentions_with_stable_ids(revision, cache):
    dataset = load_dataset("xl-bel", revision=revision, cache=cache, offline=True)
    assert dataset.column_names == list(COLUMNS)
    assert Counter(dataset["language"]) == dict.fromkeys(LANGUAGES, 1000)
    assert len(set(dataset["id"])) == 10_000
    assert dataset[2017]["id"] == "xl-bel/de/0017"


def test_the_span_of_every_mention_gives_the_mention(cache):
    for row in load_dataset("xl-bel", cache=cache).to_list():
        assert row["context"][row["start"] : row["end"]] == row["mention"]
        assert "<tgt>" not in row["context"]
        assert "</tgt>" not in row["context"]
        assert "  " not in row["context"][: row["start"]]
        assert "  " not in row["context"][row["end"] :]
        assert row["context"] == row["context"].strip()


def test_rows_agree_with_the_upstream_file(cache):
    # Read off lines 1 and 18 of xlbel_v1.0/de_1k_test_query_with_context.txt by eye.
    dataset = load_dataset("xl-bel", "de", cache=cache)
    first = dataset[0]
    assert (first["mention"], first["gold"]) == ("Lackschildläusen", ["C2295058"])
    assert first["context"] == (
        "Die Laccainsäuren sind Anthrachinon derivate und die färbenden Bestandteile des roten Farbstoff s "
        "Lac Dye , der aus den Lackschildläusen gewonnen wird."
    )
    assert load_dataset("xl-bel@v0.0", "de", cache=cache)[1]["gold"] == ["C2051831", "C0016842"]


def test_the_row_with_an_empty_span_is_kept_with_its_mention_in_place(prepare):
    prepared = prepare("xl-bel", "de")
    assert prepared.counts["empty_span"] == 1
    mention = list(prepared.mentions())[735]
    span = mention.spans[0]
    assert mention.text == "-dysphorie" == mention.document.text[span.start : span.end]
    assert '"Geschlechtsidentität und -dysphorie' in mention.document.text


def test_odd_rows_are_counted(prepare):
    several = {language: prepare("xl-bel", language).counts["several_gold"] for language in LANGUAGES}
    assert several == dict(zip(LANGUAGES, (41, 69, 86, 78, 99, 87, 73, 98, 91, 124), strict=True))
    english = prepare("xl-bel", "en")
    assert english.counts["repeated_query"] == 175
    assert prepare("xl-bel", "en", revision="v0.0").counts["duplicate"] == 102
    assert sum(len(mention.gold) > 1 for mention in english.mentions()) == 41


def test_mentions_and_rows_are_the_same_thing(prepare):
    prepared = prepare("xl-bel", "ja")
    rows = prepared.dataset.to_list()
    assert [row_of(mention) for mention in prepared.mentions()] == rows
    assert len(rows) == 1000


def test_a_file_with_another_hash_is_refused(tmp_path: Path, prepare):
    folder = tmp_path / "xl_bel" / "v1.0"
    folder.mkdir(parents=True)
    (folder / "tr_1k_test_query_with_context.txt").write_text("C0000001||x||<tgt>x</tgt>\n", encoding="utf-8")
    with pytest.raises(DataError, match="sha256 differs") as caught:
        prepare("xl-bel", "tr", data_root=tmp_path)
    assert SHA256["v1.0"]["tr"] in str(caught.value)
    assert "tr_1k_test_query_with_context.txt" in str(caught.value)


def test_a_local_mirror_gives_the_same_data(data_root: Path, prepare, tmp_path: Path):
    shutil.copytree(data_root / "xl_bel" / "v0.0", tmp_path / "xl_bel" / "v0.0")
    mirrored = prepare("xl-bel", "fi", revision="v0.0", data_root=tmp_path)
    assert mirrored.sha256 == prepare("xl-bel", "fi", revision="v0.0").sha256


@pytest.mark.parametrize(
    "line",
    [
        "C0000001||x",
        "||x||<tgt>x</tgt>",
        "C0000001||x||no mark",
        "C0000001||x||<tgt>x</tgt> <tgt>x</tgt>",
        "C0000001||x||</tgt>x<tgt>",
        "C0000001||x||<tgt>y</tgt>",
    ],
)
def test_a_broken_line_is_named(line, make_request):
    loader = XlBel(make_request("de", revision="v1.0"))
    loader.text = f"C0000001||x||an <tgt>x</tgt>\n{line}\n"
    with pytest.raises(DataError) as caught:
        list(loader.mentions())
    assert caught.value.where is not None
    assert caught.value.where.endswith(":2")
