"""Encoding names against the plain loop (fixed order, padded to 25, fp32, batches of 256), in one run.

    python benchmarks/dense/encoding.py NAMES.txt [--model offline:e5-small] [--base FOLDER] [--count 5000]
        [--repeats 2] [--dtype auto|fp32|bf16] [--sentence-transformers]

NAMES.txt holds a name a line. With --base, FOLDER gets a model of the shape of SapBERT's multilingual one (XLM-R
base: 12 layers of 768) with random weights and the tokenizer of --model: of what is measured here only the vectors
depend on weights. Prints names/s by wall and by CPU time, the ratios and the least cosine between the two ways'
vectors. The ways take turns, so that a machine that others use slows both.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.hardware import dtype_name
from bioelx_bench_sapbert.model_files import locate_model
from bioelx_bench_sapbert.options import EncodingOptions

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "sapbert" / "tests"))


def timed(function: Callable[[], Any], count: int) -> tuple[Any, float, float]:
    """Result, strings/s by wall time and by CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def make_base(folder: Path, tokenizer_folder: Path) -> str:
    """A randomly initialised model of XLM-R base's shape, in fp32."""
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(0)
    config = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=514, type_vocab_size=1)
    XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def sentence_transformer(encoder: Encoder) -> Callable[[list[str]], Any]:
    """The same model, length, pooling and precision in sentence-transformers, at its usual batch sizes."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    words = Transformer(str(encoder.files.folder), max_seq_length=encoder.options.max_length)
    model = SentenceTransformer(
        modules=[words, Pooling(encoder.dimension, pooling_mode="mean")], device=str(encoder.device)
    ).to(encoder.dtype)
    size = 1024 if encoder.device.type == "cuda" else 32
    return lambda texts: model.encode(texts, batch_size=size, show_progress_bar=False)


def main() -> None:
    """Run both ways in turn."""
    from sapbert_oracle import PlainEncoder

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", type=Path)
    parser.add_argument("--model", default="offline:e5-small")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--sentence-transformers", action="store_true", help="compare with that library too")
    options = parser.parse_args()
    names = sorted({line.lower() for line in options.names.read_text(encoding="utf-8").splitlines() if line})
    names = random.Random(0).sample(names, min(options.count, len(names)))
    environment = Environment(
        cache=Cache(default_cache_folder()), plugins=load_plugins(), progress=Progress(enabled=False)
    )
    model = options.model
    if options.base:
        model = make_base(options.base, locate_model(options.model, environment).folder)
    encoder = Encoder.load(model, environment, EncodingOptions(pooling="mean", dtype=options.dtype))
    plain = PlainEncoder(encoder.files.folder, "mean")
    library = sentence_transformer(encoder) if options.sentence_transformers else None
    encoder.encode(names[:64]), plain.encode(names[:64])
    rates: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": []}
    if library is not None:
        library(names[:64])
        rates["sentence_transformers"] = []
    for _ in range(options.repeats):
        theirs, *rate = timed(lambda: plain.encode(names), len(names))
        rates["plain"].append((rate[0], rate[1]))
        ours, *rate = timed(lambda: encoder.encode(names), len(names))
        rates["ours"].append((rate[0], rate[1]))
        if library is not None:
            _, *rate = timed(lambda: library(names), len(names))
            rates["sentence_transformers"].append((rate[0], rate[1]))
    best = {way: np.max(measured, axis=0) for way, measured in rates.items()}
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    report = {
        "names": len(names),
        "dtype": dtype_name(encoder.dtype),
        "threads": torch.get_num_threads(),
        "plain_names_per_s": best["plain"].round(1).tolist(),
        "ours_names_per_s": best["ours"].round(1).tolist(),
        "ratio_wall_cpu": (best["ours"] / best["plain"]).round(2).tolist(),
        "least_cosine": float(((ours * theirs).sum(1) / norms).min()),
    }
    if library is not None:
        report["sentence_transformers_names_per_s"] = best["sentence_transformers"].round(1).tolist()
        report["ratio_to_sentence_transformers"] = (
            (best["ours"] / best["sentence_transformers"]).round(2).tolist()
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
