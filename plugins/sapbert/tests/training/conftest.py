"""A small encoder and small knowledge bases, made on the spot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.kb.table import build_from_table

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside the tests

Row = tuple[str, str, str]

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 äöüß"


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with a tokenizer of single characters, random but the same each time."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "tiny"
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_kb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Row]], KnowledgeBase]:
    """Builds a knowledge base from rows (cui, language, name)."""

    def make(rows: list[Row]) -> KnowledgeBase:
        folder = tmp_path_factory.mktemp("kb")
        table = folder / "names.tsv"
        lines = ["cui\tlang\tname", *("\t".join(row) for row in rows)]
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return build_from_table(table, "small", folder / "kb")

    return make


@pytest.fixture(scope="session")
def small_kb(make_kb: Callable[[list[Row]], KnowledgeBase]) -> KnowledgeBase:
    """60 concepts with four names each, in English and German."""
    words = ["ab", "cd", "ef", "gh", "ik", "lm", "no", "pq"]
    rows: list[Row] = []
    for number in range(60):
        cui = f"C{number:07d}"
        stem = words[number % 8] + words[number // 8 % 8]
        rows += [
            (cui, "en", f"{stem} disease"),
            (cui, "en", f"disease of {stem}"),
            (cui, "de", f"{stem} krankheit"),
            (cui, "de", f"morbus {stem} {number}"),
        ]
    return make_kb(rows)
