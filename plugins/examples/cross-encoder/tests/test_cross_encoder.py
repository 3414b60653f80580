"""The ranker keeps its contract, with a small random model, and reads the context and the names."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from bioelx_bench_cross_encoder.options import CrossEncoderOptions
from bioelx_bench_cross_encoder.ranker import CrossEncoderRanker

from bioelx_bench.base import BaseRanker, Environment
from bioelx_bench.testing import RankerConformance, make_mention


@cache
def small_model() -> Path:
    """Two random layers over characters with one output."""
    import torch
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(7)
    folder = Path(mkdtemp(prefix="small-cross-encoder-"))
    letters = {"[PAD]": 0, "[UNK]": 1, "[SEP]": 2}
    letters |= {chr(code): place for place, code in enumerate(range(32, 1500), 3)}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=128
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(letters),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


class TestCrossEncoder(RankerConformance):
    @classmethod
    def make_ranker(cls, environment: Environment) -> BaseRanker:
        return CrossEncoderRanker(CrossEncoderOptions(model=str(small_model())), environment)

    def test_the_context_is_marked_and_cut(self) -> None:
        ranker = CrossEncoderRanker(CrossEncoderOptions(model=str(small_model()), window=4), self.environment)
        assert (
            ranker.context(make_mention("asthma", context="Yes, we saw {}, and more.")) == "saw [asthma], an"
        )

    def test_other_names_are_shown(self) -> None:
        _, candidates = self.items[-1]
        assert isinstance(self.ranker, CrossEncoderRanker)
        assert self.ranker.names(candidates[1]).startswith(candidates[1].name + " | ")
