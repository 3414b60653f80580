"""What the tests of dense retrieval share: the embedded encoder's folder and small environments."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from bioelx_bench_offline.encoder import model_folder

from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.progress import Progress
from bioelx_bench.protocols import Environment


def make_environment(root: Path) -> Environment:
    return Environment(cache=Cache(root), offline=True, progress=Progress(enabled=False))


@cache
def embedded_encoder() -> Path:
    """The embedded encoder, unpacked once into the machine's own cache."""
    return model_folder(make_environment(default_cache_folder()))


@cache
def tiny_encoder() -> Path:
    """An encoder of two small random layers with the embedded encoder's tokenizer, for what needs no sense."""
    import torch
    from transformers import AutoConfig, BertModel

    torch.manual_seed(7)
    source = embedded_encoder()
    folder = Path(tempfile.mkdtemp(prefix="tiny-encoder-"))
    config = AutoConfig.from_pretrained(source)
    config.update({"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64})
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    for path in source.glob("tokenizer*"):
        shutil.copy(path, folder)
    return folder
