"""The embedded encoder computes what the wheel's own C engine computes, and nothing else is accepted as it."""

from __future__ import annotations

import ctypes
import hashlib
import lzma
import shutil
import struct
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bioelx_bench_offline import encoder
from bioelx_bench_offline.encoder import SHA256, model_folder, unpack, wheel_file
from bioelx_bench_offline.encoder_format import MAGIC, parse
from bioelx_bench_offline.plugin import locate
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.errors import BenchError, DataError, MissingError
from bioelx_bench.models import resolve_model
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress

LANGUAGES = ("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th")
EACH = 50
Vectors = npt.NDArray[np.float32]


def make_environment(root: Path) -> Environment:
    progress = Progress(enabled=False)
    return Environment(cache=Cache(root), offline=True, progress=progress, plugins=load_plugins())


@pytest.fixture(scope="module")
def folder() -> Path:
    return model_folder(make_environment(default_cache_folder()))


@pytest.fixture(scope="module")
def names() -> list[str]:
    """500 real names in ten languages."""
    found: list[str] = []
    for language in LANGUAGES:
        file = files("bioelx_bench") / f"resources/xl_bel/v1.0/{language}_1k_test_query_with_context.txt.xz"
        lines = lzma.decompress(file.read_bytes()).decode().split("\n")
        texts = dict.fromkeys(line.split("||")[1].strip() for line in lines if line)
        found += [text for text in texts if text][:EACH]
    return found


@pytest.fixture(scope="module")
def engine_vectors(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Vectors:
    """The C engine's vectors; its source, which the wheel holds, is compiled for this machine."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("skipped: no C compiler to build the wheel's engine with")
    library = tmp_path_factory.mktemp("engine") / "engine.so"
    flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-w"]
    command = [compiler, *flags, str(wheel_file().with_name("e5.c")), "-o", str(library), "-lm"]
    built = subprocess.run(command, capture_output=True, check=False)
    if built.returncode:
        pytest.skip(f"skipped: the wheel's engine does not compile here: {built.stderr.decode()[:200]}")
    engine = ctypes.CDLL(str(library))
    engine.e5_load.restype = ctypes.c_void_p
    engine.e5_free.argtypes = [ctypes.c_void_p]
    floats = ctypes.POINTER(ctypes.c_float)
    texts = ctypes.POINTER(ctypes.c_char_p)
    engine.e5_embed_batch.argtypes = [ctypes.c_void_p, texts, ctypes.c_int, ctypes.c_int, floats]
    model = engine.e5_load(str(wheel_file()).encode())
    vectors = np.zeros((len(names), 384), np.float32)
    array = (ctypes.c_char_p * len(names))(*[name.encode() for name in names])
    assert engine.e5_embed_batch(model, array, len(names), 1, vectors.ctypes.data_as(floats)) == 0
    engine.e5_free(model)
    return vectors


def mean_vectors(folder: Path, texts: list[str]) -> Vectors:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), 384), np.float32)
    for start in range(0, len(order), 32):
        rows = order[start : start + 32]
        chosen = [texts[i] for i in rows]
        batch = tokenizer(chosen, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None]
        vectors[rows] = torch.nn.functional.normalize((states * mask).sum(1), dim=1).numpy()
    return vectors


def test_equals_the_wheels_own_engine(folder: Path, names: list[str], engine_vectors: Vectors) -> None:
    assert len(names) == 500
    cosines = (mean_vectors(folder, [f"query: {name}" for name in names]) * engine_vectors).sum(1)
    worst = int(np.argmin(cosines))
    assert cosines[worst] >= 0.97, (names[worst], cosines[worst])
    assert np.median(cosines) >= 0.99


def test_the_reference_leads_to_the_cached_folder(folder: Path) -> None:
    environment = make_environment(default_cache_folder())
    assert resolve_model("offline:e5-small", environment) == folder
    assert {p.name for p in folder.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "source.json"),
        "seal.json",
    }
    with pytest.raises(MissingError, match="e5-small"):
        locate("e5-smal", environment)


def test_tokenizer_normalises_as_sentencepiece_does(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    plain = tokenizer("type 2 diabetes 糖尿病").input_ids
    assert tokenizer(" type\u3000２\x01  diabetes\u200b糖尿病\n").input_ids == plain
    assert (plain[0], plain[-1]) == (0, 2)
    assert tokenizer("").input_ids == [0, 2]


def test_another_file_or_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="not the file"):
        unpack(b"E5S1" + bytes(100), tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(encoder, "VERSION", "9.9")
    with pytest.raises(MissingError, match=r"9\.9"):
        model_folder(make_environment(tmp_path))
    monkeypatch.setattr(encoder, "PACKAGE", "no-such-package-here")
    with pytest.raises(MissingError, match="not installed"):
        model_folder(make_environment(tmp_path))


@pytest.fixture(scope="module")
def packed() -> bytes:
    data = wheel_file().read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256
    return data


def test_parsing_knows_the_shape(packed: bytes) -> None:
    parsed = parse(packed)
    shape = parsed.shape
    assert (shape.hidden, shape.layers, shape.heads, shape.vocabulary) == (384, 12, 12, 250037)
    assert parsed.pieces.texts[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    with pytest.raises(DataError, match="shape"):
        parsed.tensor("emb.pos", 512, 385)
    with pytest.raises(DataError, match="no tensor"):
        parsed.tensor("emb.nothing", 1)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 60), value=st.integers(0, 255), cut=st.integers(1, 5_000))
def test_damaged_headers_are_data_errors(packed: bytes, at: int, value: int, cut: int) -> None:
    """Whatever stands in the header, parsing ends at once, and with this error."""
    head = bytearray(packed[:5000])
    head[at] = value
    with pytest.raises(BenchError):
        parse(bytes(head[:cut]))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + struct.pack("<I7ifi", 1, 384, 12, 12, 1536, 250037, 512, 2, 1e-12, 32)):
        with pytest.raises(DataError):
            parse(start + data)
