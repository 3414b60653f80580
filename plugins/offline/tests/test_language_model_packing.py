"""Prompts computed side by side: the same bits in any company, the numbers of whole prompts, and who may not."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import torch
import transformers
from bioelx_bench_offline.language_model import LocalOptions, make_ranker
from bioelx_bench_offline.language_model_files import model_revision, ready_folder, smollm2_file
from bioelx_bench_offline.language_model_packing import PASS, Packer, why_not
from bioelx_bench_offline.language_model_scorer import Prompt, Scorer
from language_model_samples import items, model_environment, require_model

from bioelx_bench.base import Environment

SIZES = {
    "vocab_size": 200,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    require_model()
    return model_environment(tmp_path_factory.mktemp("language-model") / "cache")


def tiny(kind: str, **others: Any) -> Any:
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(kind, **{**SIZES, "sliding_window": None, **others})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def made_prompts(seed: int, words: int) -> list[Prompt]:
    """Prompts of three contexts behind one instruction, some longer than a pass, one the start of another."""
    drawn = random.Random(seed)

    def text(size: int) -> tuple[int, ...]:
        return tuple(drawn.randrange(words) for _ in range(size))

    instruction, found = text(40), []
    for size in (30, 90, PASS + 20):
        start = (*instruction, *text(size))
        rests = [
            text(n) for n in (1, 2, 15, 16, 17, 33, 64, 100, *(drawn.randrange(1, 90) for _ in range(8)))
        ]
        found += [Prompt((*start, *rest), (len(instruction), len(start))) for rest in rests]
    longest = (*found[0].ids, *text(2 * PASS + 3))
    return [*found, Prompt(longest, (*found[0].cuts, len(found[0].ids))), Prompt(instruction, (3,))]


def whole(model: Any, prompt: Prompt) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([prompt.ids])).logits[0, -1].float()


def answered_in_any_company(packer: Packer, prompts: Sequence[Prompt], rounds: int) -> None:
    """Ask in many compositions, with and without what was kept, and compare bit for bit."""
    packer._kept.clear()
    first = packer.logits(prompts)
    drawn = random.Random(7)
    for _ in range(rounds):
        if drawn.random() < 0.5:
            packer._kept.clear()
        chosen = drawn.sample(range(len(prompts)), drawn.choice((1, 2, 3, 10, len(prompts))))
        for number, logits in zip(chosen, packer.logits([prompts[n] for n in chosen]), strict=True):
            assert torch.equal(logits, first[number])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["gemma", "llama", "mistral", "qwen2", "qwen3"])
def test_answers_are_those_of_whole_prompts_in_any_company(kind: str, dtype: torch.dtype) -> None:
    model = tiny(kind).to(dtype)
    assert why_not(model.config) is None
    prompts = made_prompts(3, SIZES["vocab_size"])
    wanted = [whole(model, prompt) for prompt in prompts]
    packer = Packer(model)
    for one, other in zip(packer.logits(prompts), wanted, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=1e-5 if dtype == torch.float32 else 0.03)
    answered_in_any_company(packer, prompts, 20)
    for prompt, logits in zip(prompts[:3], wanted, strict=False):  # other calls are computed as before
        assert torch.equal(whole(model, prompt), logits)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_embedded_model_answers_alike_in_any_company(environment: Environment, dtype: str) -> None:
    file = smollm2_file()
    scorer = Scorer(ready_folder(file, model_revision(file), environment), "cpu", dtype)
    packer = scorer._packer
    assert packer is not None
    answered_in_any_company(packer, made_prompts(5, 40_000)[::4], 4)


def test_starts_are_kept_longer_than_what_follows_them() -> None:
    packer = Packer(tiny("llama"))
    prompts = [Prompt((1, 2, 3, number, 4), (3, 4)) for number in range(30)]
    packer.logits(prompts)
    assert ((1, 2, 3),) in packer._kept and len(packer._kept) < 20
    for piece in packer._kept.values():
        assert piece.logits is None and piece.states


@pytest.mark.parametrize(
    ("kind", "others", "reason"),
    [
        ("qwen3", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}, "whole prompt"),
        ("mistral", {"sliding_window": 16}, "whole prompt"),
        ("gemma2", {"sliding_window": 16}, "architecture gemma2"),
        ("qwen3_moe", {}, "architecture qwen3_moe"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "prompt's length",
        ),
        ("llama", {"attn_implementation": "eager"}, "eager"),
    ],
)
def test_models_that_cannot_be_packed_are_known(kind: str, others: dict[str, Any], reason: str) -> None:
    config = tiny(kind, **others).config
    assert reason in (why_not(config) or "")


def test_a_model_that_cannot_be_packed_answers_and_says_so(tmp_path: Path, environment: Environment) -> None:
    source = ready_folder(smollm2_file(), model_revision(smollm2_file()), environment)
    sizes = {"vocab_size": 49152, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
    notes = []
    for name, others in (("packed", {}), ("sliding", sizes)):
        folder = tmp_path / name
        folder.mkdir()
        tiny("qwen3", **{"vocab_size": 49152, **others}).save_pretrained(folder)
        for path in source.iterdir():
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path.resolve())
        ranker = make_ranker(LocalOptions(model=f"local:{folder}", dtype="float32"), environment)
        assert "answers_packed" not in ranker.notes().counts
        (ranking,) = ranker.rank_many(items(1))
        assert ranking.usage.calls == 3
        notes.append(ranker.notes())
        ranker.close()
    packed, alone = notes
    assert packed.counts["answers_packed"] == 3 and packed.counts["answers_alone"] == 0
    assert alone.counts["answers_packed"] == 0 and alone.counts["answers_alone"] == 3
    assert "alone_because" not in packed.facts and "whole prompt" in alone.facts["alone_because"]


def test_a_model_that_passes_attention_by_is_an_error() -> None:
    model = tiny("llama")
    packer = Packer(model)
    model.set_attn_implementation("eager")
    with pytest.raises(RuntimeError, match="0 of 3 layers"):
        packer.logits([Prompt((1, 2, 3), (1,))])
