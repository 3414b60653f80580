"""Turning strings into vectors, fast, and so that a string's vector does not depend on its neighbours.

Strings are grouped by their number of tokens and run in batches of one fixed shape, the last of a group
filled up with copies. So nothing is padded, the products that a string goes through always have the same
size, and its vector is the same, bit for bit, whatever else is encoded with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.progress import Task
from bioelx_bench_sapbert.hardware import choose_device, choose_dtype, dtype_name
from bioelx_bench_sapbert.loading import load_model, load_tokenizer
from bioelx_bench_sapbert.locating import ModelFiles, locate_model
from bioelx_bench_sapbert.options import EncodingOptions

if TYPE_CHECKING:
    import torch

CPU_BATCH: Final = 32
WIDE_BATCH: Final = 128
"""Strings a batch on a CPU, and where products are quick for their overhead: on a GPU, and in bf16 on a CPU."""

FEW: Final = 4
"""`encode(few=True)` uses batches smaller by this factor: less is filled up where strings are few."""

LEAST_COSINE: Final = 0.99
"""A reduced precision that turns a sampled vector further than this from fp32 is refused."""

Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class Encoder:
    """A loaded encoder. Made by `Encoder.load`.

    Attributes:
        files: Where the model is and what identifies it.
        options: Pooling, length, precision and so on.
        batch_size: Strings a batch; halved when memory runs out.
        halvings: How often that happened.
    """

    files: ModelFiles
    options: EncodingOptions
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    batch_size: int
    halvings: int = field(default=0)

    @classmethod
    def load(
        cls,
        model: str | ModelFiles,
        environment: Environment,
        options: EncodingOptions | None = None,
        revision: str | None = None,
    ) -> Encoder:
        """Load an encoder.

        Args:
            model: Folder (a whole model or a PEFT adapter), `offline:<model>`, id on the Hub, or files that
                `locate_model` found.
            environment: Gives model sources, and says whether connections are allowed.
            options: How strings become vectors.
            revision: Commit, tag or branch, for an id on the Hub.

        Raises:
            MissingError: The model, its tokenizer or the device is not there.
            DataError: It is not an encoder, or damaged.
        """
        import torch

        options = options or EncodingOptions()
        files = locate_model(model, environment, revision) if isinstance(model, str) else model
        device = choose_device(options.device)
        dtype = choose_dtype(options.dtype, device)
        tokenizer = load_tokenizer(files)
        narrow = device.type == "cpu" and dtype == torch.float32
        batch = options.batch_size or (CPU_BATCH if narrow else WIDE_BATCH)
        return cls(files, options, load_model(files, device, dtype), tokenizer, device, dtype, batch)

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return int(self.model.config.hidden_size)

    def encode(self, texts: Sequence[str], task: Task | None = None, *, few: bool = False) -> Vectors:
        """Encode strings, each distinct one once.

        Args:
            texts: Any number of strings; the empty string is one like others.
            task: A progress bar to move on by one for each distinct string.
            few: Use smaller batches, for mentions. The last bits of a vector depend on this, so that it must
                not depend on how many strings come together.

        Returns:
            fp32 vectors, shape (len(texts), dimension).

        Raises:
            DataError: A vector is not finite.
            BenchError: Memory does not suffice for a batch of one string.
        """
        distinct = list(dict.fromkeys(texts))
        vectors = np.empty((len(distinct), self.dimension), np.float32)
        tokens = self.tokenize(distinct)
        for length, members in group_by_length(tokens):
            start = 0
            while start < len(members):
                size = max(1, self.batch_size // FEW) if few else self.batch_size
                rows = members[start : start + size]
                ids = np.array([tokens[row] for row in rows], np.int64).reshape(len(rows), length)
                pooled = self.run_batch(ids, size)
                if pooled is None:
                    continue  # the batch was halved
                vectors[rows] = pooled
                start += len(rows)
                if task is not None:
                    task.advance(len(rows))
        self.check_finite(vectors, distinct)
        if len(distinct) == len(texts):
            return vectors
        place = {text: row for row, text in enumerate(distinct)}
        return vectors[[place[text] for text in texts]]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each string, cut to `max_length`, special tokens included."""
        if not texts:
            return []
        padding = "max_length" if self.options.pooling == "mean_all_tok" else False
        encoded = self.tokenizer(
            [self.options.prefix + text.encode("utf-8", "replace").decode() for text in texts],
            add_special_tokens=True,
            truncation=True,
            max_length=self.options.max_length,
            padding=padding,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def run_batch(self, ids: npt.NDArray[np.int64], size: int) -> Vectors | None:
        """Vectors of strings of one length, or None if memory ran out and the batch size was halved."""
        import torch

        try:
            with torch.inference_mode():
                return self.forward(ids, size)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if self.batch_size == 1:
                raise BenchError(
                    "memory does not suffice to encode a single string",
                    where=f"-R device={self.device}",
                    hint="-R device=cpu, a smaller -R max_length, or a smaller model",
                ) from error
        self.batch_size //= 2
        self.halvings += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def forward(self, ids: npt.NDArray[np.int64], size: int) -> Vectors:
        """One pass through the model and pooling, in a batch filled up to `size` rows."""
        import torch

        rows = len(ids)
        if rows < size:
            ids = np.concatenate([ids, np.broadcast_to(ids[:1], (size - rows, ids.shape[1]))])
        tensor = torch.from_numpy(ids).to(self.device)
        mask = None
        if self.options.pooling == "mean_all_tok":
            mask = (tensor != self.tokenizer.pad_token_id).to(torch.int64)
        output = self.model(input_ids=tensor, attention_mask=mask)
        states = getattr(output, "last_hidden_state", None)
        if states is None or states.dim() != 3:
            raise DataError(
                f"the model {self.files.reference} is not an encoder",
                where=self.files.folder,
                why="it gives no vector for each token",
            )
        pooled = states[:rows, 0].float() if self.options.pooling == "cls" else states[:rows].float().mean(1)
        if self.options.normalize:
            pooled = torch.nn.functional.normalize(pooled, dim=1)
        array: Vectors = pooled.cpu().numpy()
        return array

    def check_finite(self, vectors: Vectors, texts: Sequence[str]) -> None:
        """Refuse vectors with NaN or infinity, which would win or lose every comparison silently."""
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise DataError(
                f"the encoder gives {int((~finite).sum())} vectors that are not finite",
                where=f"{self.files.reference}, string {texts[row]!r}",
                why="the weights are damaged, or overflow in this precision",
                hint="-R dtype=fp32 and -R storage=fp32, or another model",
            )

    def measure_precision(self, sample: Sequence[str]) -> Mapping[str, Any]:
        """Compare this precision with fp32 on some strings.

        Returns:
            The precision, number of strings, least cosine and greatest difference of a component.

        Raises:
            DataError: The least cosine is below `LEAST_COSINE`.
        """
        import torch

        report: dict[str, Any] = {"dtype": dtype_name(self.dtype)}
        if self.dtype == torch.float32 or not sample:
            return report
        exact = Encoder(
            self.files,
            self.options,
            load_model(self.files, self.device, torch.float32),
            self.tokenizer,
            self.device,
            torch.float32,
            self.batch_size,
        )
        reduced, full = self.encode(sample), exact.encode(sample)
        norms = np.linalg.norm(reduced, axis=1) * np.linalg.norm(full, axis=1)
        cosine = float(np.min((reduced * full).sum(1) / np.maximum(norms, np.finfo(np.float32).tiny)))
        report |= {
            "sample": len(sample),
            "least_cosine_to_fp32": round(cosine, 6),
            "greatest_difference": float(np.abs(reduced - full).max()),
        }
        if cosine < LEAST_COSINE:
            raise DataError(
                f"in {report['dtype']} the encoder's vectors turn away from fp32's: least cosine {cosine:.4f}",
                where=self.files.reference,
                why=f"{len(sample)} names were compared; below {LEAST_COSINE} rankings change visibly",
                hint="-R dtype=fp32",
            )
        return report


def group_by_length(tokens: Sequence[Sequence[int]]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The rows of each length in tokens, longest first, so that memory runs out at once or never."""
    lengths = np.fromiter((len(ids) for ids in tokens), np.int64, len(tokens))
    for length in np.unique(lengths)[::-1]:
        yield int(length), np.flatnonzero(lengths == length)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or the system says that memory ran out."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
