"""What a training run needs before its first step: pairs, their order, the model, the development set."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench_sapbert.hardware import check_compiler
from bioelx_bench_sapbert.training.development import DevelopmentSet, held_out_mask, make_development_set
from bioelx_bench_sapbert.training.encoder import (
    NameEncoder,
    Tokens,
    load_base,
    pass_cost,
    prepare_model,
)
from bioelx_bench_sapbert.training.negatives import searched_names
from bioelx_bench_sapbert.training.order import PairOrder, group_pairs
from bioelx_bench_sapbert.training.pairs import PairRules, write_pairs
from bioelx_bench_sapbert.training.settings import TrainingSettings
from bioelx_bench_sapbert.training.trainer import resolve_precision

if TYPE_CHECKING:
    from bioelx_bench_sapbert.training.run import TrainingRequest

WAIT_TIMEOUT_SECONDS: Final = 3600
"""How long one process of several waits for the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What training needs, made from the request.

    Attributes:
        pairs: Name rows, shape (pairs, 2).
        groups: Language-pair group of each pair.
        crossing: For each group, whether it is of two languages.
        order: The order of training.
        encoder: The model.
        tokenizer: Its tokenizer.
        device: Where it is trained.
        precision: `fp32`, `bf16` or `fp16`.
        tokens: Makes chunks of tokens.
        development: The development set, in the first process, if there is one.
    """

    pairs: Any
    groups: Any
    crossing: Any
    order: PairOrder
    encoder: NameEncoder
    tokenizer: Any
    device: torch.device
    precision: str
    tokens: Tokens
    development: DevelopmentSet | None


def prepare(
    request: TrainingRequest,
    folder: Path | None,
    environment: Environment,
    pairs_file: Path,
    main_process: bool,
) -> Prepared:
    """Make pairs, order, model and development set."""
    settings = request.settings
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision(settings, device)
    if settings.compile:
        check_compiler(device, "--set compile=true")
    if settings.hard_negatives:
        searched_names(request.kb, settings)  # what cannot be searched is said before anything is computed
    pairs = pairs_of(request, environment, pair_rules(request.kb, settings), pairs_file, main_process)
    languages = np.asarray(request.kb.names.column("language").to_numpy(), dtype=np.int16)
    groups, spoken = group_pairs(pairs, languages)
    crossing = spoken[:, 0] != spoken[:, 1]
    check_pivot(settings, crossing)
    order = PairOrder(
        groups,
        crossing,
        temperature=settings.language_temperature,
        crosslingual_share=settings.crosslingual_share,
        seed=settings.seed,
    )
    torch.manual_seed(settings.seed)
    model, tokenizer = load_base(request.model, folder, offline=environment.offline)
    check_length(model, tokenizer, settings)
    trained = prepare_model(model, settings)
    if settings.compile:
        trained.compile(dynamic=True)
    encoder = NameEncoder(trained, settings.pooling, chunk_names=settings.chunk_names)
    return Prepared(
        pairs=pairs,
        groups=groups,
        crossing=crossing,
        order=order,
        encoder=encoder,
        tokenizer=tokenizer,
        device=device,
        precision=precision,
        tokens=Tokens(tokenizer, settings, pass_cost(device, precision)),
        development=make_development_set(request.kb, settings, request.development) if main_process else None,
    )


def check_pivot(settings: TrainingSettings, crossing: Any) -> None:
    """Refuse a pivot that leaves no pair of two languages.

    Raises:
        DataError: There is none.
    """
    if settings.pivot and not crossing.any():
        raise DataError(
            f"no pair joins a name in the language {' or '.join(settings.pivot)} to one in another",
            where=f"--set pivot={','.join(settings.pivot)}",
            why="no concept has names in such a language and in another of those trained on",
            hint="choose another pivot, or add its language to languages",
        )


def check_length(model: Any, tokenizer: Any, settings: TrainingSettings) -> None:
    """Refuse names longer than the model has places for.

    Raises:
        UsageError: `max_length` is above that.
    """
    places = getattr(model.config, "max_position_embeddings", None) or settings.max_length
    longest = min(int(places), int(tokenizer.model_max_length))
    if settings.max_length > longest:
        raise UsageError(
            f"the model takes {longest} tokens at most",
            where=f"--set max_length={settings.max_length}",
            hint=f"--set max_length={longest}; names of a knowledge base rarely have more than 25",
        )


def pair_rules(kb: KnowledgeBase, settings: TrainingSettings) -> PairRules:
    """The rules of these settings; held-out aliases give no pairs."""
    return PairRules(
        languages=settings.languages,
        max_pairs=settings.max_pairs_per_concept,
        max_characters=settings.max_characters,
        pivot=settings.pivot,
        seed=settings.seed,
        excluded=partial(held_out_mask, kb, settings.held_out, settings.seed) if settings.held_out else None,
    )


def pairs_of(
    request: TrainingRequest, environment: Environment, rules: PairRules, path: Path, main_process: bool
) -> Any:
    """The pairs, mapped from the file that the first process writes and the others wait for."""
    if main_process and not path.is_file():
        with environment.progress.task("Making pairs"):
            return write_pairs(request.kb, rules, path)
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while not path.is_file():
        if time.monotonic() > deadline:
            raise DataError("the first process wrote no pairs", where=path)
        time.sleep(0.2)
    return np.load(path, mmap_mode="r", allow_pickle=False)
