from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.aliases import fetch as fetch_module
from bioelx_bench.aliases.cleaning import CleaningOptions, clean, wrong_script
from bioelx_bench.aliases.crosswalk import read_crosswalk
from bioelx_bench.aliases.enrich import add_aliases
from bioelx_bench.aliases.fetch import fetch_aliases, read_aliases
from bioelx_bench.aliases.records import Alias
from bioelx_bench.aliases.seen import hash_alias, read_seen, write_seen
from bioelx_bench.aliases.sources.options import BabelonOptions, HubOptions, OboOptions, TableOptions
from bioelx_bench.aliases.sources.tables import make_babelon, make_hub, make_obo, make_table
from bioelx_bench.base import Environment
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.scoring.surface import normalise


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


DIRTY = (
    "cui\tlang\tname\tsource\tpreferred",
    "C0000001\tde\tKopfschmerz\tW\t1",
    "C0000001\tde\tkopf\u00adschmerz x\tW\t0",
    "C0000001\tde\tKOPFSCHMERZ\tV\t0",
    "C0000001\tde\tKephalgie (Medizin)\tW\t0",
    "C0000002\tde\tFieber\tW\t0",
    "C0000003\tde\tfieber\tW\t0",
    "C0000003\tru\tasthma bronchiale\tW\t0",
    "C0000003\tru\tастма\tW\t0",
    "C0000003\tru\tCOPD\tW\t0",
    "C0000003\tde\t" + "x" * 300 + "\tW\t0",
    "C0000003\tde\t--\tW\t0",
    "CN123\tde\tfremd\tW\t0",
    "C0000003\t??\tfremd\tW\t0",
)


def test_cleaning_is_counted_and_the_record_tells_all(tmp_path: Path, environment: Environment) -> None:
    table = write(tmp_path / "in.tsv", *DIRTY)
    source = make_table(TableOptions(file=table), environment)
    out = tmp_path / "out.parquet"
    record = fetch_aliases(source, "table", {"file": "in.tsv"}, CleaningOptions(), out, environment)
    assert record["counts"] == {
        "rows": 13,
        "read": 13,
        "kept": 5,
        "changed:suffix_cut": 1,
        "dropped:duplicate": 1,
        "dropped:empty_name": 1,
        "dropped:item_of_several_concepts": 0,
        "dropped:name_of_several_concepts": 2,
        "dropped:not_a_cui": 1,
        "dropped:not_a_language": 1,
        "dropped:over_long": 1,
        "dropped:wrong_script": 1,
    }
    kept = [(a.cui, a.text, a.source) for a in read_aliases(out)]
    assert kept == [
        ("C0000001", "Kopfschmerz", "W"),
        ("C0000001", "Kephalgie", "W"),
        ("C0000001", "kopf\u00adschmerz x", "W"),
        ("C0000003", "COPD", "W"),
        ("C0000003", "астма", "W"),
    ]
    assert json.loads((tmp_path / "out.parquet.json").read_text()) == record
    assert record["files"]["in.tsv"]
    with pytest.raises(UsageError, match="exists"):
        fetch_aliases(source, "table", {}, CleaningOptions(), out, environment)


def test_items_of_several_concepts_are_dropped_or_kept(tmp_path: Path, environment: Environment) -> None:
    class Source:
        counts: dict[str, int] = {}  # noqa: RUF012
        files: dict[str, str] = {}  # noqa: RUF012

        def __iter__(self) -> Any:
            for cui in ("C0000001", "C0000002"):
                yield Alias(cui=cui, language="de", text=f"Name {cui}", source="Wikidata", item="Q1")
            yield Alias(cui="C0000003", language="de", text="allein", source="Wikidata", item="Q2")

        def close(self) -> None:
            pass

    for drop, kept in ((True, 1), (False, 3)):
        rules = CleaningOptions(drop_ambiguous_items=drop)
        record = fetch_aliases(Source(), "x", {}, rules, tmp_path / f"{drop}.parquet", environment)
        assert record["counts"]["kept"] == kept


def test_an_interrupted_fetch_leaves_no_table_without_its_record(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write(tmp_path / "in.tsv", "cui\tlang\tname", "C0000001\tde\tKopfschmerz")
    output = tmp_path / "o.parquet"

    def stopped(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    def fetch() -> None:
        source = make_table(TableOptions(file=table), environment)
        fetch_aliases(source, "table", {}, CleaningOptions(), output, environment)

    with monkeypatch.context() as patch:
        patch.setattr(fetch_module, "write_json", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert {p.name for p in tmp_path.iterdir()} - {"cache"} == {"in.tsv"}
    fetch()
    record = json.loads((tmp_path / "o.parquet.json").read_text())
    assert record["sha256"] == hash_file(output)


def test_nothing_left_is_an_error_that_counts(tmp_path: Path, environment: Environment) -> None:
    table = write(tmp_path / "in.tsv", "cui\tlang\tname", "X\tde\ta")
    with pytest.raises(DataError, match="no alias") as error:
        fetch_aliases(
            make_table(TableOptions(file=table), environment),
            "table",
            {},
            CleaningOptions(),
            tmp_path / "o.parquet",
            environment,
        )
    assert "dropped:not_a_cui 1" in str(error.value)
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["in.tsv"]


@given(st.text(max_size=30), st.sampled_from(["de", "ru", "ja", "xx", "th"]))
def test_what_passes_cleaning_can_stand_in_a_knowledge_base(text: str, language: str) -> None:
    from bioelx_bench.kb import schemas

    counts: Counter[str] = Counter()
    alias = Alias(cui="C0000001", language=language, text=text, source="x")
    passed = list(clean([alias], CleaningOptions(), counts))
    assert counts["read"] == 1
    assert len(passed) + sum(v for k, v in counts.items() if k.startswith("dropped")) == 1
    for found in passed:
        assert schemas.explain("name", found.text) is None
        assert found.text == " ".join(found.text.split())


@pytest.mark.parametrize(
    ("text", "language", "wrong"),
    [
        ("頭痛", "ja", False),
        ("頭痛", "de", True),
        ("COVID-19", "ru", False),
        ("ปวดหัว", "th", False),
        ("straightforward english", "ko", True),
        ("β-Carotin", "de", False),
        ("12 345", "ja", False),
    ],
)
def test_scripts(text: str, language: str, wrong: bool) -> None:
    assert wrong_script(text, language) is wrong


OBO = """format-version: 1.2
data-version: 2025-01-01
ontology: hp

[Term]
id: HP:0002315
name: Headache
synonym: "Cephalgia" EXACT []
xref: UMLS:C0000001

[Term]
id: HP:0000007
name: Unlinked
"""


def test_babelon_and_synonym_tables_join_through_the_ontology(
    tmp_path: Path, environment: Environment
) -> None:
    ontology = write(tmp_path / "hp.obo", OBO)
    header = "\t".join(
        (
            "subject_id",
            "source_language",
            "translation_language",
            "predicate_id",
            "source_value",
            "translation_status",
            "translation_value",
        )
    )
    babelon = write(
        tmp_path / "hp-fr.babelon.tsv",
        header,
        "HP:0002315\ten\tfr\trdfs:label\tHeadache\tOFFICIAL\tCéphalée",
        "HP:0002315\ten\tfr\tIAO:0000115\tx\tOFFICIAL\tUne définition",
        "HP:0000007\ten\tfr\trdfs:label\tUnlinked\tOFFICIAL\tSans lien",
        "HP:0002315\ten\tfr\trdfs:label\tHeadache\tCANDIDATE\tMal de tête",
    )
    synonyms = write(
        tmp_path / "hp-de.synonyms.tsv",
        "subject_id\ttranslation_value\tcomment\tStatus\tLine number",
        "ID\tAL oboInOwl:hasExactSynonym@de\t\t\t",
        "HP:0002315\tKopfweh\t\tOFFICIAL\t1",
    )
    options = BabelonOptions(files=f"{babelon},{synonyms}", ontology=ontology, statuses="official")
    source = make_babelon(options, environment)
    assert [(a.cui, a.language, a.text, a.preferred) for a in source] == [
        ("C0000001", "fr", "Céphalée", True),
        ("C0000001", "de", "Kopfweh", False),
    ]
    assert source.counts == {"rows": 6, "skipped:no_concept": 1, "skipped:not_a_name": 1, "skipped:status": 1}
    with pytest.raises(UsageError, match="either an ontology or a crosswalk"):
        make_babelon(BabelonOptions(files=str(babelon)), environment)
    with pytest.raises(DataError, match="subject_id"):
        list(make_babelon(BabelonOptions(files=str(ontology), ontology=ontology), environment))


def test_an_ontology_gives_labels_and_synonyms(tmp_path: Path, environment: Environment) -> None:
    source = make_obo(OboOptions(files=str(write(tmp_path / "hp.obo", OBO))), environment)
    assert [(a.cui, a.text, a.preferred) for a in source] == [
        ("C0000001", "Headache", True),
        ("C0000001", "Cephalgia", False),
    ]


def test_a_data_set_is_streamed_through_datasets(tmp_path: Path, environment: Environment) -> None:
    walk = write(tmp_path / "walk.tsv", "vocabulary\tid\tcui", "wikidata\tQ86\tC0000001")
    rows = [
        {"qid": "Q86", "lang": "de", "label": ["Kopfschmerz", "Kopfweh"]},
        {"qid": "Q86", "lang": "fr", "label": ["céphalée"]},
        {"qid": "Q1", "lang": "de", "label": ["Universum"]},
    ]
    file = write(tmp_path / "labels.jsonl", *[json.dumps(r) for r in rows])
    source = make_hub(HubOptions(dataset=str(file), crosswalk=walk, languages="de"), environment)
    assert [(a.cui, a.item, a.text) for a in source] == [
        ("C0000001", "Q86", "Kopfschmerz"),
        ("C0000001", "Q86", "Kopfweh"),
    ]
    assert source.counts == {"rows": 3, "skipped:language": 1, "skipped:no_concept": 1}
    with pytest.raises(DataError, match="no column 'name'"):
        list(make_hub(HubOptions(dataset=str(file), name_column="name"), environment))


def test_crosswalks_are_read_from_tables_and_mrconso(tmp_path: Path) -> None:
    fields = ["C0000001", *[""] * 17, "\n"]
    fields[10], fields[11], fields[13] = "D006261", "MSH", "D006261x"
    doid = "vocabulary\tid\tcui\ndoid\tDOID:12\tC0000002\ndoid\t12\tC0000003"
    rrf = tmp_path / "MRCONSO.RRF"
    rrf.write_text("|".join(fields))
    assert read_crosswalk(rrf).cuis("mesh", "D006261") == ("C0000001",)
    walk = read_crosswalk(write(tmp_path / "walk.tsv", doid))
    assert walk.cuis("doid", "DOID:12") == walk.cuis("doid", "12") == ("C0000002", "C0000003")
    with pytest.raises(DataError, match="not vocabulary, id, CUI") as error:
        read_crosswalk(write(tmp_path / "bad.tsv", "vocabulary\tid\tcui", "mesh\tD1"))
    assert str(error.value.where).endswith("bad.tsv:2")
    with pytest.raises(MissingError):
        read_crosswalk(tmp_path / "none.tsv")


def test_add_aliases_makes_a_new_knowledge_base(
    small_kb: KnowledgeBase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = small_kb.sha256
    table = write(
        tmp_path / "more.tsv",
        "cui\tlang\tname\tsource\tpreferred",
        "C0000001\tde\tKopfschmerz\tW\t1",
        "C0000001\tfr\tcéphalée\tW\t1",
        "C8888888\tde\tunbekannt\tW\t1",
    )
    out = tmp_path / "parquet.parquet"
    assert invoke(["aliases", "fetch", "table", "-O", f"file={table}", "--output", str(out), "--json"]) == 0
    kb = str(small_kb.folder)
    target = str(tmp_path / "new")
    command = ["kb", "add-aliases", kb, str(out), "--languages", "de", "--name", "new", "--output", target]
    assert invoke(command) == 0
    made = KnowledgeBase.open(tmp_path / "new")
    assert made.name_count == small_kb.name_count + 1
    assert "Kopfschmerz" in [n.text for n in made.concept("C0000001").names]
    assert made.manifest.counts["added:dropped_unknown_concept"] == 1
    assert KnowledgeBase.open(small_kb.folder).sha256 == before
    capsys.readouterr()
    assert invoke([*command[:5], "xx", "--name", "n", "--output", str(tmp_path / "n2")]) == 2
    assert "no alias is in the language 'xx'" in capsys.readouterr().err
    stranger = write(tmp_path / "stranger.tsv", "cui\tlang\tname", "C7777777\tde\tnichts")
    with pytest.raises(DataError, match="no alias is of a concept"):
        add_aliases(small_kb, [stranger], [], "n", tmp_path / "n3")


def test_the_set_of_seen_aliases(tmp_path: Path) -> None:
    names = ["Headache", "ＨＥＡＤＡＣＨＥ", "頭痛", "a  b"]
    assert write_seen(names, tmp_path) == 3
    seen = read_seen(tmp_path)
    assert seen is not None
    assert seen.flags(["headache", "A B", "頭", ""]) == [True, True, False, False]
    assert hash_alias("Straße") == hash_alias("STRASSE")
    assert read_seen(tmp_path / "none") is None
    (tmp_path / "seen_aliases.npy").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="training aliases"):
        read_seen(tmp_path)


@given(st.sets(st.text(max_size=8), max_size=20), st.text(max_size=8))
def test_seen_is_membership_of_normalised_strings(tmp_path_factory: Any, names: set[str], asked: str) -> None:
    folder = tmp_path_factory.mktemp("seen")
    write_seen(sorted(names), folder)
    seen = read_seen(folder)
    assert seen is not None
    assert (asked in seen) is (normalise(asked) in {normalise(n) for n in names})
