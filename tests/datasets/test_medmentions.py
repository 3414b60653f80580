from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from bioelx_bench import load_dataset
from bioelx_bench.errors import DataError, MissingError, UsageError

HERE = Path(__file__).parent


def test_ten_real_documents_have_760_mentions_of_358_concepts(prepare, sample_root):
    prepared = prepare("medmentions", "en", revision="sample", data_root=sample_root)
    mentions = list(prepared.mentions())
    assert (len(mentions), prepared.documents) == (760, 10)
    assert len({concept for mention in mentions for concept in mention.gold}) == 358
    for mention in mentions:
        (span,) = mention.spans
        assert mention.document.text[span.start : span.end] == mention.text
    assert mentions[0].id == "medmentions/25763772/0000"
    assert mentions[0].semantic_types == ("T116", "T123")
    assert prepared.counts == {"overlapping": 2, "same_span": 1, "type_unknown": 1}


@pytest.fixture
def full_root(tmp_path: Path, data_root: Path) -> Path:
    """The upstream layout, with a corpus made of the ten documents."""
    folder = tmp_path / "root" / "medmentions" / "upstream"
    for name in ("full", "st21pv"):
        (folder / name / "data").mkdir(parents=True)
        text = (HERE / "data" / "medmentions_10docs.txt").read_bytes()
        (folder / name / "data" / "corpus_pubtator.txt.gz").write_bytes(gzip.compress(text))
    for split in ("trng", "dev", "test"):
        name = f"full/data/corpus_pubtator_pmids_{split}.txt"
        (folder / name).write_bytes((data_root / "medmentions" / "upstream" / name).read_bytes())
    return tmp_path / "root"


def test_splits_follow_the_pmid_lists_and_missing_documents_are_counted(prepare, full_root):
    parts = {
        split: prepare("medmentions", "en", revision="full", split=split, data_root=full_root)
        for split in ("train", "dev", "test", "all")
    }
    assert len(parts["all"]) == 760
    assert sum(len(parts[split]) for split in ("train", "dev", "test")) == 760
    held = {split: parts[split].documents for split in ("train", "dev", "test")}
    assert sum(held.values()) == 10
    listed = {"train": 2635, "dev": 878, "test": 879}
    for split, documents in held.items():
        assert parts[split].counts["documents_missing"] == listed[split] - documents


def test_prefixed_concepts_lose_their_prefix(prepare, full_root):
    path = full_root / "medmentions/upstream/st21pv/data/corpus_pubtator.txt.gz"
    text = re.sub(rb"\t(C\d{7})\n", rb"\tUMLS:\1\n", gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(text))
    prepared = prepare("medmentions", "en", revision="st21pv", split="all", data_root=full_root)
    assert all(gold[0].startswith("C") for gold in prepared.dataset["gold"])


def test_a_truncated_corpus_is_an_error(prepare, full_root):
    path = full_root / "medmentions/upstream/full/data/corpus_pubtator.txt.gz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="cut off"):
        prepare("medmentions", "en", revision="full", split="all", data_root=full_root)


def test_the_real_token_lines_have_67030_mentions(data_root, cache):
    dataset = load_dataset(
        "medmentions@token-per-line", data_root=data_root, cache=cache, split="dev", offline=True
    )
    assert len(dataset) == 67_030
    rows = dataset.to_list()
    assert all(row["context"][row["start"] : row["end"]] == row["mention"] for row in rows)
    assert rows[1]["mention"] == "parental"


def test_revisions_have_their_own_splits(prepare, sample_root):
    with pytest.raises(UsageError, match="no split 'test'"):
        prepare("medmentions", "en", revision="sample", split="test", data_root=sample_root)
    with pytest.raises(UsageError, match="did you mean 'st21pv'"):
        prepare("medmentions", "en", revision="st21", data_root=sample_root)
    with pytest.raises(MissingError, match=r"corpus_pubtator\.txt\.gz"):
        prepare("medmentions", "en", data_root=sample_root)
