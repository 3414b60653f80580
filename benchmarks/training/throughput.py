"""Training throughput against a plain SapBERT loop, in one process, on the same batches.

    python benchmarks/training/throughput.py --model FOLDER --kb FOLDER --steps 8 --pairs 96

The plain loop pads every name to 25 tokens and encodes a batch at once in fp32, as SapBERT's published loop does on
a CPU, with the library's miner and loss; ours sorts names by length into chunks, keeps freed memory, and uses the
precision of `precision=auto`, with --compile through torch.compile. Both train the same encoder with the same
optimiser and batches, without dropout, word embeddings frozen unless --train-embeddings is given. Printed: pairs/s of
each by CPU time (robust where shared) and by wall time, the ratios, the tokens of each with padding, and the greatest
difference of the losses.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from bioelx_bench_sapbert.training.batches import PairCollator
from bioelx_bench_sapbert.training.encoder import NameEncoder, Tokens, load_base, pass_cost, prepare_model
from bioelx_bench_sapbert.training.loss import PairLoss
from bioelx_bench_sapbert.training.pairs import PairRules, make_pairs
from bioelx_bench_sapbert.training.settings import TrainingSettings
from bioelx_bench_sapbert.training.trainer import keep_freed_memory, resolve_precision

from bioelx_bench.kb.store import KnowledgeBase

SETTINGS = TrainingSettings(pooling="mean", dropout=0.0, freeze_embeddings=True)
WARM_UP = 2
"""Steps at first that are not timed: memory is taken, and with --compile the model is compiled."""


def sample(kb: KnowledgeBase, pairs: int, steps: int) -> list[list[tuple[int, int, int]]]:
    """The batches both loops train on: positions and pairs of name rows."""
    import numpy as np

    block = next(iter(make_pairs(kb, PairRules())))
    chosen = np.random.default_rng(0).permutation(len(block))[: pairs * steps]
    rows = [(position, int(a), int(b)) for position, (a, b) in enumerate(block[chosen])]
    return [rows[i * pairs : (i + 1) * pairs] for i in range(steps)]


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def library_loss(settings: TrainingSettings) -> Loss:
    """Miner and loss of pytorch-metric-learning, as SapBERT calls them."""
    from pytorch_metric_learning.losses import MultiSimilarityLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    loss = MultiSimilarityLoss(alpha=1, beta=60, base=0.5)
    miner = TripletMarginMiner(margin=settings.margin, type_of_triplets="all")
    return lambda vectors, concepts: loss(vectors, concepts, miner(vectors, concepts))


def run(
    model: Path,
    settings: TrainingSettings,
    loss_of: Loss,
    forward: Callable[[NameEncoder, int], tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    compiled: bool,
) -> Any:
    """Train a fresh copy; losses, and CPU and wall seconds of the steps after the first `WARM_UP`."""
    base, _ = load_base(str(model), model, offline=True)
    encoder = NameEncoder(prepare_model(base, settings), "mean").train()
    if compiled:
        encoder.model.compile(dynamic=True)
    optimiser = torch.optim.AdamW(
        [p for p in encoder.parameters() if p.requires_grad], lr=2e-5, weight_decay=0.01
    )
    losses, cpu, wall = [], 0.0, 0.0
    for step in range(steps):
        at_cpu, at_wall = time.process_time(), time.perf_counter()
        vectors, concepts = forward(encoder, step)
        loss = loss_of(vectors, concepts)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if step >= WARM_UP:
            cpu, wall = cpu + time.process_time() - at_cpu, wall + time.perf_counter() - at_wall
        losses.append(loss.item())
    return losses, cpu, wall


def report(precision: str, found: dict[str, dict[str, Any]]) -> None:
    """Print both loops and their ratios."""
    difference = max(
        abs(a - b) for a, b in zip(found["plain"]["losses"], found["ours"]["losses"], strict=True)
    )
    print(
        json.dumps(
            {
                "precision": precision,
                "ratio_cpu": round(found["ours"]["pairs_per_cpu_s"] / found["plain"]["pairs_per_cpu_s"], 2),
                "ratio_wall": round(found["ours"]["pairs_per_s"] / found["plain"]["pairs_per_s"], 2),
                "greatest_loss_difference": difference,
                **found,
            },
            indent=2,
        )
    )


def main() -> None:
    """Run both loops and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--kb", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--train-embeddings", action="store_true")
    given = parser.parse_args()
    settings = SETTINGS.model_copy(update={"freeze_embeddings": not given.train_embeddings})
    torch.set_num_threads(given.threads)
    kb = KnowledgeBase.open(given.kb)
    _, tokenizer = load_base(str(given.model), given.model, offline=True)
    device = torch.device("cpu")
    precision = resolve_precision(SETTINGS, device)
    collator = PairCollator(kb, Tokens(tokenizer, SETTINGS, pass_cost(device, precision)), SETTINGS)
    batches = sample(kb, given.pairs, given.steps)
    cast = (lambda: torch.autocast("cpu", torch.bfloat16)) if precision == "bf16" else nullcontext

    def ours(encoder: NameEncoder, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        batch = collator(batches[step])
        with cast():
            return encoder(batch["chunks"], batch["order"]), batch["concepts"]

    def plain(encoder: NameEncoder, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [row for _, *pair in batches[step] for row in pair]
        tokens = tokenizer(
            [kb.name_text(row).lower() for row in rows],
            padding="max_length",
            truncation=True,
            max_length=25,
            return_tensors="pt",
        )
        concepts = torch.tensor([int(kb.name_concepts[row]) for row in rows])
        return encoder.encode(tokens["input_ids"], tokens["attention_mask"]), concepts

    found: dict[str, dict[str, Any]] = {}
    loops = (("plain", plain, library_loss(settings)), ("ours", ours, PairLoss(settings)))
    for name, forward, loss_of in loops:
        if name == "ours":
            keep_freed_memory()
        compiled = given.compile and name == "ours"
        losses, cpu, wall = run(given.model, settings, loss_of, forward, given.steps, compiled)
        counted = given.pairs * (given.steps - WARM_UP)
        found[name] = {"pairs_per_cpu_s": counted / cpu, "pairs_per_s": counted / wall, "losses": losses}
    chunks = [chunk["attention_mask"] for batch in batches for chunk in collator(batch)["chunks"]]
    found["plain"]["tokens"] = 2 * given.pairs * given.steps * 25
    found["ours"]["tokens"] = sum(mask.numel() for mask in chunks)
    found["ours"]["tokens_without_padding"] = sum(int(mask.sum()) for mask in chunks)
    report(precision, found)


if __name__ == "__main__":
    main()
