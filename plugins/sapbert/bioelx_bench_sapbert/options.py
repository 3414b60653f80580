"""Options of the dense retrievers. Importing this module imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bioelx_bench.options import Options, runtime_field

Pooling = Literal["cls", "mean", "mean_all_tok"]
Dtype = Literal["auto", "fp32", "bf16", "fp16"]
Storage = Literal["auto", "fp16", "fp32"]
Lowercase = Literal["names", "both", "none"]
Engine = Literal["exact", "ivf"]


class EncodingOptions(Options):
    """How strings become vectors."""

    pooling: Pooling = Field(
        "cls",
        description="cls: first token; mean: over the string's tokens; mean_all_tok: over max_length places, "
        "padding too",
    )
    normalize: bool = Field(False, description="scale vectors to length 1, so that the product is the cosine")
    max_length: int = Field(25, ge=3, le=8192, description="tokens a string is cut to, special ones counted")
    prefix: str = Field("", description="put before every name and mention, such as 'query: ' for E5 models")
    dtype: Dtype = Field(
        "auto",
        description="precision of the encoder; auto: bf16 where the processor has it, else fp32; fp32 under a "
        "protocol that counts names, whose figures are those of SapBERT's evaluation",
    )
    device: str = runtime_field(
        "auto", description="auto, cpu, cuda, cuda:1 or mps", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$"
    )
    batch_size: int = runtime_field(
        0,
        ge=0,
        description="strings a batch; 0: 32 on a CPU in fp32, 128 in bf16, 256 on a GPU; halved when memory runs out",
    )
    compile: bool = runtime_field(
        False, description="torch.compile the encoder: a minute or two, then faster; last bits may differ"
    )


class DenseOptions(EncodingOptions):
    """Options that `sapbert` and `sapbert-x` share."""

    model: str = Field(description="id on the Hub, folder, or offline:sapbert-x-mini")
    revision: str | None = Field(None, description="commit, tag or branch on the Hub")
    lowercase: Lowercase = Field(
        "names",
        description="what is lowercased: the knowledge base's names, both names and mentions, or none",
    )
    mention_prefix: str | None = Field(
        None, description="put before mentions where it is not prefix, which is put before names"
    )
    storage: Storage = Field(
        "auto",
        description="precision in which the names' vectors are kept; auto: fp32 under a protocol that counts "
        "names, else fp16",
    )
    engine: Engine = Field(
        "exact", description="exact search, or ivf: approximate, for tens of millions of names"
    )
    nprobe: int = Field(32, ge=1, description="ivf: lists that are searched for a mention")
    processes: int = runtime_field(
        0, ge=0, description="processes that encode the names, one a GPU; 0: every GPU there is, on a CPU one"
    )


class SapBertOptions(DenseOptions):
    """Vanilla SapBERT: raw dot product of CLS vectors, names lowercased, mentions as they are."""

    model: str = Field(
        "cambridgeltl/SapBERT-UMLS-2020AB-all-lang-from-XLMR",
        description="id on the Hub, folder, or offline:sapbert-x-mini",
    )


class SapBertXOptions(DenseOptions):
    """Alias-enriched SapBERT: cosine of CLS vectors."""

    model: str = Field(
        "bioelx-nlp/bioelx_retriever", description="id on the Hub, folder, or offline:sapbert-x-mini"
    )
    normalize: bool = Field(True, description="scale vectors to length 1, so that the product is the cosine")
