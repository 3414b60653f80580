"""Knowledge bases whose ids are no CUIs, and crosswalks to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import DataError
from bioelx_bench.kb.build import add_names
from bioelx_bench.kb.mappings import add_crosswalk
from bioelx_bench.kb.store import SCAN_FROM, KnowledgeBase
from bioelx_bench.kb.table import build_from_table
from bioelx_bench.schemes import MISSING, find_scheme


def make(folder: Path, rows: str, ids: str | None = None, name: str = "t.tsv") -> KnowledgeBase:
    file = folder / name
    file.write_text(rows, encoding="utf-8")
    return build_from_table(file, "t", folder / f"kb-{name}", scheme=find_scheme(ids) if ids else None)


MESH = "id\tlang\tname\nD005334\ten\tfever\nMESH:D003371\ten\tcough\nD005334\tde\tFieber\nc535662\ten\trare\n"


def test_mesh_ids(tmp_path: Path) -> None:
    kb = make(tmp_path, MESH)
    assert kb.id_scheme == kb.describe()["id_scheme"] == "mesh"
    assert [kb.concept_id(row) for row in range(len(kb))] == ["C535662", "D003371", "D005334"]
    assert [n.text for n in kb.concept("D005334").names] == ["Fieber", "fever"]
    assert "D000001" not in kb
    assert "C0000001" not in kb
    assert "\ud800" not in kb
    assert kb.concept_rows(["D005334", "x", "C535662"]).tolist() == [2, -1, 0]
    assert KnowledgeBase.open(kb.folder).id_scheme == "mesh"
    assert kb.manifest.counts["id_rewritten"] == 2


@given(
    st.sets(
        st.text(
            st.characters(exclude_categories=["Cs", "Cc", "Zs", "Cf"], exclude_characters="|"), min_size=1
        ).filter(lambda t: find_scheme("any").canonical(t) == t and t.lower() not in MISSING),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=20, deadline=None)
def test_any_ids_are_found_in_byte_order(tmp_path_factory: pytest.TempPathFactory, ids: set[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    file = folder / "t.jsonl"
    import json

    file.write_text(
        "\n".join(json.dumps({"id": i, "lang": "en", "name": "x"}) for i in ids), encoding="utf-8"
    )
    kb = build_from_table(file, "t", folder / "kb", scheme=find_scheme("any"))
    ordered = sorted(ids, key=str.encode)
    assert [kb.concept_id(row) for row in range(len(kb))] == ordered
    assert [kb.concept_row(i) for i in ordered] == list(range(len(ordered)))
    many = ordered * (SCAN_FROM // len(ordered) + 1) + ["not there at all"]
    assert kb.concept_rows(many).tolist() == [
        *np.tile(np.arange(len(ordered)), (len(many) - 1) // len(ordered)),
        -1,
    ]


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    kb = make(tmp_path, "id\tlang\tname\nTOY:1\ten\tx\nTOY:12\ten\ty\n", "TOY:[0-9]+")
    assert kb.id_scheme == "TOY:[0-9]+"
    assert KnowledgeBase.open(kb.folder).concept_row("TOY:12") == 1
    with pytest.raises(DataError, match="'TAY:1' is not an id") as caught:
        make(tmp_path, "id\tlang\tname\nTOY:1\ten\tx\nTAY:1\ten\ty\n", "TOY:[0-9]+", "bad.tsv")
    assert ":3 (field id)" in str(caught.value.where)


def test_names_are_added(tmp_path: Path) -> None:
    kb = make(tmp_path, MESH)
    from bioelx_bench.kb.build import names_of

    more = add_names(kb, tmp_path / "more", "more", names_of(kb), {}, [])
    assert more.id_scheme == "mesh"
    assert more.sha256 == kb.sha256


SSSOM = """#curie_map:
#  MESH: http://id.nlm.nih.gov/mesh/
subject_id\tpredicate_id\tobject_id\tmapping_justification
MESH:D005334\tskos:exactMatch\tUMLS:C0015967\tx
MESH:D005334\tskos:exactMatch\tHP:0001945\tx
MONDO:0000001\tskos:exactMatch\tMESH:D003371\tx
MONDO:0000001\tskos:exactMatch\tMESH:D005334\tx
MESH:D003371\tskos:broadMatch\tUMLS:C0010200\tx
MESH:D000001\tskos:exactMatch\tUMLS:C0000001\tx
DOID:1\tskos:exactMatch\tMONDO:0000002\tx
"""


def test_a_crosswalk_maps_gold(tmp_path: Path) -> None:
    kb = make(tmp_path, MESH)
    (tmp_path / "m.sssom.tsv").write_text(SSSOM)
    mapped = add_crosswalk(kb, [tmp_path / "m.sssom.tsv"])
    assert mapped.counts == {
        "rows": 7, "rows:inexact": 1, "rows:other_schemes": 1, "mapped": 3, "ambiguous": 1, "unmapped": 1,
    }  # fmt: skip
    kb = KnowledgeBase.open(kb.folder)
    assert kb.resolve_gold("C0015967", "umls") == ("D005334",)
    assert kb.resolve_gold("MONDO:0000001", "mondo") == ("D003371", "D005334")
    assert kb.resolve_gold("C0000001", "umls") == ()
    assert kb.resolve_gold("D005334", "mesh") == ("D005334",)
    assert kb.resolve_gold("D009999") == ()
    assert "crosswalk" in kb.describe()
    again = add_crosswalk(kb, [tmp_path / "m.sssom.tsv"], inexact=True)
    assert again.counts["mapped"] == 4


def test_a_crosswalk_that_maps_nothing_is_an_error(tmp_path: Path) -> None:
    kb = make(tmp_path, MESH)
    (tmp_path / "m.tsv").write_text("subject_id\tobject_id\nDOID:1\tMONDO:0000002\n")
    with pytest.raises(DataError, match="no row maps"):
        add_crosswalk(kb, [tmp_path / "m.tsv"])
    (tmp_path / "m.tsv").write_text("a\tb\nDOID:1\tMONDO:0000002\n")
    with pytest.raises(DataError, match="no column 'subject_id'"):
        add_crosswalk(kb, [tmp_path / "m.tsv"])
