"""Prompts that have their starts in common, computed side by side in passes of one fixed shape.

Each prompt is cut into pieces, and a piece that several prompts begin with is computed once. Pieces are laid one
after another in a row of `PASS` tokens, whatever prompts they come from, so that hardly anything is computed for
nothing; what is left over is filled up. All layers but attention treat each token by itself, and always get a matrix
of the same size. Attention is computed for one piece at a time, over its prompt's earlier tokens and its own: the
size of that follows from the prompt alone. So neither what else is in a pass nor a piece's place in it changes a bit
of an answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bioelx_bench_offline.language_model_scorer import STARTS_KEPT, Prompt

PASS: Final = 256
"""Tokens of a pass. Wide enough for its tokens to cost more than what any pass costs (in bf16 as much as 60 to 150
tokens, by processor), and narrow enough for ten candidates not to leave much of it empty."""
ENDS: Final = 16
"""Tokens of a pass with logits."""

ATTENTION: Final = "bioelx_packed"
"""The name of the attention function with transformers."""
ARCHITECTURES: Final = frozenset({"gemma", "llama", "mistral", "qwen2", "qwen3"})
"""Models that were tested: tokens meet in attention alone, and all that attention adds is the mask."""
FIXED_ROTATIONS: Final = frozenset({"default", "linear", "llama3", "yarn"})
"""Rotary embeddings of a position that do not depend on how long the longest prompt of a pass is."""


def why_not(config: Any) -> str | None:
    """Why a model's prompts cannot be packed, or None if they can."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if config.model_type not in ARCHITECTURES:
        return f"not tested with the architecture {config.model_type}"
    if kinds != {"full_attention"} or getattr(config, "sliding_window", None) is not None:
        return "a layer does not see the whole prompt"
    if rotation not in FIXED_ROTATIONS:
        return f"positions depend on the prompt's length ({rotation})"
    if getattr(config, "quantization_config", None) is not None:
        return "quantized layers may round by what is computed together"
    if config._attn_implementation != "sdpa":
        return f"another attention function is set ({config._attn_implementation})"
    return None


Parts = tuple[tuple[int, ...], ...]
"""The tokens of a piece and of those before it: a start that is cut elsewhere is another one."""


@dataclass(slots=True, eq=False)
class Piece:
    """Tokens that follow a start.

    Attributes:
        ids: The tokens.
        before: The piece before it, or None.
        followed: Whether other pieces follow it.
        ends: Whether a prompt ends with it.
        states: For each layer, keys and values of all tokens up to its last one, once computed, if it is followed.
        logits: Logits behind its last token, once computed, if a prompt ends with it.
    """

    ids: tuple[int, ...]
    before: Piece | None
    followed: bool = False
    ends: bool = False
    states: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    logits: Tensor | None = None

    @property
    def begin(self) -> int:
        """How many tokens stand before it."""
        return 0 if self.before is None else self.before.begin + len(self.before.ids)

    @property
    def depth(self) -> int:
        """How many pieces stand before it."""
        return 0 if self.before is None else self.before.depth + 1

    @property
    def computed(self) -> bool:
        """Whether everything that is wanted of it is there."""
        return (bool(self.states) or not self.followed) and (self.logits is not None or not self.ends)


class Packer:
    """Computes the logits behind prompts. Not for several threads at once.

    Args:
        model: A causal language model of transformers for which `why_not` finds no reason; it gets an attention
            function that does for other calls what the one before did.
    """

    def __init__(self, model: Any) -> None:
        AttentionInterface.register(ATTENTION, attention)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)
        self._model = model
        self._kept: OrderedDict[Parts, Piece] = OrderedDict()

    def logits(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """Logits behind each prompt's last token, fp32, shape (vocabulary,)."""
        pieces: dict[Parts, Piece] = {}
        lasts = [self._last_piece(parts(prompt), pieces) for prompt in prompts]
        with torch.inference_mode():
            for chosen in passes(piece for piece in pieces.values() if not piece.computed):
                Pass(chosen).run(self._model)
        found = [last.logits.float() for last in lasts if last.logits is not None]
        self._keep(pieces)
        return found

    def _last_piece(self, path: Parts, pieces: dict[Parts, Piece]) -> Piece:
        """Add a prompt's pieces to those known; returns its last one."""
        *before, last = [self._piece(path[:depth], pieces) for depth in range(1, len(path) + 1)]
        for piece in before:
            piece.followed = True
        last.ends = True
        return last

    def _piece(self, path: Parts, pieces: dict[Parts, Piece]) -> Piece:
        """A piece that is known or kept, or a new one."""
        if path not in pieces:
            pieces[path] = self._kept.get(path) or Piece(path[-1], pieces.get(path[:-1]))
        return pieces[path]

    def _keep(self, pieces: dict[Parts, Piece]) -> None:
        """Keep the starts among pieces, and of all starts those that were used last."""
        for path, piece in reversed(pieces.items()):  # what a start builds on is kept at least as long
            if piece.followed:
                piece.ends, piece.logits = False, None
                self._kept[path] = piece
                self._kept.move_to_end(path)
        while len(self._kept) > STARTS_KEPT:
            self._kept.popitem(last=False)


def parts(prompt: Prompt) -> Parts:
    """A prompt's tokens between its cuts, in parts that fit into a pass."""
    bounds = pairwise([0, *prompt.cuts, len(prompt.ids)])
    return tuple(
        prompt.ids[at : min(at + PASS, end)] for begin, end in bounds for at in range(begin, end, PASS)
    )


def passes(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Divide pieces among passes: none before the one it follows, and long ones first, which leaves less empty."""
    waiting = sorted(pieces, key=lambda piece: (piece.depth, -len(piece.ids)))
    unplaced = set(waiting)
    while waiting:
        chosen: list[Piece] = []
        room, ends = PASS, ENDS
        for piece in waiting:
            if piece.before not in unplaced and len(piece.ids) <= room and (ends or not piece.ends):
                chosen.append(piece)
                unplaced.remove(piece)
                room -= len(piece.ids)
                ends -= piece.ends
        yield chosen
        waiting = [piece for piece in waiting if piece in unplaced]


class Pass:
    """Pieces that are computed together.

    Args:
        pieces: They fit into a pass, and each stands behind the one it follows.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._masks: list[Tensor] = []
        self._layers = 0

    def run(self, model: Any) -> None:
        """Compute what is wanted of the pieces.

        Raises:
            RuntimeError: The model did not compute its attention with `attention`.
        """
        ids = [token for piece in self._pieces for token in piece.ids]
        positions = [at for piece in self._pieces for at in range(piece.begin, piece.begin + len(piece.ids))]
        behind = accumulate(len(piece.ids) for piece in self._pieces)
        ends = {piece: end - 1 for piece, end in zip(self._pieces, behind, strict=True) if piece.ends}
        self._masks = [mask_of(piece, model) for piece in self._pieces]
        output = model(
            filled(ids, PASS, model.device),
            position_ids=filled(positions, PASS, model.device),
            use_cache=False,
            logits_to_keep=filled(list(ends.values()), ENDS, model.device)[0],
            packed=self,
        )
        if self._layers != model.config.num_hidden_layers:
            raise RuntimeError(f"{self._layers} of {model.config.num_hidden_layers} layers were packed")
        for piece, logits in zip(ends, output.logits[0], strict=False):
            piece.logits = logits

    def attend(self, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        """One layer's attention: shapes (1, heads, `PASS`, size); returns (1, `PASS`, heads, size)."""
        layer = self._layers
        self._layers += 1
        found = torch.zeros_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
        begin = 0
        for piece, mask in zip(self._pieces, self._masks, strict=True):
            rows = slice(begin, begin + len(piece.ids))
            begin = rows.stop
            keys, values = key[:, :, rows].contiguous(), value[:, :, rows].contiguous()
            if piece.before is not None:
                earlier = piece.before.states[layer]
                keys, values = torch.cat([earlier[0], keys], 2), torch.cat([earlier[1], values], 2)
            if piece.followed and len(piece.states) == layer:
                piece.states.append((keys, values))
            found[:, rows] = scaled_dot_product_attention(
                query[:, :, rows].contiguous(),
                keys,
                values,
                attn_mask=mask,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            ).transpose(1, 2)
        return found


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: Pass | None = None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function of transformers, and for a pass of packed pieces that of `Pass`."""
    if packed is not None:
        return packed.attend(query, key, value, scaling), None
    usual: Any = ALL_ATTENTION_FUNCTIONS["sdpa"]
    output, _ = usual(module, query, key, value, attention_mask, scaling=scaling, **others)
    return output, None


def mask_of(piece: Piece, model: Any) -> Tensor:
    """What to add to a piece's attention: each token sees those before it and itself."""
    size = len(piece.ids)
    mask = torch.full((size, piece.begin + size), float("-inf"), dtype=model.dtype, device=model.device)
    return mask.triu(piece.begin + 1)


def filled(values: list[int], size: int, device: torch.device) -> Tensor:
    """Values as a row of a fixed size."""
    return torch.tensor([[*values, *[0] * (size - len(values))]], device=device)
