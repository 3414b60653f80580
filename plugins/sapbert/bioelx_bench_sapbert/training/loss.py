"""SapBERT's loss over all processes: Multi-Similarity with the triplet margin miner."""

from __future__ import annotations

import torch
import torch.distributed as dist

from bioelx_bench_sapbert.training.settings import TrainingSettings


class PairLoss:
    """The Multi-Similarity loss on mined pairs (pytorch-metric-learning), negatives of all processes included.

    Every process computes the loss of the whole batch, in which only its own vectors carry a gradient.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        from pytorch_metric_learning.losses import MultiSimilarityLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

        self.loss = MultiSimilarityLoss(alpha=settings.alpha, beta=settings.beta, base=settings.base)
        self.miner = (
            TripletMarginMiner(margin=settings.margin, type_of_triplets="all") if settings.margin else None
        )

    def __call__(self, vectors: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
        """The loss of the whole batch.

        Args:
            vectors: This process's vectors, shape (names, dimensions).
            concepts: Concept row of each, shape (names,).

        Returns:
            A scalar with the value of the whole batch's loss, whose gradient is multiplied by the number of
            processes: averaging over processes, as data parallel training does, then gives the sum.
        """
        vectors, concepts = gather(vectors, concepts)
        pairs = self.miner(vectors, concepts) if self.miner else None
        loss: torch.Tensor = self.loss(vectors, concepts, pairs)
        world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        return loss if world == 1 else loss + (world - 1) * (loss - loss.detach())


def gather(vectors: torch.Tensor, concepts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The vectors and concepts of all processes in rank order; only this one's vectors keep their gradient."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return vectors, concepts
    world, rank = dist.get_world_size(), dist.get_rank()
    all_vectors = [torch.empty_like(vectors) for _ in range(world)]
    all_concepts = [torch.empty_like(concepts) for _ in range(world)]
    dist.all_gather(all_vectors, vectors.detach().contiguous())
    dist.all_gather(all_concepts, concepts.contiguous())
    all_vectors[rank] = vectors
    return torch.cat(all_vectors), torch.cat(all_concepts)
