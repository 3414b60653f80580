"""Turning strings into vectors, fast, and so that a string's vector does not depend on its neighbours.

Strings are grouped by their number of tokens (on a GPU rounded up to a few lengths) and run in batches of one fixed
shape, the last of a group filled up with copies. So the products that a string goes through always have the same
size, and its vector is the same, bit for bit, whatever else is encoded with it. The tokens of the next strings are
made in a thread while the device computes. Training encodes with the same tokens and pooling (`tokenization`), and
measures itself with this encoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.base import Environment
from bioelx_bench.errors import BenchError, DataError
from bioelx_bench.progress import Task
from bioelx_bench_sapbert.hardware import (
    check_compiler,
    choose_device,
    choose_dtype,
    dtype_name,
    is_out_of_memory,
)
from bioelx_bench_sapbert.model_files import ModelFiles, locate_model
from bioelx_bench_sapbert.model_loading import load_model, load_tokenizer
from bioelx_bench_sapbert.options import EncodingOptions
from bioelx_bench_sapbert.tokenization import Tokenization, pool

if TYPE_CHECKING:
    import torch

CPU_BATCH: Final = 32
WIDE_BATCH: Final = 128
GPU_BATCH: Final = 256
"""Strings a batch on a CPU in fp32, on a CPU in bf16, where products are quick for their overhead, and on a GPU."""

GPU_BUCKET: Final = 4
"""On a GPU lengths are rounded up to a multiple of this."""

SMALL_BATCH_DIVISOR: Final = 4
"""`small_batches` are smaller by this factor: less is filled up where strings are few."""

MIN_COSINE: Final = 0.99
"""A reduced precision that turns a sampled vector further than this from fp32 is refused."""

Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class Encoder:
    """A loaded encoder. Made by `Encoder.load`.

    Attributes:
        files: Where the model is and what identifies it.
        options: Pooling, length, precision and so on.
        batch_size: Strings a batch; halved when memory runs out.
        bucket: Lengths are rounded up to a multiple of this.
        autocast: Precision of the products where the weights are in fp32, as in training.
        oom_retries: How often memory ran out.
    """

    files: ModelFiles
    options: EncodingOptions
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    batch_size: int
    bucket: int = 1
    autocast: torch.dtype | None = None
    oom_retries: int = field(default=0)
    tokenization: Tokenization = field(init=False)

    def __post_init__(self) -> None:
        self.tokenization = Tokenization(self.tokenizer, self.options)

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
        loaded = load_model(files, device, dtype)
        if options.compile:
            check_compiler(device, "-R compile=true")
            loaded.compile(dynamic=True)
        narrow = CPU_BATCH if dtype == torch.float32 else WIDE_BATCH
        batch = options.batch_size or (narrow if device.type == "cpu" else GPU_BATCH)
        bucket = 1 if device.type == "cpu" else GPU_BUCKET
        return cls(files, options, loaded, tokenizer, device, dtype, batch, bucket)

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return int(self.model.config.hidden_size)

    def encode(
        self,
        texts: Sequence[str],
        task: Task | None = None,
        *,
        small_batches: bool = False,
        prefix: str | None = None,
    ) -> Vectors:
        """Encode strings, each distinct one once.

        Args:
            texts: Any number of strings; the empty string is one like others.
            task: A progress bar to move on by one for each distinct string.
            small_batches: For mentions. The last bits of a vector depend on this, so that it must not depend on
                how many strings come together.
            prefix: Put before each string in place of the options' prefix.

        Returns:
            fp32 vectors, shape (len(texts), dimension).

        Raises:
            DataError: A vector is not finite.
            BenchError: Memory does not suffice for a batch of one string.
        """
        distinct = list(dict.fromkeys(texts))
        tokens = self.tokenization.ids(distinct, prefix)
        vectors = self.encode_tokens(tokens, task, small_batches=small_batches)
        self.check_finite(vectors, distinct)
        if len(distinct) == len(texts):
            return vectors
        place = {text: row for row, text in enumerate(distinct)}
        return vectors[[place[text] for text in texts]]

    def encode_batches(
        self, batches: Iterable[tuple[int, list[str]]], task: Task | None = None
    ) -> Iterator[tuple[int, Vectors, dict[str, Any]]]:
        """Encode numbered batches of distinct strings, the tokens of the next one made in a thread meanwhile.

        Yields:
            Number, vectors and what the encoding had to do: `batch_size` and `oom_retries`.
        """

        def tokenize(item: tuple[int, list[str]]) -> tuple[int, list[str], list[list[int]]]:
            return *item, self.tokenization.ids(item[1])

        source = iter(batches)
        with ThreadPoolExecutor(max_workers=1) as pool_of_one:
            ahead = [pool_of_one.submit(tokenize, item) for item in first_of(source)]
            while ahead:
                number, texts, tokens = ahead.pop().result()
                ahead = [pool_of_one.submit(tokenize, item) for item in first_of(source)]
                retries = self.oom_retries
                vectors = self.encode_tokens(tokens, task)
                self.check_finite(vectors, texts)
                record = {"batch_size": self.batch_size, "oom_retries": self.oom_retries - retries}
                yield number, vectors, record

    def encode_tokens(
        self, tokens: Sequence[Sequence[int]], task: Task | None = None, *, small_batches: bool = False
    ) -> Vectors:
        """Vectors of strings given as token ids; they leave the device together."""
        import torch

        if not tokens:
            return np.empty((0, self.dimension), np.float32)
        parts, order = [], []
        for members in self.groups(tokens):
            start = 0
            while start < len(members):
                size = max(1, self.batch_size // SMALL_BATCH_DIVISOR) if small_batches else self.batch_size
                rows = members[start : start + size]
                pooled = self.run_batch([tokens[row] for row in rows], size)
                if pooled is None:
                    continue  # memory ran out, and batches are smaller now
                parts.append(pooled)
                order.append(rows)
                start += len(rows)
                if task is not None:
                    task.advance(len(rows))
        vectors = np.empty((len(tokens), self.dimension), np.float32)
        vectors[np.concatenate(order)] = torch.cat(parts).cpu().numpy()
        return vectors

    def groups(self, tokens: Sequence[Sequence[int]]) -> Iterator[npt.NDArray[np.int64]]:
        """The rows of each length, longest first, so that memory runs out at once or never."""
        places = [self.tokenization.places(len(ids), self.bucket) for ids in tokens]
        lengths = np.array(places, np.int64)
        for length in np.unique(lengths)[::-1]:
            yield np.flatnonzero(lengths == length)

    def run_batch(self, ids: Sequence[Sequence[int]], size: int) -> torch.Tensor | None:
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
        self.oom_retries += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def forward(self, ids: Sequence[Sequence[int]], size: int) -> torch.Tensor:
        """One pass through the model and pooling, in a batch filled up to `size` rows."""
        import torch

        rows = len(ids)
        padded, places = self.tokenization.pad([*ids, *[ids[0]] * (size - rows)], self.bucket)
        unpadded = self.bucket == 1 and not self.tokenization.all_places
        mask = None if unpadded else self.to_device(places)
        tensor = self.to_device(padded)
        with torch.autocast(self.device.type, self.autocast) if self.autocast else nullcontext():
            output = self.model(input_ids=tensor, attention_mask=mask)
        states = getattr(output, "last_hidden_state", None)
        if states is None or states.dim() != 3:
            raise DataError(
                f"the model {self.files.reference} is not an encoder",
                where=self.files.folder,
                why="it gives no vector for each token",
            )
        pooled = pool(states[:rows], None if mask is None else mask[:rows], self.options.pooling)
        return torch.nn.functional.normalize(pooled, dim=1) if self.options.normalize else pooled

    def to_device(self, array: npt.NDArray[np.int64]) -> torch.Tensor:
        """A copy on the device, which on CUDA nobody waits for."""
        import torch

        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

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
            DataError: The least cosine is below `MIN_COSINE`.
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
            self.bucket,
        )
        reduced, full = self.encode(sample), exact.encode(sample)
        norms = np.linalg.norm(reduced, axis=1) * np.linalg.norm(full, axis=1)
        cosine = float(np.min((reduced * full).sum(1) / np.maximum(norms, np.finfo(np.float32).tiny)))
        report |= {
            "sample": len(sample),
            "least_cosine_to_fp32": round(cosine, 6),
            "greatest_difference": float(np.abs(reduced - full).max()),
        }
        if cosine < MIN_COSINE:
            raise DataError(
                f"in {report['dtype']} the encoder's vectors turn away from fp32's: least cosine {cosine:.4f}",
                where=self.files.reference,
                why=f"{len(sample)} names were compared; below {MIN_COSINE} rankings change visibly",
                hint="-R dtype=fp32",
            )
        return report


def first_of(source: Iterator[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The next item, or nothing, as a list."""
    item = next(source, None)
    return [] if item is None else [item]
