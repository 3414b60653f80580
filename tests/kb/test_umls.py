"""Knowledge bases from UMLS releases: every row of a hand-written release, and hostile archives."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import BenchError, DataError, MissingError, UsageError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.umls import rrf
from bioelx_bench.kb.umls.build import build_from_umls
from bioelx_bench.kb.umls.presets import PRESETS, TREE_NUMBERS, UmlsFilter, choose
from bioelx_bench.kb.umls.release import Piece
from bioelx_bench.kb.umls.rows import descends
from bioelx_bench.records import Name

SPEC = importlib.util.spec_from_file_location("kb_rrf_release", Path(__file__).with_name("rrf_release.py"))
assert SPEC is not None
assert SPEC.loader is not None
rel = importlib.util.module_from_spec(SPEC)
sys.modules["kb_rrf_release"] = rel
SPEC.loader.exec_module(rel)


def build(tmp_path: Path, release: Path | None = None, folder: str = "kb", **chosen: Any) -> KnowledgeBase:
    source = release or rel.write_folder(tmp_path / "release")
    return build_from_umls(source, "umls", tmp_path / folder, UmlsFilter(**chosen))


def all_names(kb: KnowledgeBase) -> dict[str, list[tuple[str, str, str, bool]]]:
    return {
        kb.concept_id(i): [(n.text, n.language, n.source, n.preferred) for n in kb.names_of(i)]
        for i in range(len(kb))
    }


def test_every_field_of_the_hand_written_release(tmp_path: Path) -> None:
    kb = build(tmp_path)
    assert all_names(kb) == {
        "C0000001": [
            ("Fieber", "de", "MSHGER", True),
            ("Fever", "en", "MSH|NCI", True),
            ('fever "high"', "en", "MSH", False),
        ],
        "C0000002": [("Acetaminophen", "en", "RXNORM", True), ("アセトアミノフェン", "ja", "MDRJPN", False)],
        "C0000003": [("Tylox", "en", "RXNORM", True)],
        "C0000004": [("Dolorin", "en", "MSH", True)],
        "C0000005": [("fremd", "xyz", "OTHER", True)],
        "C0000007": [("Cough\u00a0sign", "en", "SNOMEDCT_US", False)],
    }
    fever = kb.concept("C0000001")
    assert fever.names[1] == Name("Fever", "en", "MSH|NCI", preferred=True)
    assert fever.semantic_types == ("T184",)
    assert fever.definition == "An abnormal elevation of body temperature."
    assert kb.concept("C0000002").semantic_types == ("T109", "T121")
    assert kb.definitions.column("source").to_pylist() == ["MSH", "NCI", "MSHGER"]
    counts = kb.manifest.counts
    assert counts["MRCONSO:rows"] == 15
    assert counts["dropped:suppressible"] == 4
    assert counts["dropped:unusable_name"] == 1
    assert counts["rows:merged"] == 1
    assert counts["language_without_iso_code:XYZ"] == 1
    assert counts["MRDEF:dropped"] == 1
    assert counts["definitions:dropped_without_name"] == 1
    assert counts["semantic_types:dropped_without_name"] == 1
    assert counts["MRCUI:inexact_successor_not_used"] == 1
    assert counts["MRCONSO:rows"] == (
        counts["rows:read"] + counts["dropped:suppressible"] + counts["dropped:unusable_name"]
    )
    assert kb.manifest.filters["release"] == "2020AA"
    assert {f.path for f in kb.manifest.files} == {
        f"{n}.RRF" for n in ("MRCONSO", "MRSTY", "MRDEF", "MRCUI", "MRFILES")
    }
    assert all(f.licence == "UMLS Metathesaurus License" for f in kb.manifest.files)


def test_retired_concepts_are_mapped(tmp_path: Path) -> None:
    kb = build(tmp_path)
    assert kb.resolve_gold("C0000101") == ("C0000001",)
    assert kb.resolve_gold("C0000102") == ("C0000001",)
    assert kb.resolve_gold("C0000103") == ()
    assert kb.resolve_gold("C0000104") == ()
    assert kb.resolve_gold("C0000105") == ("C0000001", "C0000002")
    assert kb.resolve_gold("C0000007") == ("C0000007",)
    assert kb.resolve_gold("C0000006") == ()


def test_languages_and_sources(tmp_path: Path) -> None:
    german = build(tmp_path, languages=("de",))
    assert all_names(german) == {"C0000001": [("Fieber", "de", "MSHGER", True)]}
    assert german.concept("C0000001").definition == "Erhöhte Temperatur."
    assert german.manifest.counts["dropped:language"] == 10
    nci = build(tmp_path, tmp_path / "release", "nci", sources=("NCI",))
    assert all_names(nci) == {"C0000001": [("Fever", "en", "NCI", False)]}


def test_suppressible_names(tmp_path: Path) -> None:
    some = build(tmp_path, suppressible=("O",))
    texts = {name[0] for names in all_names(some).values() for name in names}
    assert {"old fever", "Only suppressed"} <= texts
    assert "edited fever" not in texts
    everything = build(tmp_path, tmp_path / "release", "all", suppressible=("E", "O", "Y"))
    assert "dropped:suppressible" not in everything.manifest.counts


def test_semantic_types_with_and_without_descendants(tmp_path: Path) -> None:
    exact = build(tmp_path, semantic_types=("T033",))
    assert sorted(all_names(exact)) == ["C0000005", "C0000007"]
    assert exact.manifest.counts["dropped:semantic_type"] == 8
    below = build(tmp_path, tmp_path / "release", "below", semantic_types=("T033+",))
    assert sorted(all_names(below)) == ["C0000001", "C0000005", "C0000007"]
    chemical = build(tmp_path, tmp_path / "release", "chemical", semantic_types=("T103+",))
    assert sorted(all_names(chemical)) == ["C0000002", "C0000003", "C0000004"]
    assert chemical.concept("C0000002").semantic_types == ("T109", "T121")


@pytest.mark.parametrize(
    ("tree", "root", "below"),
    [
        ("A1.2.3", "A1.2", True),
        ("A1.2", "A1.2", False),
        ("A1.21", "A1.2", False),
        ("B1", "B", True),
        ("A1", "B", False),
    ],
)
def test_the_semantic_network_is_a_tree_of_numbers(tree: str, root: str, below: bool) -> None:
    assert descends(tree, root) is below


def test_trade_names_go_to_the_generic_concept(tmp_path: Path) -> None:
    kb = build(tmp_path, trade_names=True)
    assert all_names(kb)["C0000002"] == [
        ("Acetaminophen", "en", "RXNORM", True),
        ("Dolorin", "en", "MSH", False),
        ("Tylox", "en", "RXNORM", False),
        ("アセトアミノフェン", "ja", "MDRJPN", False),
    ]
    assert all_names(kb)["C0000003"] == [("Tylox", "en", "RXNORM", True)]
    assert "C0000008" not in kb
    assert kb.manifest.counts["MRREL:trade_name_pairs"] == 3
    assert kb.manifest.counts["MRREL:names_added"] == 2


def test_a_zip_nested_zips_and_pieces_give_the_same_content(tmp_path: Path) -> None:
    folder = build(tmp_path, trade_names=True)
    plain = build(tmp_path, rel.write_zip(tmp_path / "r.zip"), "zip", trade_names=True)
    nested = build(
        tmp_path, rel.write_nested_zip(tmp_path / "umls-2020AA-full.zip"), "nested", trade_names=True
    )
    assert folder.sha256 == plain.sha256 == nested.sha256
    assert plain.manifest.files[0].path == "r.zip"
    assert plain.manifest.filters["release"] == nested.manifest.filters["release"] == "2020AA"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "kb", "nested", "r.zip", "release", "umls-2020AA-full.zip", "zip",
    ]  # fmt: skip


def test_an_unknown_language_source_or_type_is_named(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "release")
    for chosen, says in (
        ({"languages": ("en", "th")}, "no name of 'th'"),
        ({"sources": ("MSHX",)}, "did you mean 'MSH'"),
        ({"semantic_types": ("T999",)}, "T999"),
    ):
        with pytest.raises(UsageError) as caught:
            build(tmp_path, release, **chosen)
        assert says in str(caught.value)
        assert caught.value.where == f"--{next(iter(chosen)).replace('_', '-')}"
    assert [p.name for p in tmp_path.iterdir()] == ["release"]


def test_what_a_preset_names_and_the_release_lacks_is_counted(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "release")
    kb = build_from_umls(release, "m", tmp_path / "kb", PRESETS["mantra"], preset="mantra", strict=())
    assert kb.manifest.counts["not_in_release:sources:MDR"] == 1
    assert sorted(all_names(kb)) == ["C0000001", "C0000004", "C0000007"]
    assert kb.manifest.filters["preset"] == "mantra"


def test_presets_and_the_options_that_win_over_them() -> None:
    assert len(PRESETS["st21pv"].sources) == 18
    assert len(PRESETS["st21pv"].semantic_types) == len(TREE_NUMBERS) == 21
    assert choose("sapbert", {}).trade_names
    assert choose("mantra", {"languages": ("de",)}).languages == ("de",)
    assert choose("mantra", {"languages": ("de",)}).sources == ("MDR", "MSH", "SNOMEDCT_US")
    with pytest.raises(UsageError, match="did you mean 'mantra'"):
        choose("mantr", {})
    for bad in ({"languages": ("GER",)}, {"suppressible": ("X",)}, {"semantic_types": ("47",)}):
        with pytest.raises(UsageError):
            choose(None, bad)


BROKEN = {
    "too few fields": ("C0000001|ENG|P\n", "3 fields|2 fields", ""),
    "no last pipe": (rel.conso("C0000001", "ENG", "x", "MSH").rstrip("|\n") + "\n", "17 fields", ""),
    "after the last pipe": (rel.conso("C0000001", "ENG", "x", "MSH", end="x\n"), "does not end", ""),
    "a pipe in a field": (rel.conso("C0000001", "ENG", "x|y", "MSH"), "19 fields", ""),
    "bad CUI": (rel.conso("C001", "ENG", "x", "MSH"), "'C001' is not a CUI", " (field CUI)"),
    "web page": ("<!DOCTYPE html>\n", "0 fields", ""),
}


@pytest.mark.parametrize(("line", "says", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_line_is_named_and_nothing_is_left(tmp_path: Path, line: str, says: str, field: str) -> None:
    release = rel.write_folder(tmp_path / "release", MRCONSO=rel.MRCONSO + line)
    with pytest.raises(DataError) as caught:
        build(tmp_path, release)
    assert any(part in str(caught.value) for part in says.split("|"))
    assert caught.value.where == f"{release}/2020AA/META/MRCONSO.RRF:17{field}"
    assert [p.name for p in tmp_path.iterdir()] == ["release"]


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "release")
    file = release / "2020AA" / "META" / "MRDEF.RRF"
    file.write_bytes(file.read_bytes().decode().encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8") as caught:
        build(tmp_path, release)
    assert caught.value.where == f"{file}:3"


def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "release")
    file = release / "2020AA" / "META" / "MRSTY.RRF"
    file.write_text("".join(rel.MRSTY.splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match=r"MRSTY.RRF is not whole") as caught:
        build(tmp_path, release)
    assert "MRFILES.RRF says 8" in str(caught.value)


def test_a_release_without_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no release"):
        build(tmp_path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match=r"no MRCONSO.RRF"):
        build(tmp_path, tmp_path / "empty")
    release = rel.write_folder(tmp_path / "release")
    for name in ("MRREL", "MRDEF", "MRCUI", "MRFILES"):
        (release / "2020AA" / "META" / f"{name}.RRF").unlink()
    assert len(build(tmp_path, release)) == 6
    with pytest.raises(MissingError, match=r"no MRREL.RRF"):
        build(tmp_path, release, "trade", trade_names=True)


def test_two_releases_in_one_folder_are_refused(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "release")
    rel.write_folder(tmp_path / "release" / "again")
    with pytest.raises(DataError, match="more than once"):
        build(tmp_path, release)


def test_the_known_hash_of_a_zip_is_checked(tmp_path: Path) -> None:
    release = rel.write_zip(tmp_path / "r.zip")
    sha256 = hashlib.sha256(release.read_bytes()).hexdigest()
    build_from_umls(release, "u", tmp_path / "kb", UmlsFilter(), expected_sha256=sha256.upper())
    with pytest.raises(DataError, match="hash is not the one"):
        build_from_umls(release, "u", tmp_path / "other", UmlsFilter(), expected_sha256="0" * 64)


def hostile_zip(path: Path, name: str, data: bytes = b"x") -> Path:
    rel.write_zip(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["../evil.RRF", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil"])
def test_paths_that_lead_out_of_the_zip_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside the archive"):
        build(tmp_path, hostile_zip(tmp_path / "r.zip", name))
    assert [p.name for p in tmp_path.iterdir()] == ["r.zip"]


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    path = rel.write_zip(tmp_path / "r.zip")
    link = zipfile.ZipInfo("2020AA/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="link"):
        build(tmp_path, path)


def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("META/MRCONSO.RRF", "w") as out,
    ):
        for _ in range(70):
            out.write(bytes(1 << 20))
    with pytest.raises(DataError, match="a bomb"):
        build(tmp_path, path)


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>Sign in</html>", b"PK\x03\x04 but no zip", b""])
def test_what_is_no_zip_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "r.zip"
    path.write_bytes(data)
    with pytest.raises(DataError, match="archive cannot be used") as caught:
        build(tmp_path, path)
    assert ("web page" in str(caught.value)) is data.startswith(b"<!")


def test_damaged_archives_are_named(tmp_path: Path) -> None:
    path = rel.write_zip(tmp_path / "r.zip", MRCONSO=rel.MRCONSO * 50)
    data = bytearray(path.read_bytes())
    at = data.find(b"MRCONSO.RRF") + 60
    data[at : at + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        build(tmp_path, path)
    release = rel.write_folder(tmp_path / "release")
    file = release / "2020AA" / "META" / "MRCONSO.RRF"
    packed = gzip.compress(file.read_bytes() * 50)
    file.unlink()
    (file.parent / "MRCONSO.RRF.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match="damaged, cut off") as caught:
        build(tmp_path, release)
    assert caught.value.where == f"{file}.gz"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.zip", "release"]


field = st.one_of(
    st.sampled_from(["C0000001", "C1", "T047", "", "|", '"', "\r", "\x00"]), st.text(max_size=3)
)
good = st.just("C0000001|T047|B2.2.1.2.1|Disease|AT1|256|")
line = st.one_of(
    good,
    st.lists(field, max_size=8).map("|".join),
    st.lists(field, min_size=6, max_size=6).map(lambda f: "|".join(f) + "|"),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(line, max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), st.binary(max_size=2))
def test_any_rrf_text_parses_or_names_file_and_line(lines: list[str], ending: str, tail: bytes) -> None:
    data = ending.join(lines).encode("utf-8", "surrogatepass") + tail
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "MRSTY.RRF"
        path.write_bytes(data)
        piece = Piece(str(path), lambda: path.open("rb"))
        try:
            rows = sum(b.num_rows for b in rrf.read_rrf([piece], rrf.MRSTY, ("CUI", "TUI")))
        except BenchError as error:
            assert error.where is not None
            assert error.where.removeprefix(f"{path}:").split(" ")[0].isdecimal()
        else:
            assert rows == len([x for x in data.decode().replace("\r", "\n").split("\n") if x])
