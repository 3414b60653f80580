"""The retriever keeps its contract, with a small random model of the library."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

import pytest
from bioelx_bench_sentence_transformers.options import SentenceTransformersOptions
from bioelx_bench_sentence_transformers.retriever import SentenceTransformersRetriever

from bioelx_bench.base import BaseRetriever, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.errors import MissingError
from bioelx_bench.records import Unit
from bioelx_bench.testing import RetrieverConformance


@cache
def small_model() -> Path:
    """Two random layers over characters, saved as the library saves models."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(7)
    folder = Path(mkdtemp(prefix="small-model-"))
    letters = {"[PAD]": 0, "[UNK]": 1} | {chr(code): place for place, code in enumerate(range(32, 1500), 2)}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    # as real models have: a text without letters is not one without tokens
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[UNK] $A", pair="[UNK] $A $B", special_tokens=[("[UNK]", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder / "base")
    config = BertConfig(
        vocab_size=len(letters),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder / "base")
    words = Transformer(str(folder / "base"))
    SentenceTransformer(modules=[words, Pooling(words.get_word_embedding_dimension())]).save(
        str(folder / "model")
    )
    return folder / "model"


class TestSentenceTransformers(RetrieverConformance):
    units: ClassVar[tuple[Unit, ...]] = ("concept", "name")
    finds_exact_names = False  # all letters beyond the tokenizer's are one to it
    score_tolerance = 1e-4

    @classmethod
    def make_retriever(cls, environment: Environment) -> BaseRetriever:
        options = SentenceTransformersOptions(model=str(small_model()), query_prefix="q: ", name_prefix="q: ")
        return SentenceTransformersRetriever(options, environment)


def test_nothing_is_downloaded_offline(tmp_path: Path) -> None:
    environment = Environment(cache=Cache(tmp_path), offline=True)
    with pytest.raises(MissingError, match="would have to be downloaded"):
        SentenceTransformersRetriever(SentenceTransformersOptions(model="someone/model"), environment)
