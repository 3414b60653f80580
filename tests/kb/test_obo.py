"""Knowledge bases from ontologies."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.kb.obo import build_from_obo, read_ontology
from bioelx_bench.records import Name

OBO = """format-version: 1.2
data-version: releases/2026-01-01
ontology: tst

[Term]
id: TST:0000001
name: cough
def: "A sudden expulsion of air." [PMID:1]
synonym: "coughing" EXACT []
synonym: "airway reflex" BROAD []
synonym: "cough" EXACT []
xref: UMLS:C0000001
xref: MESH:D000001

[Term]
id: TST:0000002
name: fever
synonym: "high temperature" RELATED []
xref: UMLS_CUI:C0000002
xref: UMLS:C0000003
xref: UMLS:CN12345

[Term]
id: TST:0000003
name: no reference

[Term]
id: TST:0000004
name: obsolete thing
xref: UMLS:C0000004
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""
GRAPH = {
    "graphs": [
        {
            "id": "http://purl.obolibrary.org/obo/tst.owl",
            "nodes": [
                {
                    "id": "http://purl.obolibrary.org/obo/TST_0000001",
                    "lbl": "cough",
                    "type": "CLASS",
                    "meta": {
                        "definition": {"val": "A sudden expulsion of air.", "xrefs": ["PMID:1"]},
                        "xrefs": [{"val": "UMLS:C0000001"}],
                        "synonyms": [{"pred": "hasExactSynonym", "val": "coughing", "xrefs": []}],
                    },
                }
            ],
            "edges": [],
        }
    ]
}


def write(tmp_path: Path, text: str, name: str = "tst.obo") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_terms_with_a_cui_become_concepts(tmp_path: Path) -> None:
    kb = build_from_obo([write(tmp_path, OBO)], "tst", tmp_path / "kb", scopes=("exact", "related"))
    assert [kb.concept_id(i) for i in range(len(kb))] == ["C0000001", "C0000002", "C0000003"]
    cough = kb.concept("C0000001")
    assert cough.names == (Name("cough", "en", "TST", preferred=True), Name("coughing", "en", "TST"))
    assert cough.definition == "A sudden expulsion of air."
    assert [n.text for n in kb.concept("C0000003").names] == ["fever", "high temperature"]
    counts = kb.manifest.counts
    assert counts["TST:terms"] == 4
    assert counts["TST:dropped:obsolete_term"] == 1
    assert counts["TST:dropped:term_without_cui"] == 1
    assert counts["TST:dropped:xref_not_a_cui"] == 1
    assert kb.manifest.filters["scopes"] == ["exact", "related"]


def test_only_exact_synonyms_by_default_and_several_files(tmp_path: Path) -> None:
    other = write(
        tmp_path, OBO.replace("ontology: tst", "ontology: two").replace("cough", "tussis"), "two.obo"
    )
    kb = build_from_obo([write(tmp_path, OBO), other], "both", tmp_path / "kb", language="la")
    assert [(n.text, n.source) for n in kb.concept("C0000001").names] == [
        ("cough", "TST"),
        ("tussis", "TWO"),
        ("coughing", "TST"),
        ("tussising", "TWO"),
    ]
    assert kb.languages == ["la"]


def test_obo_graph_json_gives_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "tst.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(GRAPH).encode()))
    kb = build_from_obo([packed], "tst", tmp_path / "kb", source="TST")
    cough = kb.concept("C0000001")
    assert cough.names == (Name("cough", "en", "TST", preferred=True), Name("coughing", "en", "TST"))
    assert cough.definition == "A sudden expulsion of air."


@pytest.mark.parametrize(
    ("text", "name", "says", "where"),
    [
        ("", "t.obo", "empty", ":1"),
        ("no ontology at all", "t.obo", "not in OBO format", ":1"),
        ("<html>login</html>", "t.obo", "HTML page", ""),
        ("{", "t.json", "not JSON", ":1"),
        ("{}", "t.json", "no list 'graphs'", ":1"),
        ('{"graphs": []}', "t.json", "no list 'graphs'", ":1"),
        ('{"graphs": [{"nodes": 3}]}', "t.json", "cannot be read", ""),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, name: str, says: str, where: str) -> None:
    file = write(tmp_path, text, name)
    with pytest.raises(DataError) as caught:
        build_from_obo([file], "t", tmp_path / "kb")
    assert says in str(caught.value)
    assert caught.value.where == f"{file}{where}"
    assert list(tmp_path.iterdir()) == [file]


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "t.obo"
    file.write_bytes(OBO.replace("fever", "f\xe9ver").encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read_ontology(file, ["exact"])
    assert caught.value.where == f"{file}:17"


def test_no_cross_reference_or_file(tmp_path: Path) -> None:
    file = write(tmp_path, OBO.replace("xref: UMLS", "xref: XMLS"))
    with pytest.raises(DataError, match="4 terms, none with a cross-reference to umls"):
        build_from_obo([file], "t", tmp_path / "kb")
    with pytest.raises(UsageError, match="did you mean 'exact'"):
        build_from_obo([file], "t", tmp_path / "kb", scopes=["exat"])
    with pytest.raises(UsageError, match="not a language"):
        build_from_obo([file], "t", tmp_path / "kb", language="English")
    with pytest.raises(MissingError, match="no file"):
        build_from_obo([tmp_path / "no.obo"], "t", tmp_path / "kb")


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(OBO)),
    st.integers(0, 12),
    st.one_of(
        st.text(max_size=6), st.sampled_from(["\n\n", '"', "[", "xref: UMLS:", "{a=b}", "\\", "!", ":"])
    ),
)
def test_any_change_to_an_obo_file_parses_or_names_file(at: int, cut: int, put: str) -> None:
    data = (OBO[:at] + put + OBO[at + cut :]).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "t.obo"
        file.write_bytes(data)
        try:
            ontology = read_ontology(file, ["exact"])
        except DataError as error:
            assert error.where is not None
            assert error.where.startswith(str(file))
        else:
            assert all(term.name and term.ids for term in ontology.terms)


graph_value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["id", "lbl", "meta", "xrefs", "val", "nodes", "pred"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["id", "nodes", "edges"]), graph_value)
def test_any_value_in_an_obo_graph_parses_or_names_file(key: str, value: object) -> None:
    graph = {**GRAPH["graphs"][0], key: value}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "t.json"
        file.write_text(json.dumps({"graphs": [graph]}), encoding="utf-8")
        try:
            read_ontology(file, ["exact"])
        except DataError as error:
            assert error.where is not None
            assert error.where.startswith(str(file))


BAD_LINES = {
    'synonym: "pyrexia" EXACT [Smith and Jones 2003]': "xref_in_list",
    "xref: xref (ILX:0770149)": "xref",
    "xref:": "xref",
    "synonym: pyrexia": "synonym",
    "def: no quotes": "def",
    "nonsense": "line",
    "property_value: skos:exactMatch": "property_value",
}


@pytest.mark.parametrize(("line", "kind"), BAD_LINES.items())
def test_a_bad_line_is_skipped_counted_and_named(tmp_path: Path, line: str, kind: str) -> None:
    text = OBO.replace("name: cough\n", f"name: cough\n{line}\n")
    kb = build_from_obo([write(tmp_path, text)], "tst", tmp_path / "kb")
    assert kb.concept("C0000001").names[0].text == "cough"
    assert kb.manifest.counts[f"TST:skipped:{kind}"] == 1
    assert kb.manifest.counts["TST:skipped:tst.obo:8"] == 1


def test_a_date_in_another_order_is_counted(tmp_path: Path) -> None:
    text = OBO.replace("ontology: tst\n", "ontology: tst\ndate: 05:20:2021 12:00\n")
    assert read_ontology(write(tmp_path, text), ["exact"]).counts["skipped:date"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "xref: umls:C0000001",
        'xref: UMLS:C0000001 {source="MONDO:equivalentTo"} ! cough',
        'xref: UMLS_CUI:C0000001 "cough, a symptom"',
        "xref: https://uts.nlm.nih.gov/uts/umls/concept/C0000001",
        "xref: http://linkedlifedata.com/resource/umls/id/C0000001",
        "property_value: skos:exactMatch UMLS:C0000001",
        "property_value: exactMatch http://linkedlifedata.com/resource/umls/id/C0000001",
        'property_value: http://www.w3.org/2004/02/skos/core#exactMatch "UMLS:C0000001" xsd:string',
    ],
)
def test_every_way_to_name_a_cui(tmp_path: Path, line: str) -> None:
    file = write(tmp_path, f"ontology: tst\n\n[Term]\nid: TST:1\nname: cough\n{line}\n")
    assert [t.ids for t in read_ontology(file, ["exact"]).terms] == [("C0000001",)]


def test_native_ids_are_of_the_ontologys_scheme(tmp_path: Path) -> None:
    terms = {"HP:0012735": "Cough", "HP:0001945": "Fever", "GO:1": "imported"}
    text = "ontology: hp\n" + "".join(f"\n[Term]\nid: {i}\nname: {name}\n" for i, name in terms.items())
    kb = build_from_obo([write(tmp_path, text)], "hp", tmp_path / "kb", ids="native")
    assert kb.id_scheme == "hpo"
    assert [kb.concept_id(row) for row in range(len(kb))] == ["HP:0001945", "HP:0012735"]
    assert kb.manifest.counts["HP:dropped:term_of_another_ontology"] == 1
    toy = build_from_obo([write(tmp_path, OBO)], "toy", tmp_path / "toy", ids="native")
    assert toy.id_scheme == "any"
    assert "TST:0000003" in toy
