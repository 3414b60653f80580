from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench import load_dataset
from bioelx_bench.datasets.prepare import CACHE_KIND, parse_dataset_name
from bioelx_bench.datasets.schema import features, mentions_of, row_of
from bioelx_bench.datasets.xl_bel import XlBel
from bioelx_bench.errors import UsageError
from bioelx_bench.records import Document, LabelledMention, Span

TEXT = st.text(max_size=20)
MENTIONS = st.builds(
    lambda id_, doc, text, language, spans, gold, types, odd: LabelledMention(
        id_,
        Document(doc, text, language),
        tuple(spans),
        text,
        language,
        tuple(gold),
        tuple(types),
        tuple(odd),
    ),
    TEXT,
    st.sampled_from(["d1", "d2"]),
    st.sampled_from(["Herz", "心臓"]),
    st.sampled_from(["de", "ja"]),
    st.lists(st.builds(Span, st.integers(0, 5), st.integers(5, 9)), max_size=3),
    st.lists(TEXT, max_size=3),
    st.lists(TEXT, max_size=3),
    st.lists(st.sampled_from(["merged", "offset_repaired"]), max_size=2),
)


@settings(deadline=None)
@given(st.lists(MENTIONS, max_size=8), st.integers(0, 3), st.integers(0, 8))
def test_rows_and_mentions_are_inverse_in_any_slice(mentions, start, length):
    rows = [row_of(mention) for mention in mentions]
    batch = pa.RecordBatch.from_pylist(rows, schema=features().arrow_schema).slice(start, length)
    assert list(mentions_of(batch)) == mentions[start : start + length]
    assert all((row["start"] == -1) == (not row["spans"]) for row in rows)


def test_a_second_open_does_not_parse(prepare, monkeypatch):
    first = prepare("xl-bel", "th")
    monkeypatch.setattr(XlBel, "mentions", lambda self: pytest.fail("parsed again"))
    second = prepare("xl-bel", "th")
    assert (first.sha256, first.counts, first.documents) == (second.sha256, second.counts, second.documents)
    assert second.dataset._fingerprint == first.dataset._fingerprint == first.sha256[:16]
    assert list(first.mentions()) == list(second.mentions())


def test_a_damaged_table_is_made_again(prepare, environment):
    good = prepare("xl-bel", "ko")
    for meta in (environment.cache.root / CACHE_KIND).glob("*/meta.json"):
        if good.sha256 in meta.read_text(encoding="utf-8"):
            meta.with_name("mentions.arrow").write_bytes(b"torn")
    assert prepare("xl-bel", "ko").sha256 == good.sha256


def test_mentions_of_one_document_share_it(prepare, sample_root):
    prepared = prepare("medmentions", "en", revision="sample", data_root=sample_root)
    documents = {id(mention.document) for mention in list(prepared.mentions())}
    assert len(documents) == 10


def test_the_dataset_is_memory_mapped(prepare):
    dataset = prepare("xl-bel", "en").dataset
    assert type(dataset.data).__name__ == "MemoryMappedTable"
    assert dataset.info.license == "MIT"
    assert str(dataset.split) == "test"


def test_names_of_datasets():
    assert parse_dataset_name("xl-bel@v0.0") == ("xl-bel", "v0.0")
    assert parse_dataset_name("xl-bel") == ("xl-bel", None)
    for wrong in ("", "@v0.0", "xl-bel@"):
        with pytest.raises(UsageError, match="NAME@REVISION"):
            parse_dataset_name(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xl-bell", "de"), "unknown dataset 'xl-bell'; did you mean 'xl-bel'"),
        (("xl-bel", "german"), "no subset 'german'"),
        (("xl-bel@v1", "de"), "no revision 'v1'; did you mean 'v1.0'"),
    ],
)
def test_unknown_names_are_told_with_a_suggestion(arguments, message, cache):
    with pytest.raises(UsageError) as caught:
        load_dataset(*arguments, cache=cache)
    assert message in str(caught.value)


def test_two_revisions_are_refused(cache):
    with pytest.raises(UsageError, match="two revisions"):
        load_dataset("xl-bel@v1.0", "de", revision="v0.0", cache=cache)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, bioelx_bench.datasets, bioelx_bench.builtin, bioelx_bench.cli.datasets_command\n"
        "heavy = {'datasets', 'pyarrow', 'huggingface_hub', 'torch', 'pandas'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_full_disk_leaves_nothing_half_made(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOELX_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # No file may grow beyond 20 kB, which fails like a full disk does.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
    show = "from bioelx_bench.cli.main import main; main(['datasets', 'show', 'xl-bel', '--subset', 'de'])"
    full = subprocess.run([sys.executable, "-c", limited + show], capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert "cannot write" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "cache" / CACHE_KIND).glob("*/meta.json"))
    after = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr
    assert "1,000" in after.stdout
