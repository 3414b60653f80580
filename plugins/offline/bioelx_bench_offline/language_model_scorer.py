"""A causal language model that computes what prompts have in common once.

A prompt is cut at places that follow from its text alone: before the last message, and before the last paragraph of
that message (its last line, where it has one paragraph), where a pointwise prompt names its candidate. The keys
and values of each start of a prompt are kept for a while, so that the candidates of a mention share those of its
context, and all mentions those of the instruction.

The whole prompt is turned into tokens at once and cut between two of them. Pieces of text by themselves would
give other tokens at the cuts (two line ends are one token at the end of a text, and two before a word), so that
the answer would not be that of the whole prompt. Since the cuts do not depend on what was computed before, nor on
other prompts, an answer is the same whatever was asked earlier and after a resume.

Questions for one token are computed side by side (see `language_model_packing`) where the model allows it. Else,
and where nothing is shared, each is computed by itself, in passes whose size follows from the prompt alone.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bioelx_bench_offline.language_model_files import quiet_transformers

STARTS_KEPT: Final = 12
"""Starts of prompts whose keys and values are kept: tens of megabytes each for models of a few billion
parameters."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in tokens.

    Attributes:
        ids: Its tokens.
        cuts: How many of them stand before each place where prompts may begin to differ, ascending.
    """

    ids: tuple[int, ...]
    cuts: tuple[int, ...]

    @property
    def start(self) -> tuple[int, ...]:
        """What it may share with others."""
        return self.ids[: self.cuts[-1]] if self.cuts else ()

    @property
    def rest(self) -> tuple[int, ...]:
        """What follows its start."""
        return self.ids[len(self.start) :]


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer.

    Attributes:
        text: The answer.
        first: Text of its first token.
        alternatives: Log-probabilities of the likeliest first tokens, best first.
        finish: `stop` or `length`.
        prompt_tokens: Length of the prompt.
        completion_tokens: Length of the answer.
    """

    text: str
    first: str
    alternatives: tuple[tuple[str, float], ...]
    finish: str
    prompt_tokens: int
    completion_tokens: int


class Scorer:
    """Loads a model folder and answers chat prompts. Not for several threads at once.

    Args:
        folder: A Hugging Face folder with safetensors.
        device: `auto`, `cpu` or `cuda`.
        dtype: `auto`, `float32` or `bfloat16`.
    """

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from bioelx_bench_offline.language_model_packing import Packer, why_not

        quiet_transformers()
        self._torch = torch
        self._device = choose_device(device)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, choose_dtype(dtype, self._device)),
            local_files_only=True,
            use_safetensors=True,
        )
        self._model = model.to(self._device).eval()
        self._why_alone = why_not(model.config)
        self._packer = None if self._why_alone else Packer(self._model)
        self._packed = self._alone = 0
        self._starts: OrderedDict[tuple[tuple[int, ...], tuple[int, ...]], Any] = OrderedDict()

    def notes(self) -> dict[str, Any]:
        """How many answers of one token were computed side by side and each alone; why, if none can be packed."""
        found: dict[str, Any] = {"answers_packed": self._packed, "answers_alone": self._alone}
        return found | ({"alone_because": self._why_alone} if self._why_alone else {})

    def generate(
        self,
        messages: list[dict[str, Any]],
        *,
        max_tokens: int,
        top: int = 0,
        temperature: float = 0.0,
        seed: int = 0,
        template: dict[str, Any] | None = None,
    ) -> Generated:
        """Answer a chat prompt.

        Args:
            messages: Chat messages with string contents.
            max_tokens: Bound of the answer.
            top: How many log-probabilities to give at the first token.
            temperature: 0 for the likeliest token each time.
            seed: Seed of the sampling.
            template: More arguments of the chat template.
        """
        prompt = self.tokens(messages, template or {})
        if max_tokens == 1:
            return self.first_tokens([prompt], top)[0]
        with self._torch.inference_mode():
            logits, tokens = self._continue(prompt, max_tokens, temperature, seed)
        return self._generated(prompt, logits, tokens, top)

    def first_tokens(self, prompts: Sequence[Prompt], top: int) -> list[Generated]:
        """The likeliest first token of each answer, and its alternatives.

        Args:
            prompts: The prompts.
            top: How many log-probabilities to give.
        """
        packer = self._packer
        together = [n for n, prompt in enumerate(prompts) if prompt.cuts] if packer else []
        packed = packer.logits([prompts[n] for n in together]) if packer else []
        logits = dict(zip(together, packed, strict=True))
        for number, prompt in enumerate(prompts):
            if number not in logits:
                logits[number] = self._last_logits(prompt)
        self._packed += len(together)
        self._alone += len(prompts) - len(together)
        return [self._generated(p, logits[n], [int(logits[n].argmax())], top) for n, p in enumerate(prompts)]

    def _last_logits(self, prompt: Prompt) -> Any:
        """Logits behind a prompt's last token, fp32, computed by itself."""
        with self._torch.inference_mode():
            past = self._past(prompt.ids, prompt.cuts)
            output = self._model(
                self._tensor(prompt.rest), past_key_values=past, use_cache=past is not None, logits_to_keep=1
            )
            return output.logits[0, -1].float()

    def _generated(self, prompt: Prompt, logits: Any, tokens: list[int], top: int) -> Generated:
        stopped = tokens and tokens[-1] in self._ends()
        return Generated(
            text=self._tokenizer.decode(tokens, skip_special_tokens=True),
            first=self._tokenizer.decode(tokens[:1]),
            alternatives=self._likeliest(logits, top),
            finish="stop" if stopped else "length",
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(tokens),
        )

    def tokens(self, messages: list[dict[str, Any]], template: dict[str, Any]) -> Prompt:
        """A chat prompt in tokens."""
        text = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **template
        )
        fast = self._tokenizer.is_fast  # others do not say where a token ends; then nothing is shared
        coded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast)
        ids: list[int] = coded["input_ids"]
        ends = [end for _, end in coded["offset_mapping"]] if fast else []
        before = (sum(end <= place for end in ends) for place in places_to_cut(text, messages))
        return Prompt(tuple(ids), tuple(sorted({count for count in before if 0 < count < len(ids)})))

    def _tensor(self, ids: Sequence[int]) -> Any:
        return self._torch.tensor([list(ids)], device=self._device)

    def _past(self, ids: tuple[int, ...], cuts: tuple[int, ...]) -> Any:
        """A copy of the keys and values of the tokens before the last cut, computed unless kept; None without."""
        if not cuts:
            return None
        start = ids[: cuts[-1]]
        kept = self._starts.get((start, cuts))
        if kept is None:
            before = self._past(ids, cuts[:-1])
            rest = self._tensor(ids[cuts[-2] if len(cuts) > 1 else 0 : cuts[-1]])
            kept = self._model(rest, past_key_values=before, use_cache=True, logits_to_keep=1).past_key_values
            self._starts[start, cuts] = kept
            if len(self._starts) > STARTS_KEPT:
                self._starts.popitem(last=False)
        self._starts.move_to_end((start, cuts))
        for number, cut in enumerate(cuts[:-1], 1):  # what a start builds on is kept at least as long
            if (start[:cut], cuts[:number]) in self._starts:
                self._starts.move_to_end((start[:cut], cuts[:number]))
        return copy.deepcopy(kept)

    def _continue(
        self, prompt: Prompt, max_tokens: int, temperature: float, seed: int
    ) -> tuple[Any, list[int]]:
        """Generate; returns the logits of the first token and all tokens."""
        past = self._past(prompt.ids, prompt.cuts)
        ids = self._tensor(prompt.ids)
        sampling = (
            {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        )
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            output = self._model.generate(
                ids,
                attention_mask=self._torch.ones_like(ids),
                past_key_values=past,
                max_new_tokens=max_tokens,
                output_logits=True,
                return_dict_in_generate=True,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                **sampling,
            )
        return output.logits[0][0].float(), output.sequences[0, len(prompt.ids) :].tolist()

    def _likeliest(self, logits: Any, top: int) -> tuple[tuple[str, float], ...]:
        if top <= 0:
            return ()
        values, indices = logits.log_softmax(-1).topk(min(top, logits.shape[-1]))
        return tuple(
            (self._tokenizer.decode([i]), v) for i, v in zip(indices.tolist(), values.tolist(), strict=True)
        )

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        found = set(ends) if isinstance(ends, list) else {ends}
        return {*found, self._tokenizer.eos_token_id} - {None}


def places_to_cut(text: str, messages: list[dict[str, Any]]) -> list[int]:
    """Places in a prompt's text: where its last message begins, and that message's last paragraph or line."""
    content = str(messages[-1]["content"]).strip()
    at = text.rfind(content) if content else -1
    if at < 0:
        return []
    mark = "\n\n" if "\n\n" in content else "\n"
    last = content.rfind(mark)
    return [at, *([at + last + len(mark)] if last > 0 else [])]


def choose_device(device: str) -> str:
    """`cuda` where there is one, for `auto`."""
    import torch

    return device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def choose_dtype(dtype: str, device: str) -> str:
    """`bfloat16` where the device computes in it, for `auto`; elsewhere it would be several times slower."""
    import torch

    if dtype != "auto":
        return dtype
    if device != "cpu":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
