from __future__ import annotations

import math

import pytest
import torch
from bioelx_bench_sapbert.encoder import Encoder
from bioelx_bench_sapbert.options import EncodingOptions
from bioelx_bench_sapbert.training.encoder import (
    CPU_PASS_COST,
    NameEncoder,
    Tokens,
    chunk_ends,
    encode_names,
    load_base,
)
from bioelx_bench_sapbert.training.loss import PairLoss, infonce, mine
from bioelx_bench_sapbert.training.settings import TrainingSettings
from hypothesis import given, settings
from hypothesis import strategies as st
from run_samples import environment


def multi_similarity(vectors: torch.Tensor, concepts: list[int], margin: float) -> float:
    """The definition (Wang et al. 2019, eq. 15) over pairs of triplets that break the margin, in plain loops."""
    unit = torch.nn.functional.normalize(vectors, dim=1)
    cosine, distance = unit @ unit.T, torch.cdist(unit, unit)
    n = len(concepts)
    total = 0.0
    for i in range(n):
        positives, negatives = set(), set()
        for p in range(n):
            for q in range(n):
                if p == i or concepts[p] != concepts[i] or concepts[q] == concepts[i]:
                    continue
                if margin == 0 or distance[i, q] - distance[i, p] <= margin:
                    positives.add(p)
                    negatives.add(q)
        if margin == 0:
            positives = {p for p in range(n) if p != i and concepts[p] == concepts[i]}
            negatives = {q for q in range(n) if concepts[q] != concepts[i]}
        total += math.log1p(sum(math.exp(-1.0 * (cosine[i, p].item() - 0.5)) for p in positives))
        total += math.log1p(sum(math.exp(60.0 * (cosine[i, q].item() - 0.5)) for q in negatives)) / 60
    return total / n


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_loss_is_the_published_formula(margin: float) -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(12, 5, generator=generator) + 0.7
    concepts = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0]
    loss = PairLoss(TrainingSettings(margin=margin))(vectors, torch.tensor(concepts))
    assert loss.item() == pytest.approx(multi_similarity(vectors, concepts, margin), abs=1e-4)


def infonce_in_loops(vectors: torch.Tensor, concepts: list[int], temperature: float) -> float:
    """Each pair of a concept against the names of others (van den Oord et al. 2018, eq. 4), in plain loops."""
    unit = torch.nn.functional.normalize(vectors, dim=1)
    scores = torch.exp(unit @ unit.T / temperature).tolist()
    n = len(concepts)
    terms = []
    for i in range(n):
        others = sum(scores[i][k] for k in range(n) if concepts[k] != concepts[i])
        positives = [scores[i][p] for p in range(n) if p != i and concepts[p] == concepts[i]]
        terms += [-math.log(score / (score + others)) for score in positives]
    return sum(terms) / len(terms)


def test_infonce_is_the_published_formula_and_names_without_a_partner_are_negatives_only() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(12, 5, generator=generator)
    concepts = [0, 0, 1, 1, 2, 2, 0, 3, 3, 4, 5, 6]  # 4, 5 and 6 are as hard negatives are
    loss = PairLoss(TrainingSettings(loss="infonce", temperature=0.1))(vectors, torch.tensor(concepts))
    assert loss.item() == pytest.approx(infonce_in_loops(vectors, concepts, 0.1), abs=1e-4)
    fewer = PairLoss(TrainingSettings(loss="infonce", temperature=0.1))(
        vectors[:9], torch.tensor(concepts[:9])
    )
    assert fewer.item() < loss.item()


@pytest.mark.parametrize("names", [6, 40])
def test_infonce_is_the_librarys(names: int) -> None:
    from pytorch_metric_learning.losses import NTXentLoss

    generator = torch.Generator().manual_seed(names)
    vectors = torch.randn(names, 7, generator=generator, requires_grad=True)
    concepts = torch.randint(0, names // 3, (names,), generator=generator)
    gradients = []
    for function in (lambda v, c: infonce(v, c, 0.05), NTXentLoss(temperature=0.05)):
        loss = function(vectors, concepts)
        gradients.append((loss.detach(), torch.autograd.grad(loss, vectors)[0]))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "mean_all_tok"])
def test_training_encodes_as_search_does(base_model, tmp_path, pooling) -> None:  # type: ignore[no-untyped-def]
    """Names alone, together, in chunks padded for training and in search's batches have the same vectors."""
    names = ["abcdefgh", "a", "abc", "abcd e", "x y", "heart attack of the second kind in"]
    model, tokenizer = load_base(str(base_model), base_model, offline=True)
    encoder = NameEncoder(model.eval(), pooling)
    settings = TrainingSettings(pooling=pooling, max_length=20)
    tokens = Tokens(tokenizer, settings, 10_000)  # so dear a pass that all are padded to one length
    options = EncodingOptions(pooling=pooling, max_length=20, dtype="fp32", device="cpu")
    search = Encoder.load(str(base_model), environment(tmp_path), options)
    with torch.no_grad():
        together = encoder(*tokens.chunks(names))
        alone = torch.cat([encoder(*tokens.chunks([name])) for name in names])
    found = torch.from_numpy(search.encode(names))
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together, found, atol=1e-5)
    search.bucket = 8  # lengths as on a GPU
    assert torch.allclose(torch.from_numpy(search.encode(names)), found, atol=1e-5)
    normal = torch.nn.functional.normalize(found, dim=1)
    assert torch.allclose(encode_names(encoder, tokens, "fp32", names), normal, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "mean_all_tok"])
def test_recomputed_chunks_give_the_same_gradients(base_model, pooling) -> None:  # type: ignore[no-untyped-def]
    gradients = []
    for chunk_names in (0, 3, 1):
        model, tokenizer = load_base(str(base_model), base_model, offline=True)
        model.eval()
        encoder = NameEncoder(model, pooling, chunk_names=chunk_names)
        tokens = Tokens(tokenizer, TrainingSettings(pooling=pooling), CPU_PASS_COST)
        names = ["abc", "a", "abcdef ghi", "xyz", "qrst", "m n o", "zz", "krankheit"]
        vectors = encoder(*tokens.chunks(names))
        PairLoss(TrainingSettings())(vectors, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    for other in gradients[1:]:
        assert gradients[0].keys() == other.keys()
        for name, value in gradients[0].items():
            assert torch.allclose(value, other[name], atol=1e-6), name


def test_vectors_come_in_the_order_of_the_names(base_model) -> None:  # type: ignore[no-untyped-def]
    model, tokenizer = load_base(str(base_model), base_model, offline=True)
    model.eval()
    encoder, tokens = (
        NameEncoder(model, "mean", chunk_names=2),
        Tokens(tokenizer, TrainingSettings(pooling="mean"), CPU_PASS_COST),
    )
    names = ["abcdefgh", "a", "Abc", "abcd e", "x y"]
    together = encoder(*tokens.chunks(names))
    alone = torch.cat([encoder(*tokens.chunks([name])) for name in names])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_mining_finds_the_librarys_pairs(margin: float, spread: float) -> None:
    from pytorch_metric_learning.miners import TripletMarginMiner

    generator = torch.Generator().manual_seed(2)
    concepts = torch.randint(0, 9, (40,), generator=generator)
    concepts[0] = 99  # a concept with one name has no positive
    centres = torch.randn(100, 6, generator=generator)
    vectors = centres[concepts] * 0.5 + spread * torch.randn(40, 6, generator=generator)
    anchors, positives, negatives = TripletMarginMiner(margin=margin, type_of_triplets="all")(
        vectors, concepts
    )
    first, second, third, fourth = (part.tolist() for part in mine(vectors, concepts, margin))
    assert set(zip(first, second, strict=True)) == set(zip(anchors.tolist(), positives.tolist(), strict=True))
    assert set(zip(third, fourth, strict=True)) == set(zip(anchors.tolist(), negatives.tolist(), strict=True))


def test_without_a_broken_triplet_the_loss_is_nothing_and_has_a_gradient() -> None:
    vectors = torch.eye(3)[[0, 0, 1, 1, 2, 2]].requires_grad_()
    loss = PairLoss(TrainingSettings(margin=0.1))(vectors, torch.tensor([0, 0, 1, 1, 2, 2]))
    loss.backward()
    assert loss.item() == 0
    assert vectors.grad is not None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(2, 12), max_size=9), st.integers(0, 40))
def test_chunks_cost_least(lengths: list[int], pass_cost: int) -> None:
    lengths.sort()

    def cost(ends: list[int]) -> int:
        starts = [0, *ends][: len(ends)]
        return sum(
            pass_cost + lengths[end - 1] * (end - start) for start, end in zip(starts, ends, strict=True)
        )

    ends = chunk_ends(lengths, pass_cost)
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([len(lengths)] if lengths else [])
    every = range(1 << max(len(lengths) - 1, 0)) if lengths else ()
    others = [
        [i + 1 for i in range(len(lengths) - 1) if chosen >> i & 1] + [len(lengths)] for chosen in every
    ]
    assert cost(ends) == min(map(cost, others), default=0)
