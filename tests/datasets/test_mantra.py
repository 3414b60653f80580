"""The Mantra corpus: its reader on hand-written units, and the counts of the real one where it is at hand."""

from __future__ import annotations

from collections import Counter

import pytest

from bioelx_bench import load_dataset
from bioelx_bench.datasets.mantra import Mantra
from bioelx_bench.declarations import Source
from bioelx_bench.errors import DataError

UNIT = "Corpus/German/EMEA_x/0001_d1.u1"
TEXT = "Herz- und Lungenkrankheit,\r\nakut"
NOTES = (
    "T1\tC0018799 0 5;10 16\tHerz- Lungen\n"
    '#1\tAnnotatorNotes T1\t"C0018799", "Heart Diseases", "Disease or Syndrome|Finding" ,"DISO"\n'
    "T2\tC0205178 28 32\takut\n"
    '#2\tAnnotatorNotes T2\t"Acute", "Temporal Concept", "CONC"\n'
    "T3\tC9999999 28 32\takut\n"
    '#3\tAnnotatorNotes T3\t"C0205178", "acute", "Temporal Concept" ,"CONC"\n'
)


def reader(make_request, tmp_path, members, write_zip, corpus="emea", language="de") -> Mantra:
    path = write_zip(members)
    source = Source(path=path.name, url="", page="p", licence="l")
    return Mantra(make_request(language, data_root=tmp_path), "emea", corpus, language, source)


def test_units_are_read_with_all_they_hold(make_request, tmp_path, write_zip):
    members = {
        f"{UNIT}.txt": TEXT,
        f"{UNIT}.ann": NOTES,
        "Corpus/German/EMEA_x/0002_d1.u2.txt": "nichts\n",
        "Corpus/German/EMEA_x/0002_d1.u2.ann": "",
        "Corpus/German/Patents_x/0003.txt": "other corpus",
        "Corpus/French/EMEA_x/0004.txt": "other language",
        "__MACOSX/Corpus/German/EMEA_x/._0001_d1.u1.txt": "resource fork",
    }
    loader = reader(make_request, tmp_path, members, write_zip)
    first, second, third = loader.mentions()
    assert first.id == "emea/de/0001_d1.u1/T1"
    assert [first.document.text[s.start : s.end] for s in first.spans] == ["Herz-", "Lungen"]
    assert first.gold == ("C0018799",)
    assert first.semantic_types == ("Disease or Syndrome", "Finding")
    assert (second.gold, third.gold) == (("C0205178",), ("C9999999",))
    assert second.document is first.document
    assert [mention.oddities for mention in (first, second, third)] == [
        ("discontinuous",),
        ("note_incomplete",),
        ("note_differs", "same_span"),
    ]
    assert loader.counts == Counter(documents_without_mention=1)


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({f"{UNIT}.txt": TEXT}, "no annotation file"),
        ({"readme.md": "x"}, "no German emea units"),
        ({f"{UNIT}.txt": TEXT, f"{UNIT}.ann": "T1\tC0000001 0 999\tx"}, "do not lie in the text"),
        ({f"{UNIT}.txt": b"\xe4hnlich", f"{UNIT}.ann": ""}, "not UTF-"),
        ({f"{UNIT}.txt": TEXT, f"{UNIT}.ann": "", "../x.txt": ""}, "outside the archive"),
    ],
)
def test_a_broken_archive_is_an_error_with_its_place(members, what, make_request, tmp_path, write_zip):
    with pytest.raises(DataError) as caught:
        list(reader(make_request, tmp_path, members, write_zip).mentions())
    assert what in str(caught.value)
    assert "corpus.zip" in str(caught.value.where)


def test_english_medline_units_of_four_folders_keep_apart(make_request, tmp_path, write_zip):
    members = {}
    for pair in ("DE", "FR"):
        members[f"C/English/Medline_EN_{pair}_x/0001_d1.u1.txt"] = "heart"
        members[f"C/English/Medline_EN_{pair}_x/0001_d1.u1.ann"] = "T1\tC0018787 0 5\theart"
    loader = reader(make_request, tmp_path, members, write_zip, "medline", "en")
    found = list(loader.mentions())
    assert [m.id for m in found] == [
        "emea/en/en-de/0001_d1.u1/T1",
        "emea/en/en-fr/0001_d1.u1/T1",
    ]
    assert [m.oddities for m in found] == [("note_missing",)] * 2


def test_the_real_corpus_has_its_published_counts(data_root, cache):
    whole = load_dataset("mantra", data_root=data_root, cache=cache, offline=True)
    assert len(whole) == 5530
    assert sum(len(spans) > 1 for spans in whole["spans"]) == 105
    found = Counter(identifier.split("/")[1] for identifier in whole["id"])
    emea = dict(zip(("en", "fr", "de", "es", "nl"), (433, 431, 425, 432, 434), strict=True))
    patent = dict(zip(("en", "fr", "de"), (353, 342, 348), strict=True))
    medline = dict(zip(("en", "fr", "de", "es", "nl"), (1177, 279, 309, 324, 243), strict=True))
    for corpus, counts in (("emea", emea), ("patent", patent), ("medline", medline)):
        assert {k.split("-")[1]: v for k, v in found.items() if k.startswith(corpus)} == counts
    for name, counts in (("emea", emea), ("patent", patent)):
        part = load_dataset(name, data_root=data_root, cache=cache, offline=True)
        assert Counter(part["language"]) == counts


def test_real_offsets_slice_to_the_mentions(data_root, prepare):
    empty = incomplete = 0
    for language in ("en", "fr", "de", "es", "nl"):
        for corpus in ("emea", "medline", "patent"):
            if corpus == "patent" and language in {"es", "nl"}:
                continue
            part = prepare("mantra", f"{corpus}-{language}", data_root=data_root)
            empty += part.counts.get("documents_without_mention", 0)
            incomplete += part.counts.get("note_incomplete", 0)
            units = {"emea": 100, "patent": 50, "medline": 400 if language == "en" else 100}[corpus]
            assert part.documents == units
            for mention in part.mentions():
                text = mention.document.text
                assert " ".join(text[s.start : s.end] for s in mention.spans) == mention.text
                assert text == text.rstrip()
    assert (empty, incomplete) == (60, 2)
