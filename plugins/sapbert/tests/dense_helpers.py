"""What the tests of dense retrieval share: real and small encoders, environments, matrices."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bioelx_bench_offline.encoder import model_folder
from bioelx_bench_sapbert.vectors import VectorManifest, VectorStore, measure_vectors

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.progress import Progress

PIECES = 6000


def make_environment(root: Path) -> Environment:
    return Environment(cache=Cache(root), offline=True, progress=Progress(enabled=False))


@cache
def embedded_encoder() -> Path:
    """The embedded encoder, unpacked once into the machine's own cache."""
    return model_folder(make_environment(default_cache_folder()))


@cache
def tiny_encoder() -> Path:
    """Two small random layers with the commonest pieces of the embedded encoder's tokenizer.

    For what needs no sense, only a real model folder that loads in no time.
    """
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(7)
    source = embedded_encoder()
    folder = Path(tempfile.mkdtemp(prefix="tiny-encoder-"))
    config = BertConfig(
        vocab_size=PIECES,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        pad_token_id=1,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"] = tokenizer["model"]["vocab"][:PIECES]
    tokenizer["added_tokens"] = [t for t in tokenizer["added_tokens"] if t["id"] < PIECES]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "tokenizer_config.json").write_bytes((source / "tokenizer_config.json").read_bytes())
    return folder


def store_vectors(folder: Path, vectors: npt.NDArray[Any]) -> VectorStore:
    """A finished folder of given vectors (fp16 or fp32)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vectors.bin").write_bytes(np.ascontiguousarray(vectors).tobytes())
    manifest = VectorManifest(
        identity={},
        rows=len(vectors),
        dimension=vectors.shape[1],
        dtype="fp16" if vectors.dtype == np.float16 else "fp32",
        chunks=[],
        precision={},
        oom_retries=0,
        radius=0,
        bf16_error=0,
        software={},
    )
    return measure_vectors(VectorStore(folder, manifest), Progress(enabled=False))
