"""Which device to compute on, and in which precision."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from bioelx_bench.errors import MissingError, UsageError

if TYPE_CHECKING:
    import torch

    from bioelx_bench_sapbert.options import Dtype


def choose_device(wish: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:<n>` or `mps` stands for.

    Raises:
        MissingError: The machine does not have it.
    """
    import torch

    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wish)
    missing = None
    if device.type == "cuda" and not torch.cuda.is_available():
        missing = "this machine has no usable CUDA GPU, or torch was built without CUDA"
    elif device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        missing = f"this machine has {torch.cuda.device_count()} GPUs, counted from 0"
    elif device.type == "mps" and not torch.backends.mps.is_available():
        missing = "this machine has no Metal GPU, or torch was built without it"
    if missing:
        raise MissingError(
            f"there is no device {wish}", where=f"-R device={wish}", why=missing, hint="-R device=auto"
        )
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether products of bf16 matrices are faster than those of fp32 there."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device)[0] >= 8)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_dtype(wish: Dtype, device: torch.device) -> torch.dtype:
    """The precision in which an encoder runs.

    Raises:
        UsageError: fp16 on a CPU, where the products of the layers are not all there.
    """
    import torch

    if wish == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    if wish == "fp16" and device.type == "cpu":
        raise UsageError("dtype=fp16 needs a GPU", where="-R dtype=fp16", hint="-R dtype=bf16, fp32 or auto")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[wish]


def dtype_name(dtype: torch.dtype) -> str:
    """`fp32`, `bf16` or `fp16`."""
    import torch

    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or the system says that memory ran out."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def check_compiler(device: torch.device, where: str) -> None:
    """Refuse to compile on a CPU without a C++ compiler, before anything is computed.

    Raises:
        MissingError: There is none.
    """
    candidates = [c for c in (os.environ.get("CXX"), "g++", "clang++") if c]
    if device.type == "cpu" and not any(map(shutil.which, candidates)):
        raise MissingError(
            "there is no C++ compiler",
            where=where,
            why=f"torch.compile needs one on a CPU; looked for {', '.join(candidates)}",
            hint="install g++, or leave compile out: it is slower, and the same otherwise",
        )
