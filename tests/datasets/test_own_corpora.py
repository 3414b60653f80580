"""PubTator and brat files of a user, the benchmarks in PubTator format, samples, and gold of any scheme."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench.datasets.verify import slices_to_text
from bioelx_bench.errors import DataError, UsageError

CDR = (
    "11|t|Dropacin and flushing.\n11|a|We saw flushing and hives.\n"
    "11\t0\t8\tDropacin\tChemical\tD000001\n"
    "11\t13\t21\tflushing\tDisease\tD005483\n"
    "11\t30\t38\tflushing\tDisease\tD005483|D014581\tflushing|hives\n"
    "11\t43\t48\thives\tDisease\t-1\n"
    "11\tCID\tD000001\tD005483\n\n"
)
NCBI = (
    "7|t|Breast and ovarian growths\n7|a|Text.\n"
    "7\t0\t26\tBreast and ovarian growths\tCompositeMention\tD001943|D010051\n"
    "7\t0\t6\tBreast\tModifier\tOMIM:114480\n\n"
    "7|t|Breast and ovarian growths\n7|a|Text.\n\n"
)


def place(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    return root


def test_bc5cdr_reads_types_as_subsets_and_skips_relations(tmp_path, prepare):
    root = place(tmp_path, "bc5cdr/CDR_TestSet.PubTator.txt", CDR)
    (chemical,) = prepare("bc5cdr", "chemical", data_root=root).mentions()
    assert (chemical.text, chemical.gold, chemical.semantic_types) == (
        "Dropacin",
        ("D000001",),
        ("Chemical",),
    )
    disease = prepare("bc5cdr", "disease", data_root=root)
    assert [m.gold for m in disease.mentions()] == [("D005483",), ("D005483", "D014581")]
    assert disease.left_out == {"of_other_types": 1, "relations": 1, "without_gold": 1}
    assert disease.counts_of(1) == {}
    assert disease.counts_of() == {"composite": 1, "several_gold": 1}
    with zipfile.ZipFile(tmp_path / "bc5cdr/CDR_Data.zip", "w") as file:
        file.writestr("CDR_Data/CDR.Corpus.v010516/CDR_TestSet.PubTator.txt", CDR)
    assert prepare("bc5cdr", "disease", data_root=root).sha256 == disease.sha256


@pytest.mark.parametrize(
    ("policy", "golds"),
    [
        ("any", [("D001943", "D010051"), ("OMIM:114480",)]),
        ("all", [("D001943", "D010051"), ("OMIM:114480",)]),
        ("split", [("D001943",), ("D010051",), ("OMIM:114480",)]),
    ],
)
def test_composite_mentions_of_ncbi_disease_follow_the_policy(policy, golds, tmp_path, prepare):
    root = place(tmp_path, "ncbi_disease/NCBItestset_corpus.txt", NCBI)
    prepared = prepare("ncbi-disease", "en", data_root=root, options={"composite": policy})
    assert [m.gold for m in prepared.mentions()] == golds
    assert prepared.left_out == {"documents_repeated": 1}
    assert prepared.needs_match == ("all" if policy == "all" else None)


def test_own_pubtator_converts_offsets_of_bytes(tmp_path, prepare):
    text = "1|t|β-blocker and naïve fever\n1|a|\n1\t22\t27\tfever\tD\tUMLS:C0015967\n"
    place(tmp_path, "a.txt", text)
    prepared = prepare("pubtator", "all", options={"path": str(tmp_path / "a.txt")})
    (fever,) = prepared.mentions()
    assert (fever.gold, prepared.id_scheme) == (("C0015967",), "umls")
    assert slices_to_text(fever)
    assert fever.spans
    assert prepared.oddities == {"id_rewritten": 1, "offsets_in_bytes": 1}


def test_own_brat_takes_references_notes_or_types(tmp_path, prepare):
    place(tmp_path, "c/test/a.txt", "heart and lung pain")
    place(
        tmp_path,
        "c/test/a.ann",
        "T1\tDisease 0 5;15 19\theart pain\nN1\tReference T1 UMLS:C0008031\tpain\n"
        "T2\tOrgan 0 5\theart\n#1\tAnnotatorNotes T2\tC0018787\nT3\tC0024109 10 14\tlung\nT4\tOrgan 0 5\theart\n",
    )
    prepared = prepare("brat", "all", split="test", options={"path": str(tmp_path / "c")})
    assert [m.gold[0] for m in prepared.mentions()] == ["C0008031", "C0018787", "C0024109"]
    assert prepared.left_out == {"without_gold": 1}
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
        for name in ("a.txt", "a.ann"):
            file.write(tmp_path / "c" / "test" / name, f"test/{name}")
    assert prepare("brat", "all", options={"path": str(tmp_path / "c.zip")}).sha256 == prepared.sha256


def test_samples_are_fixed_stratified_and_nested(prepare):
    small = prepare("xl-bel", "ja", revision="sample-500-seed-1")
    large = prepare("xl-bel", "ja", revision="v1.0-sample-1000-seed-1")
    other = prepare("xl-bel", "ja", revision="sample-500-seed-2")
    assert (len(small), small.revision) == (50, "v1.0-sample-500-seed-1")
    ids = [m.id for m in small.mentions()]
    assert ids == sorted(ids)
    assert set(ids) < {m.id for m in large.mentions()}
    assert set(ids) != {m.id for m in other.mentions()}
    with pytest.raises(UsageError, match="has no revision 'v9'"):
        prepare("xl-bel", "ja", revision="v9-sample-5")


@pytest.mark.parametrize(
    ("name", "data", "golds"),
    [
        ("a.csv", 'mention,gold\nx,"C0000001, C0000002"\n', [("C0000001", "C0000002")]),
        ("a.csv", "Unnamed: 0,mention,lang,gold\n0,x,de,umls:c0000001\n", [("C0000001",)]),
        ("a.tsv", 'mention\tgold\n"two\nlines"\tC0000001\n', [("C0000001",)]),
        ("a.csv", "mention,gold\nx,38341003.0\n", [("38341003",)]),
        ("a.txt", "C0000001||Herz\nC0000002|C0000003||a||b\n", [("C0000001",), ("C0000002", "C0000003")]),
        ("a.jsonl", '{"id": 1.0, "mention": "x", "gold": 38341003}\n', [("38341003",)]),
        ("a.csv", "mention,gold\nx,MESH:D000001\ny,mesh:-1\nz,null\n", [("D000001",)]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_tables_as_people_have_them(name, data, golds, encoding, tmp_path, prepare):
    (tmp_path / name).write_bytes(data.encode(encoding))
    prepared = prepare("table", "all", options={"path": str(tmp_path / name)})
    assert [m.gold for m in prepared.mentions()] == golds


def test_a_repeated_id_and_a_table_without_any_gold_are_named(tmp_path, prepare):
    place(tmp_path, "a.csv", "id,mention,gold\n1,x,\n2,y,C0000001\n2,z,C0000001\n")
    with pytest.raises(DataError, match="'2' comes twice") as caught:
        prepare("table", "all", options={"path": str(tmp_path / "a.csv")})
    assert caught.value.where == f"{tmp_path / 'a.csv'}:4"
    place(tmp_path, "b.csv", "mention,gold\nx,CUI-less\ny,-1\n")
    with pytest.raises(DataError, match="none of the 2 mentions has a gold id"):
        prepare("table", "all", options={"path": str(tmp_path / "b.csv")})


def corpus(text: str, offsets: list[list[int]], words: list[str], start: int = 0) -> dict[str, Any]:
    entity = {
        "type": "D",
        "text": words,
        "offsets": offsets,
        "normalized": [{"db_name": "UMLS", "db_id": "C0015967"}],
    }
    return {"document_id": "1", "passages": [{"text": [text], "offsets": [[start, 0]]}], "entities": [entity]}


@pytest.mark.parametrize(
    ("document", "spans", "odd"),
    [
        (corpus("ä fever", [[3, 8]], ["fever"]), [(2, 7)], ("offsets_in_bytes",)),
        (corpus("😀 fever", [[3, 8]], ["fever"]), [(2, 7)], ("offsets_in_utf16",)),
        (
            corpus("heart and lung pain", [[15, 19], [0, 5]], ["pain", "heart"]),
            [(0, 5), (15, 19)],
            ("discontinuous", "pieces_reordered"),
        ),
        (corpus("fever", [[9, 12]], ["fever"]), [], ("offset_mismatch",)),
    ],
)
def test_offsets_of_bigbio_are_recognised(document, spans, odd, tmp_path, prepare):
    place(tmp_path, "a.jsonl", json.dumps(document))
    (mention,) = prepare("bigbio", "all", options={"path": str(tmp_path)}).mentions()
    assert [(s.start, s.end) for s in mention.spans] == spans
    assert mention.oddities == odd


def test_what_save_to_disk_writes_is_read(tmp_path, prepare):
    from datasets import Dataset

    Dataset.from_list([corpus("a fever", [[2, 7]], ["fever"])]).save_to_disk(tmp_path / "saved")
    (mention,) = prepare("bigbio", "all", options={"path": str(tmp_path / "saved")}).mentions()
    assert (mention.text, mention.gold) == ("fever", ("C0015967",))
