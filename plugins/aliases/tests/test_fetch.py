from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_aliases import fetch as fetch_module
from bioelx_bench_aliases.cleaning import CleaningOptions, clean, wrong_script
from bioelx_bench_aliases.crosswalk import read_crosswalk
from bioelx_bench_aliases.fetch import fetch_aliases
from bioelx_bench_aliases.ontologies import Babelon, Obo
from bioelx_bench_aliases.options import BabelonOptions, OboOptions
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.kb.alias_tables import read_alias_table
from bioelx_bench.records import Alias


class Given(BaseAliasSource):
    """Aliases that a test names: rows of concept, language, name, source, item and `label`."""

    def __init__(self, *rows: tuple[str, ...], digest: str = "0") -> None:
        super().__init__()
        self.rows = rows
        self.files = {"given": digest}
        self.passes = 0

    def __iter__(self) -> Iterator[Alias]:
        self.passes += 1
        for row in self.rows:
            self.counts["rows"] += 1
            concept, language, text, source, *more = row
            yield Alias(
                concept_id=concept,
                language=language,
                text=text,
                source=source,
                item=more[0] if more else "",
                preferred=more[1:] == ["label"],
            )


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


DIRTY = (
    ("C0000001", "de", "Kopfschmerz", "W", "", "label"),
    ("C0000001", "de", "kopf\u00adschmerz x", "W"),
    ("C0000001", "de", "KOPFSCHMERZ", "X"),
    ("C0000001", "de", "Kephalgie (Medizin)", "W"),
    ("C0000002", "de", "Fieber", "W"),
    ("C0000003", "de", "fieber", "W"),
    ("C0000003", "ru", "asthma bronchiale", "W"),
    ("C0000003", "ru", "астма", "W"),
    ("C0000003", "ru", "COPD", "W"),
    ("C0000003", "de", "x" * 300, "W"),
    ("C0000003", "de", "--", "W"),
    ("CN123", "de", "fremd", "W"),
    ("C0000003", "??", "fremd", "W"),
)


def fetch(source: BaseAliasSource, output: Path, environment: Environment, **rules: Any) -> dict[str, Any]:
    return fetch_aliases(source, "given", {"a": 1}, CleaningOptions(**rules), output, environment)


def others(folder: Path) -> set[str]:
    """What is in a folder beside the cache."""
    return {path.name for path in folder.iterdir()} - {"cache"}


def test_cleaning_is_counted_and_the_record_tells_all(tmp_path: Path, environment: Environment) -> None:
    out = tmp_path / "out.parquet"
    record = fetch(Given(*DIRTY), out, environment)
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
    kept = [(a.concept_id, a.text, a.source) for a in read_alias_table(out)]
    assert kept == [
        ("C0000001", "Kopfschmerz", "W"),
        ("C0000001", "Kephalgie", "W"),
        ("C0000001", "kopf\u00adschmerz x", "W"),
        ("C0000003", "COPD", "W"),
        ("C0000003", "астма", "W"),
    ]
    assert json.loads((tmp_path / "out.parquet.json").read_text()) == record
    assert record["files"] == {"given": "0"}
    assert record["languages"] == {"de": 3, "ru": 2}


def test_items_of_several_concepts_are_dropped_or_kept(tmp_path: Path, environment: Environment) -> None:
    rows = [(cui, "de", f"Name {cui}", "Wikidata", "Q1") for cui in ("C0000001", "C0000002")]
    rows.append(("C0000003", "de", "allein", "Wikidata", "Q2"))
    for drop, kept in ((True, 1), (False, 3)):
        table = tmp_path / f"{drop}.parquet"
        record = fetch(Given(*rows), table, environment, drop_ambiguous_items=drop)
        assert record["counts"]["kept"] == kept


def test_a_finished_fetch_is_not_repeated_and_no_other_takes_its_place(
    tmp_path: Path, environment: Environment
) -> None:
    out = tmp_path / "out.parquet"
    first = fetch(Given(*DIRTY), out, environment)
    before = out.stat().st_mtime_ns
    again = Given(*DIRTY)
    assert fetch(again, out, environment) == first
    assert again.passes == 0
    assert out.stat().st_mtime_ns == before
    for source, rules, why in (
        (Given(*DIRTY, digest="1"), {}, "other values of: files"),
        (Given(*DIRTY), {"max_characters": 9}, "other values of: cleaning"),
    ):
        with pytest.raises(UsageError, match="exists") as error:
            fetch(source, out, environment, **rules)
        assert why in str(error.value)
    out.write_bytes(out.read_bytes() + b"x")
    with pytest.raises(UsageError, match="not the one that its record describes"):
        fetch(Given(*DIRTY), out, environment)
    (tmp_path / "out.parquet.json").write_text("[]")
    with pytest.raises(UsageError, match="damaged"):
        fetch(Given(*DIRTY), out, environment)
    (tmp_path / "out.parquet.json").unlink()
    with pytest.raises(UsageError, match="no record"):
        fetch(Given(*DIRTY), out, environment)
    assert others(tmp_path) == {"out.parquet"}


def test_an_interrupted_fetch_leaves_nothing(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.parquet"

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("merge", "publish", "write_raw"):
        with monkeypatch.context() as patch:
            patch.setattr(fetch_module, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                fetch(Given(*DIRTY), output, environment)
        assert others(tmp_path) == set()
    fetch(Given(*DIRTY), output, environment)
    assert json.loads((tmp_path / "o.parquet.json").read_text())["sha256"] == hash_file(output)


def test_what_a_killed_fetch_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    plugin = tmp_path / "slow_source.py"
    plugin.write_text(SLOW_PLUGIN)
    program = "from bioelx_bench.cli.main import main; main()"
    command = [sys.executable, "-c", program, "--plugin", str(plugin), "aliases", "fetch", "slow"]
    command += ["--output", str(tmp_path / "o.parquet")]
    settings = {**os.environ, "BIOELX_BENCH_CACHE": str(tmp_path / "cache"), "FOLDER": str(tmp_path)}
    process = subprocess.Popen(command, env=settings)
    started = time.monotonic()
    while not (tmp_path / "reached").exists() and time.monotonic() - started < 60:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert (tmp_path / ".o.parquet.unfinished").is_dir()
    (tmp_path / "go").touch()
    for _ in range(2):
        subprocess.run(command, env=settings, check=True, stdout=subprocess.DEVNULL)
    assert others(tmp_path) == {"slow_source.py", "reached", "go", "o.parquet", "o.parquet.json"}
    assert (tmp_path / "reached").read_text() == "xx"  # the third call read nothing


SLOW_PLUGIN = """
import os, time
from pathlib import Path
from bioelx_bench import hookimpl
from bioelx_bench.base import BaseAliasSource
from bioelx_bench.declarations import AliasSourceSpec
from bioelx_bench.records import Alias

class Slow(BaseAliasSource):
    def __init__(self, options, environment):
        super().__init__()

    def __iter__(self):
        folder = Path(os.environ["FOLDER"])
        yield Alias(concept_id="C0000001", language="de", text="Kopfschmerz", source="slow")
        with (folder / "reached").open("a") as file:
            file.write("x")
        while not (folder / "go").exists():
            time.sleep(0.05)

@hookimpl
def alias_sources():
    return [AliasSourceSpec(name="slow", summary="Waits", factory=f"{__name__}:Slow")]
"""


def test_nothing_left_is_an_error_that_counts(tmp_path: Path, environment: Environment) -> None:
    with pytest.raises(DataError, match="no alias") as error:
        fetch(Given(("X", "de", "a", "s")), tmp_path / "o.parquet", environment)
    assert "dropped:not_a_cui 1" in str(error.value)
    assert others(tmp_path) == set()


@given(st.text(max_size=30), st.sampled_from(["de", "ru", "ja", "xx", "th"]))
def test_what_passes_cleaning_can_stand_in_a_knowledge_base(text: str, language: str) -> None:
    from bioelx_bench.kb import schemas

    counts: Counter[str] = Counter()
    alias = Alias(concept_id="C0000001", language=language, text=text, source="x")
    passed = list(clean([alias], CleaningOptions(), counts))
    assert counts["read"] == 1
    assert len(passed) + sum(v for k, v in counts.items() if k.startswith("dropped")) == 1
    for found in passed:
        assert schemas.validation_error("name", found.text) is None
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
    source = Babelon(options, environment)
    assert [(a.concept_id, a.language, a.text, a.preferred) for a in source] == [
        ("C0000001", "fr", "Céphalée", True),
        ("C0000001", "de", "Kopfweh", False),
    ]
    assert source.counts == {"rows": 6, "skipped:no_concept": 1, "skipped:not_a_name": 1, "skipped:status": 1}
    with pytest.raises(UsageError, match="either an ontology or a crosswalk"):
        Babelon(BabelonOptions(files=str(babelon)), environment)
    with pytest.raises(DataError, match="subject_id"):
        list(Babelon(BabelonOptions(files=str(ontology), ontology=ontology), environment))


def test_an_ontology_gives_labels_and_synonyms(tmp_path: Path, environment: Environment) -> None:
    source = Obo(OboOptions(files=str(write(tmp_path / "hp.obo", OBO))), environment)
    assert [(a.concept_id, a.text, a.preferred) for a in source] == [
        ("C0000001", "Headache", True),
        ("C0000001", "Cephalgia", False),
    ]


def test_crosswalks_are_read_from_tables_and_mrconso(tmp_path: Path) -> None:
    fields = ["C0000001", *[""] * 17, "\n"]
    fields[10], fields[11], fields[13] = "D006261", "MSH", "D006261x"
    doid = "vocabulary\tid\tcui\ndoid\tDOID:12\tC0000002\ndoid\t12\tC0000003"
    rrf = tmp_path / "MRCONSO.RRF"
    rrf.write_text("|".join(fields))
    assert read_crosswalk(rrf).concepts("mesh", "D006261") == ("C0000001",)
    walk = read_crosswalk(write(tmp_path / "walk.tsv", doid))
    assert walk.concepts("doid", "DOID:12") == walk.concepts("doid", "12") == ("C0000002", "C0000003")
    with pytest.raises(DataError, match="not vocabulary, id, CUI") as error:
        read_crosswalk(write(tmp_path / "bad.tsv", "vocabulary\tid\tcui", "mesh\tD1"))
    assert str(error.value.where).endswith("bad.tsv:2")
    with pytest.raises(MissingError):
        read_crosswalk(tmp_path / "none.tsv")


def test_the_command_lists_sources_and_fetches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["aliases", "sources", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"babelon", "obo", "wikidata-dump", "wikidata-sparql"}
    assert rows["obo"]["options"]["files"]["required"]
    ontology = write(tmp_path / "hp.obo", OBO)
    command = ["aliases", "fetch", "obo", "-O", f"files={ontology}", "--output", str(tmp_path / "o.parquet")]
    for _ in range(2):
        assert invoke([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["languages"] == {"en": 2}
    secret = [
        "wikidata-sparql",
        "-O",
        "endpoint=https://me:secret@example.org/sparql",
        "--output",
        "x.parquet",
    ]
    assert invoke(["aliases", "fetch", *secret]) == 2
    message = capsys.readouterr().err
    assert "must hold no user name or password" in message
    assert "secret" not in message
