"""What a training run depends on, and what only says how to compute it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from bioelx_bench.options import Options, runtime_field

Pooling = Literal["cls", "mean", "mean_all_tok"]


class TrainingSettings(Options):
    """Settings of `bioelx-bench train sapbert-x`; the defaults are those of SapBERT (`docs/training.md`)."""

    languages: tuple[str, ...] = Field((), description="Languages of the names; empty means all.")
    pooling: Pooling = Field("cls", description="How token vectors become one vector.")
    lowercase: bool = Field(True, description="Lowercase names, as SapBERT does.")
    prefix: str = Field("", description="Text put before every name, such as 'query: ' for e5 models.")
    max_length: int = Field(25, ge=3, le=512, description="Tokens of a name, special ones included.")
    max_characters: int = Field(0, ge=0, description="Leave out longer names; 0 keeps all.")
    epochs: float = Field(1.0, gt=0, description="Passes over the pairs, unless `steps` is given.")
    steps: int | None = Field(None, ge=1, description="Optimiser steps.")
    batch_pairs: int = Field(256, ge=2, description="Pairs a step and process; a pair has two names.")
    learning_rate: float = Field(2e-5, gt=0, le=1e30, description="Peak learning rate.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="Learning rate's course."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps in which the learning rate rises.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay.")
    max_grad_norm: float = Field(0.0, ge=0, description="Clip gradients to this norm; 0 does not.")
    loss: Literal["multi_similarity", "infonce"] = Field(
        "multi_similarity", description="SapBERT's loss with its miner, or InfoNCE over all names of a batch."
    )
    temperature: float = Field(0.05, gt=0, description="InfoNCE: what cosines are divided by.")
    margin: float = Field(0.2, ge=0, description="Triplet margin miner's margin; 0 mines nothing.")
    max_pairs_per_concept: int = Field(50, ge=1, description="Sample this many pairs of larger concepts.")
    language_temperature: float = Field(
        1.0, ge=1, description="Above 1, pairs of rare languages come more often: share to the power 1/T."
    )
    crosslingual_share: float | None = Field(
        None, ge=0, le=1, description="Share of pairs in two languages; by default as they are."
    )
    pivot: tuple[str, ...] = Field(
        (),
        description="Of pairs in two languages only those with a name in one: the first of these, such as en,de, "
        "that the concept has a name in.",
    )
    endings_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of names that get an ending as in running text (de, es, fi, ko, ru, tr).",
    )
    hard_negatives: float = Field(
        0.0,
        ge=0,
        description="Names of other concepts, among the nearest to a pair, put beside each pair; 0.5: beside every "
        "second.",
    )
    negative_languages: tuple[str, ...] = Field(
        (), description="Languages in which hard negatives are looked for; empty means those of the names."
    )
    negative_pool: int = Field(
        50_000, ge=0, description="Names among which they are looked for, others each time; 0 means all."
    )
    negative_steps: int = Field(
        500, ge=1, description="Steps after which they are looked for again, with the model as it then is."
    )
    lora_rank: int = Field(0, ge=0, description="Train a LoRA adapter of this rank; 0 trains the model.")
    adapter_rank: int = Field(
        0, ge=0, description="Train the linear layers whole and keep their change as an adapter of this rank."
    )
    freeze_embeddings: bool = Field(False, description="Keep the word embeddings as they are.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Dropout; by default the model's own.")
    held_out: float = Field(0.0, ge=0, lt=0.5, description="Share of foreign aliases kept for development.")
    seed: int = Field(0, ge=0, description="Seed of pairs, order and weights.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="Arithmetic.")
    chunk_names: int = runtime_field(
        0,
        ge=0,
        description="Gradient caching: names encoded at once, and again in the backward pass, for batches beyond "
        "memory; 0 keeps all activations, until memory runs out.",
    )
    logging_steps: int = runtime_field(10, description="Steps between losses in the log.", ge=1)
    save_steps: int = runtime_field(500, description="Steps between checkpoints.", ge=1)
    eval_steps: int = runtime_field(500, description="Steps between Recall@1 on the development set.", ge=1)
    development_names: int = runtime_field(
        10_000, description="Names of the development dictionary beside those of its gold concepts.", ge=0
    )
    development_queries: int = runtime_field(
        500, description="Held-out aliases, and mentions of each development file, at most.", ge=1
    )
    compile: bool = runtime_field(
        False, description="Compile the model with torch.compile: quicker steps after a minute or two."
    )
    threads: int | None = runtime_field(None, description="CPU threads; by default torch's choice.", ge=1)

    @property
    def makes_adapter(self) -> bool:
        """Whether the result is an adapter instead of a whole model."""
        return bool(self.lora_rank or self.adapter_rank)

    @field_validator("languages", "pivot", "negative_languages", mode="before")
    @classmethod
    def split_list(cls, value: object) -> object:
        """A list on the command line has commas between."""
        return tuple(x.strip() for x in value.split(",") if x.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def check_combinations(self) -> Self:
        """Refuse two ways of making an adapter at once, and hard negatives with a loss that they spoil."""
        if self.hard_negatives and self.loss != "infonce":
            raise ValueError(
                "hard_negatives need loss=infonce: under SapBERT's loss the hardest negative outweighs the positives"
            )
        if self.lora_rank and self.adapter_rank:
            raise ValueError("lora_rank and adapter_rank are two ways of making an adapter; give one")
        return self
