from __future__ import annotations

from pathlib import Path

import pytest

from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError
from bioelx_bench.kb.alias_tables import SCHEMA, add_aliases, read_alias_table, to_batches
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.table import build_from_table
from bioelx_bench.records import Alias


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def small_kb(tmp_path: Path) -> KnowledgeBase:
    rows = [f"C000000{i}\ten\t{name}" for i, name in enumerate(("headache", "fever", "asthma"), 1)]
    return build_from_table(write(tmp_path / "names.tsv", "cui\tlang\tname", *rows), "small", tmp_path / "kb")


def test_what_is_written_as_a_table_is_read_again(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    aliases = [
        Alias(concept_id="C0000001", language="de", text="Kopfschmerz", source="W", preferred=True),
        Alias(
            concept_id="C0000002",
            language="mul",
            text="発熱",
            source="V",
            item="Q1",
            property="p",
            date="2025",
        ),
    ]
    with pq.ParquetWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        for batch in to_batches(aliases):
            writer.write_batch(batch)
    assert list(read_alias_table(tmp_path / "a.parquet")) == aliases


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
    kb = str(small_kb.folder)
    target = str(tmp_path / "new")
    command = ["kb", "add-aliases", kb, str(table), "--languages", "de", "--name", "new", "--output", target]
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
