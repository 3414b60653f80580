"""Cached vectors: continued after a kill, bit-identical, verified, made again when damaged."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from bioelx_bench_sapbert import vectors as vectors_module
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.model_files import locate_model
from bioelx_bench_sapbert.name_strings import distinct_names, group_names
from bioelx_bench_sapbert.name_vectors import NameEncoding, embed_names
from bioelx_bench_sapbert.options import SapBertOptions
from bioelx_bench_sapbert.vectors import VectorStore
from dense_helpers import make_environment, tiny_encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.testing.data import make_knowledge_base

CHUNK = 64
NAMES = [(f"C{i // 3:07d}", "en", f"Disease {i % 997} of type {i % 13}") for i in range(600)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "CHUNK", CHUNK)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    return make_knowledge_base(tmp_path_factory.mktemp("kb") / "kb", NAMES)


def options(**changes: Any) -> SapBertOptions:
    return SapBertOptions(
        **{"model": str(tiny_encoder()), "dtype": "fp32", "device": "cpu", "batch_size": 4, **changes}
    )


def embed(kb: KnowledgeBase, environment: Environment, **changes: Any) -> VectorStore:
    chosen = options(**changes)
    files = locate_model(chosen.model, environment)
    storage = "fp16" if chosen.storage == "auto" else chosen.storage
    encoding = NameEncoding(chosen, files, storage)
    return embed_names(kb, group_names(kb, encoding.lowercase), encoding, environment)


def test_vectors_are_the_encoders(kb: KnowledgeBase, tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    stored = embed(kb, environment)
    strings = group_names(kb, True)
    texts = [text for batch in distinct_names(kb, strings, True) for text in batch]
    assert len(set(texts)) == len(texts) == len(stored) == stored.manifest.rows
    expected = Encoder.load(str(tiny_encoder()), environment, options()).encode(texts)
    assert np.array_equal(stored.matrix(), expected.astype(np.float16))
    assert stored.manifest.precision == {"dtype": "fp32"}
    in_blocks = np.concatenate([block.copy() for _, block in stored.blocks(100)])
    assert np.array_equal(in_blocks, stored.matrix())
    full = embed(kb, environment, storage="fp32")
    assert np.array_equal(full.matrix(), expected)


def test_a_second_time_nothing_is_encoded(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = make_environment(tmp_path)
    first = embed(kb, environment)
    monkeypatch.setattr(Encoder, "encode_tokens", lambda *_, **__: pytest.fail("encoded again"))
    assert embed(kb, environment, engine="ivf", nprobe=3, batch_size=5).folder == first.folder


def test_damage_is_found_and_mended(kb: KnowledgeBase, tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    first = embed(kb, environment)
    good = (first.folder / "vectors.bin").read_bytes()
    for damaged in (good[:500] + bytes([good[500] ^ 1]) + good[501:], good[:-7], b""):
        (first.folder / "vectors.bin").write_bytes(damaged)
        assert (embed(kb, environment).folder / "vectors.bin").read_bytes() == good
    (first.folder / "manifest.json").write_text("{")
    assert (embed(kb, environment).folder / "vectors.bin").read_bytes() == good


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_cached_vectors as t
t.vectors_module.CHUNK = t.CHUNK
from bioelx_bench.kb.store import KnowledgeBase
t.embed(KnowledgeBase.open(Path({kb!r})), t.make_environment(Path({cache!r})))
"""


def test_killed_and_started_again_gives_the_same_bits(kb: KnowledgeBase, tmp_path: Path) -> None:
    whole = embed(kb, make_environment(tmp_path / "whole"))
    cache = tmp_path / "killed"
    program = KILLED.format(tests=str(Path(__file__).parent), kb=str(kb.folder), cache=str(cache))
    program = program.replace("t.embed(", f"t.tiny_encoder = lambda: Path({str(tiny_encoder())!r})\nt.embed(")
    with subprocess.Popen([sys.executable, "-c", program]) as running:
        log = None
        while running.poll() is None and log is None:
            log = next((p for p in cache.rglob("chunks-0.jsonl") if p.stat().st_size > 200), None)
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
    partial = next((cache / "embeddings").glob("*.partial"))
    done = sorted(vectors_module.read_logs(partial))
    assert done
    assert len(done) < len(whole.manifest.chunks)
    with (partial / "vectors.bin").open(
        "rb+"
    ) as file:  # the last chunk that is logged never reached the disk
        file.seek(done[-1] * CHUNK * whole.dimension * 2)
        file.write(bytes(100))
    resumed = embed(kb, make_environment(cache))
    assert (resumed.folder / "vectors.bin").read_bytes() == (whole.folder / "vectors.bin").read_bytes()
    assert resumed.manifest == whole.manifest


def test_several_processes_give_the_same_bits(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_module, "CHUNK", 8192)  # what other processes use
    many = [(f"C{i:07d}", "en", f"x{i % 10} y{i // 10}") for i in range(8300)]
    big = make_knowledge_base(tmp_path / "kb", many)
    one = embed(big, make_environment(tmp_path / "one"), batch_size=32)
    two = embed(big, make_environment(tmp_path / "two"), processes=2, batch_size=32)
    assert len(one.manifest.chunks) == 2
    assert two.manifest == one.manifest
    assert not list(two.folder.glob("job.json"))


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond `size`, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_and_what_is_done_is_kept(kb: KnowledgeBase, tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    with full_disk(20_000), pytest.raises(BenchError, match="cannot write"):
        embed(kb, environment)
    partial = next((tmp_path / "embeddings").glob("*.partial"))
    assert vectors_module.read_logs(partial)
    whole = embed(kb, make_environment(tmp_path / "whole"))
    assert (embed(kb, environment).folder / "vectors.bin").read_bytes() == (
        whole.folder / "vectors.bin"
    ).read_bytes()


def test_a_knowledge_base_without_names_is_an_error(kb: KnowledgeBase) -> None:
    empty = KnowledgeBase(kb.folder, kb.manifest.model_copy(update={"names": 0}), kb.scheme)
    with pytest.raises(BenchError, match="has no names"):
        group_names(empty, True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text("aAbBİ", min_size=1, max_size=2), min_size=1, max_size=30), lowercase=st.booleans()
)
def test_every_name_row_keeps_its_string(
    texts: list[str], lowercase: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [(f"C{i // 4:07d}", "en", text) for i, text in enumerate(texts)]
    kb = make_knowledge_base(tmp_path_factory.mktemp("kb") / "kb", names)
    strings = group_names(kb, lowercase)
    distinct = [text for batch in distinct_names(kb, strings, lowercase) for text in batch]
    assert len(set(distinct)) == len(distinct) == len(strings)
    for number, text in enumerate(distinct):
        rows = strings.rows[strings.offsets[number] : strings.offsets[number + 1]]
        found = {kb.name_text(int(row)) for row in rows}
        assert {t.lower() if lowercase else t for t in found} == {text}
    assert sorted(strings.rows) == list(range(kb.name_count))
