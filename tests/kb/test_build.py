"""The one writer: merging, order, hashes, atomicity and full disks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.errors import BenchError, DataError, UsageError
from bioelx_bench.kb import schemas, store
from bioelx_bench.kb.build import Rows, add_names, build_knowledge_base
from bioelx_bench.kb.manifest import SourceFile
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.writer import exact_batches
from bioelx_bench.records import Name

ROWS = [
    ("C0000002", "en", "Fever", "MSH", True),
    ("C0000002", "en", "fever", "MSH", False),
    ("C0000002", "de", "Fieber", "WD", False),
    ("C0000001", "en", "Cough", "NCI", False),
    ("C0000001", "en", "Cough", "MSH", True),
    ("C0000001", "en", "Cough", "MSH", False),
    ("C0000001", "ja", "咳", "WD", True),
]


def test_names_are_merged_with_all_their_sources_and_sorted(make_kb: Callable[..., KnowledgeBase]) -> None:
    kb = make_kb(ROWS)
    assert len(kb) == 2
    assert kb.name_count == 5
    assert kb.concept("C0000001").names == (
        Name("Cough", "en", "MSH|NCI", preferred=True),
        Name("咳", "ja", "WD", preferred=True),
    )
    assert kb.concept("C0000002").names == (
        Name("Fever", "en", "MSH", preferred=True),
        Name("Fieber", "de", "WD"),
        Name("fever", "en", "MSH"),
    )
    assert kb.name_offsets.tolist() == [0, 2, 5]
    assert kb.name_concepts.tolist() == [0, 0, 1, 1, 1]
    counts = kb.manifest.counts
    assert counts["rows:read"] == 7
    assert counts["rows:merged"] == 2
    assert counts["language:en"] == 3
    assert counts["source:MSH"] == 3
    assert counts["source:NCI"] == 1
    assert counts["names:preferred"] == 3


def test_definitions_and_types_of_known_concepts_only(make_kb: Callable[..., KnowledgeBase]) -> None:
    definitions = pa.record_batch(
        [["C0000001", "C0000001", "C0000009"], ["by B", "by A", "gone"], ["B", "A", "A"]],
        schema=schemas.DEFINITIONS,
    )
    types = pa.record_batch(
        [["C0000002", "C0000002", "C0000009", "C0000002"], ["T047", "T033", "T047", "T047"]],
        schema=schemas.SEMANTIC_TYPES,
    )
    kb = make_kb(ROWS, definitions=[definitions], semantic_types=[types], definition_order=["B", "A"])
    assert kb.concept("C0000001").definition == "by B"
    assert kb.concept("C0000002").definition is None
    assert kb.concept("C0000002").semantic_types == ("T033", "T047")
    assert kb.concept("C0000001").semantic_types == ()
    assert kb.manifest.definitions == 2
    assert kb.manifest.counts["definitions:dropped_without_name"] == 1
    assert kb.manifest.counts["semantic_types:dropped_without_name"] == 1


def test_the_hash_is_that_of_the_content_alone(make_kb: Callable[..., KnowledgeBase]) -> None:
    first = make_kb(ROWS, "a")
    assert make_kb(reversed(ROWS), "b", size=1).sha256 == first.sha256
    changed = [(*ROWS[0][:4], False), *ROWS[1:]]
    assert make_kb(changed, "c").sha256 != first.sha256
    assert make_kb(ROWS[:-1], "d").sha256 != first.sha256
    types = pa.record_batch([["C0000002"], ["T047"]], schema=schemas.SEMANTIC_TYPES)
    assert make_kb(ROWS, "e", semantic_types=[types]).sha256 != first.sha256
    definition = pa.record_batch([["C0000001"], ["x"], ["A"]], schema=schemas.DEFINITIONS)
    assert make_kb(ROWS, "f", definitions=[definition]).sha256 != first.sha256


def test_the_hash_does_not_confuse_fields(make_kb: Callable[..., KnowledgeBase]) -> None:
    one = make_kb([("C0000001", "en", "a b", "S", False)], "a")
    two = make_kb([("C0000001", "en", "a", "b S", False)], "b")
    assert one.sha256 != two.sha256


row_strategy = st.tuples(
    st.sampled_from([f"C{i:07d}" for i in (0, 1, 7, 99, 9999999)]),
    st.sampled_from(["en", "de", "zh-hans"]),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=4).filter(
        lambda t: t.strip(" ")
    ),
    st.sampled_from(["A", "B", "a b"]),
    st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(row_strategy, min_size=1, max_size=30))
def test_any_rows_give_what_a_plain_model_gives(rows: list[tuple[str, str, str, str, bool]]) -> None:
    expected: dict[tuple[str, str, str], tuple[set[str], bool]] = {}
    for cui, language, text, source, preferred in rows:
        sources, before = expected.get((cui, language, text), (set(), False))
        expected[cui, language, text] = (sources | {source}, before or preferred)
    flat = [
        (cui, Name(text, language, "|".join(sorted(sources)), preferred))
        for (cui, language, text), (sources, preferred) in expected.items()
    ]
    flat.sort(key=lambda r: (r[0], not r[1].preferred, r[1].language, r[1].text.encode()))
    with tempfile.TemporaryDirectory() as scratch:
        arrays = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schemas.NAMES, strict=True)]
        batch = pa.record_batch(arrays, schema=schemas.NAMES)
        kb = build_knowledge_base(Path(scratch) / "kb", "test", Rows(names=[batch]), files=[], filters={})
        found = [(kb.concept_id(i), name) for i in range(len(kb)) for name in kb.names_of(i)]
    assert found == flat


def test_batches_of_the_layout_have_the_fixed_size() -> None:
    table = pa.table({"a": list(range(25))})
    sizes = [b.num_rows for b in exact_batches(table.to_batches(max_chunksize=7), rows=10)]
    assert sizes == [10, 10, 5]
    assert [b.num_rows for b in exact_batches(table.slice(0, 20).to_batches(), rows=10)] == [10, 10]


def test_more_names_than_a_batch_are_found_by_row(make_kb: Callable[..., KnowledgeBase]) -> None:
    count = store.BATCH_ROWS + 10
    rows = [(f"C{i:07d}", "en", f"name {i}", "S", False) for i in range(count)]
    kb = make_kb(rows, size=10_000)
    assert kb.name_text(count - 1) == f"name {count - 1}"
    assert kb.concept(f"C{count - 1:07d}").names[0].text == f"name {count - 1}"
    assert [b.num_rows for b in kb.name_batches()] == [store.BATCH_ROWS, 10]
    assert np.array_equal(kb.name_concepts, np.arange(count))


def test_many_sources_of_one_name_are_all_kept(make_kb: Callable[..., KnowledgeBase]) -> None:
    sources = [f"S{i:03d}" for i in range(200)]
    kb = make_kb([("C0000001", "en", "x", s, False) for s in sources])
    assert kb.concept("C0000001").names[0].source == "|".join(sources)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("C123", "en", "x", "S", False), "C123"),
        (("C0000001", "ENG", "x", "S", False), "ENG"),
        (("C0000001", "en", " ", "S", False), "' '"),
        (("C0000001", "en", "a\nb", "S", False), "a\\nb"),
        (("C0000001", "en", "x", "a|b", False), "a|b"),
    ],
)
def test_values_that_cannot_be_kept_are_refused(
    make_kb: Callable[..., KnowledgeBase], tmp_path: Path, row: tuple[str, str, str, str, bool], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        make_kb([ROWS[0], row])
    assert says in str(caught.value)
    assert "row 2" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_an_error_and_leave_nothing(
    make_kb: Callable[..., KnowledgeBase], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no name"):
        make_kb([])
    assert list(tmp_path.iterdir()) == []


def test_too_many_sources_are_a_mistaken_column(make_kb: Callable[..., KnowledgeBase]) -> None:
    with pytest.raises(DataError, match="1100 different sources"):
        make_kb([("C0000001", "en", "x", f"S{i}", False) for i in range(1100)], size=500)


def test_an_error_in_the_rows_comes_out_as_it_is_and_leaves_nothing(
    tmp_path: Path, name_batches: Callable[..., object]
) -> None:
    def rows() -> object:
        yield from name_batches(ROWS)  # type: ignore[misc]
        raise DataError("line 8 is broken")

    with pytest.raises(DataError, match="line 8 is broken"):
        build_knowledge_base(tmp_path / "kb", "test", Rows(names=rows()), files=[], filters={})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_kept_if_it_is_the_same_and_refused_otherwise(
    tmp_path: Path, name_batches: Callable[..., object]
) -> None:
    file = SourceFile(path="x", sha256="1")

    def build(name: str, **filters: int) -> KnowledgeBase:
        rows = Rows(names=name_batches(ROWS))  # type: ignore[arg-type]
        return build_knowledge_base(tmp_path / "kb", name, rows, files=[file], filters=filters)

    first = build("a", x=1)
    changed = (first.folder / "manifest.json").stat().st_mtime_ns
    assert build("a", x=1).sha256 == first.sha256
    assert (first.folder / "manifest.json").stat().st_mtime_ns == changed
    for name, x in (("b", 1), ("a", 2)):
        with pytest.raises(UsageError, match="exists"):
            build(name, x=x)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        build_knowledge_base(tmp_path / "other", "a", Rows(names=[]), files=[], filters={})
    assert (tmp_path / "other" / "file").read_text() == "mine"


def test_what_a_killed_build_left_is_cleared_and_a_running_one_is_respected(
    tmp_path: Path, make_kb: Callable[..., KnowledgeBase]
) -> None:
    partial = tmp_path / ".kb.partial"
    (partial / "kb").mkdir(parents=True)
    (partial / "kb" / "names.arrow").write_bytes(b"torn")
    with FileLock(partial / "lock"), pytest.raises(UsageError, match="another process"):
        make_kb(ROWS)
    assert make_kb(ROWS).name_count == 5
    assert [p.name for p in tmp_path.iterdir()] == ["kb"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from bioelx_bench.errors import BenchError
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
n = 60_000
cuis, texts = [f"C{i:07d}" for i in range(n)], [f"a longer name {i}" for i in range(n)]
columns = [cuis, ["en"] * n, texts, ["S"] * n, [False] * n]
batch = pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schemas.NAMES)], schema=schemas.NAMES)
try:
    build_knowledge_base(Path(sys.argv[1]), "t", Rows(names=[batch]), files=[], filters={})
except BenchError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("limit", [1_000, 300_000])
def test_a_full_disk_gives_an_error_that_says_so_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    output = tmp_path / "kb"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(output), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot write" in done.stdout or "cannot be built" in done.stdout
    assert "free space" in done.stdout
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from bioelx_bench.kb import schemas
from bioelx_bench.kb.build import Rows, build_knowledge_base
def rows():
    for start in range(0, 400_000, 100_000):
        if start == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        cuis = [f"C{i:07d}" for i in range(start, start + 100_000)]
        columns = [cuis, ["en"] * 100_000, cuis, ["S"] * 100_000, [True] * 100_000]
        yield pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schemas.NAMES)], schema=schemas.NAMES)
print(build_knowledge_base(Path(sys.argv[1]), "t", Rows(names=rows()), files=[], filters={}).sha256)
"""


def test_a_killed_build_leaves_no_output_and_is_repeated_with_the_same_result(tmp_path: Path) -> None:
    def build(folder: str, kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / folder), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert build("kb", 300_000).returncode == -9
    assert not (tmp_path / "kb").exists()
    again, other = build("kb", -1), build("other", -1)
    assert again.returncode == 0, again.stderr
    assert again.stdout == other.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kb", "other"]


def test_names_are_added_to_a_new_knowledge_base(
    tmp_path: Path, make_kb: Callable[..., KnowledgeBase], name_batches: Callable[..., object]
) -> None:
    definition = pa.record_batch([["C0000001"], ["an expulsion of air"], ["A"]], schema=schemas.DEFINITIONS)
    types = pa.record_batch([["C0000001", "C0000002"], ["T184", "T184"]], schema=schemas.SEMANTIC_TYPES)
    retired = pa.record_batch([["C0000003"], ["C0000001"]], schema=schemas.RETIRED)
    base = make_kb(ROWS, definitions=[definition], semantic_types=[types], retired=[retired])
    added = [("C0000001", "de", "Husten", "WD", True), ("C0000001", "en", "Cough", "WD", False)]
    unknown = [("C0000005", "de", "Schnupfen", "WD", False)]
    file = SourceFile(path="aliases.tsv", sha256="2")
    more = add_names(base, tmp_path / "more", "more", name_batches(added + unknown), {"min": 1}, [file])  # type: ignore[arg-type]
    assert more.concept("C0000001").names == (
        Name("Husten", "de", "WD", preferred=True),
        Name("Cough", "en", "MSH|NCI|WD", preferred=True),
        Name("咳", "ja", "WD", preferred=True),
    )
    assert more.concept("C0000001").definition == "an expulsion of air"
    assert more.concept("C0000002").semantic_types == ("T184",)
    assert more.resolve_gold("C0000003") == ("C0000001",)
    assert more.concept("C0000002") == base.concept("C0000002")
    assert len(more) == 2
    assert more.manifest.counts["added:dropped_unknown_concept"] == 1
    assert more.manifest.filters["base"] == {"name": "test", "sha256": base.sha256}
    assert more.manifest.files == [file]
    wider = add_names(base, tmp_path / "wide", "wide", name_batches(unknown), {}, [file], only_known=False)  # type: ignore[arg-type]
    assert len(wider) == 3
    same = add_names(base, tmp_path / "same", "same", [], {}, [])
    assert same.sha256 == base.sha256


def test_retired_concepts_lead_to_their_successors(make_kb: Callable[..., KnowledgeBase]) -> None:
    pairs = [
        ("C0000010", "C0000001"),
        ("C0000011", "C0000010"),
        ("C0000012", ""),
        ("C0000013", "C0000001"),
        ("C0000013", "C0000002"),
        ("C0000014", "C0000015"),
        ("C0000015", "C0000014"),
        ("C0000016", "C0000099"),
    ]
    retired = pa.record_batch([list(c) for c in zip(*pairs, strict=True)], schema=schemas.RETIRED)
    kb = make_kb(ROWS, retired=[retired])
    found = {cui: kb.resolve_gold(cui) for cui in ["C0000001", *dict(pairs), "C0000077"]}
    assert found == {
        "C0000001": ("C0000001",),
        "C0000010": ("C0000001",),
        "C0000011": ("C0000001",),
        "C0000012": (),
        "C0000013": ("C0000001", "C0000002"),
        "C0000014": (),
        "C0000015": (),
        "C0000016": (),
        "C0000077": (),
    }
    assert make_kb(ROWS, "plain").resolve_gold("C0000010") == ()


def test_a_damaged_folder_is_named(make_kb: Callable[..., KnowledgeBase]) -> None:
    kb = make_kb(ROWS)
    (kb.folder / "names.arrow").write_bytes(b"torn")
    with pytest.raises(DataError, match="damaged"):
        KnowledgeBase.open(kb.folder).concept("C0000001")
    manifest = json.loads((kb.folder / "manifest.json").read_text())
    (kb.folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(DataError, match="format 99"):
        KnowledgeBase.open(kb.folder)
    (kb.folder / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="manifest"):
        KnowledgeBase.open(kb.folder)
    with pytest.raises(BenchError, match="no knowledge base"):
        KnowledgeBase.open(kb.folder / "nowhere")
