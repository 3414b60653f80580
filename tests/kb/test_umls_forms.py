"""A UMLS release in the forms in which people have it gives the same names in each."""

from __future__ import annotations

import gzip
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import rrf_release as rel

from bioelx_bench.errors import DataError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.umls.build import build_from_umls
from bioelx_bench.kb.umls.presets import UmlsFilter


def names(kb: KnowledgeBase) -> list[tuple[str, str, str]]:
    return [(kb.concept_id(row), n.language, n.text) for row in range(len(kb)) for n in kb.names_of(row)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    folder = tmp_path_factory.mktemp("whole")
    return names(build_from_umls(rel.write_folder(folder / "r"), "u", folder / "kb", UmlsFilter()))


def file_alone(folder: Path) -> Path:
    path = folder / "MRCONSO.RRF"
    path.write_bytes(rel.MRCONSO.encode())
    return path


def folder_alone(folder: Path) -> Path:
    return file_alone(folder).parent


def zip_alone(folder: Path) -> Path:
    path = folder / "umls-2021AB-mrconso.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MRCONSO.RRF", rel.MRCONSO)
    return path


def unpacked(folder: Path) -> Path:
    """What unzipping the download leaves: `.nlm` archives in a folder."""
    with zipfile.ZipFile(rel.write_nested_zip(folder / "full.zip")) as archive:
        archive.extractall(folder / "full")
    return folder / "full"


@pytest.mark.parametrize("form", [file_alone, folder_alone, zip_alone, unpacked])
def test_each_form_has_the_same_names(
    tmp_path: Path, whole: list[tuple[str, str, str]], form: Callable[[Path], Path]
) -> None:
    (tmp_path / "in").mkdir()
    kb = build_from_umls(form(tmp_path / "in"), "u", tmp_path / "kb", UmlsFilter())
    assert names(kb) == whole


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(rel.MRCONSO.encode())), min_size=1, max_size=4))
def test_pieces_may_break_anywhere(
    cuts: list[int], whole: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    data, ends = rel.MRCONSO.encode(), sorted(cuts)
    for letter, start, end in zip("abcde", [0, *ends], [*ends, len(data)], strict=False):
        (folder / f"MRCONSO.RRF.a{letter}.gz").write_bytes(gzip.compress(data[start:end]))
    assert names(build_from_umls(folder, "u", folder.parent / f"{folder.name}-kb", UmlsFilter())) == whole


def test_a_subset_beside_the_counts_of_the_whole(tmp_path: Path) -> None:
    release = rel.write_folder(tmp_path / "r")
    path = next(release.rglob("MRCONSO.RRF"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(DataError, match="MRCONSO"):
        build_from_umls(release, "u", tmp_path / "refused", UmlsFilter())
    kb = build_from_umls(release, "u", tmp_path / "kb", UmlsFilter(), subset=True)
    assert names(kb) == [("C0000001", "en", "Fever")]
