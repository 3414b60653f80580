"""Losses of name pairs over all processes: SapBERT's (Multi-Similarity with the triplet margin miner) and InfoNCE."""

from __future__ import annotations

import torch
import torch.distributed as dist

from bioelx_bench_sapbert.training.settings import TrainingSettings


class PairLoss:
    """The loss of the settings, negatives of all processes included.

    Multi-Similarity on mined pairs (Wang et al. 2019, CVPR) from pytorch-metric-learning, with SapBERT's values, or
    `infonce`. Every process computes the loss of the whole batch, in which only its own vectors carry a gradient.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        from pytorch_metric_learning.losses import MultiSimilarityLoss

        self.margin, self.temperature = settings.margin, settings.temperature
        self.multi_similarity = None
        if settings.loss == "multi_similarity":
            self.multi_similarity = MultiSimilarityLoss(alpha=1, beta=60, base=0.5)

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
        if self.multi_similarity is None:
            loss = infonce(vectors, concepts, self.temperature)
        else:
            pairs = mine(vectors, concepts, self.margin) if self.margin else None
            loss = self.multi_similarity(vectors, concepts, pairs)
        world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        return loss if world == 1 else loss + (world - 1) * (loss - loss.detach())


def infonce(vectors: torch.Tensor, concepts: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE (van den Oord et al. 2018) in the form for several positives, from one matrix of scores.

    Each pair of a concept is set against all names of others: -log(e^p / (e^p + sum of e^n)), which is
    softplus(log-sum-exp of the anchor's negatives - p), in the mean over ordered positive pairs. Memory is
    quadratic in the names of a step. The value is that of pytorch-metric-learning's NTXentLoss.

    Args:
        vectors: Shape (names, dimensions).
        concepts: Concept of each; a name without a partner is a negative only.
        temperature: What cosines are divided by.
    """
    unit = torch.nn.functional.normalize(vectors, dim=1)
    scores = unit @ unit.T / temperature
    same = concepts[:, None] == concepts
    against = scores.masked_fill(same, -torch.inf).logsumexp(1)
    anchors, positives = (same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)).nonzero(
        as_tuple=True
    )
    if not len(anchors):
        return vectors.sum() * 0
    return torch.nn.functional.softplus(against[anchors] - scores[anchors, positives]).mean()


@torch.no_grad()
def mine(
    vectors: torch.Tensor, concepts: torch.Tensor, margin: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pairs of all triplets that break the margin, as the library's `TripletMarginMiner` finds them.

    A triplet (anchor, positive, negative) breaks it if the negative is not farther than the positive by more than
    the margin. The loss needs the pairs of such triplets only: a positive is in one if the nearest negative makes one
    with it, a negative if the farthest positive does. So no triplet is listed, of which the 4,096 names of eight
    processes have billions.

    Args:
        vectors: Shape (names, dimensions).
        concepts: Concept of each.
        margin: Euclidean distance between normalised vectors.

    Returns:
        Anchors and positives, anchors and negatives.
    """
    from pytorch_metric_learning.distances import LpDistance

    distances = LpDistance()(vectors, vectors)
    same = concepts[:, None] == concepts
    positive = same & ~torch.eye(len(concepts), dtype=torch.bool, device=concepts.device)
    nearest = distances.masked_fill(same, torch.inf).amin(1, keepdim=True)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1, keepdim=True)
    first, second = (positive & (nearest - distances <= margin)).nonzero(as_tuple=True)
    third, fourth = (~same & (distances - farthest <= margin)).nonzero(as_tuple=True)
    return first, second, third, fourth


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
