"""Loading an encoder and its tokenizer, refusing whatever would compute something else than it says."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.errors import BenchError, DataError, MissingError
from bioelx_bench_sapbert.model_files import ModelFiles, read_json

if TYPE_CHECKING:
    from pathlib import Path

    import torch

ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
UNUSED_WEIGHTS: Final = ("pooler.", "position_ids", "lm_head", "cls.predictions", "classifier", "mlm")
"""Parts of checkpoints that no pooling used here reads, so that they may be missing."""


def load_model(files: ModelFiles, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """Load an encoder for inference; a PEFT adapter is merged into its base in fp32 first.

    Raises:
        DataError: It is not an encoder, or its weights do not fill it.
    """
    base = files if files.base is None else files.base
    check_is_encoder(base)
    model = load_whole(base)
    if files.base is not None:
        model = merge_adapter(model, files.folder)
    model.requires_grad_(False)
    return model.eval().to(device=device, dtype=dtype)


def check_is_encoder(files: ModelFiles) -> None:
    """Refuse text generators and other models that give no vector for each token.

    Raises:
        DataError: The configuration names one.
    """
    config = read_json(files.folder / "config.json")
    architectures = config.get("architectures") or []
    wrong = [
        name for name in architectures if str(name).endswith(("ForCausalLM", "ForConditionalGeneration"))
    ]
    if config.get("is_encoder_decoder") or config.get("is_decoder") or wrong:
        raise DataError(
            f"the model {files.reference} is not an encoder",
            where=files.folder / "config.json",
            why=f"it is a {', '.join(map(str, wrong)) or 'decoder'}; a retriever needs a vector for each token that "
            "sees the whole name",
            hint="-R model=cambridgeltl/SapBERT-UMLS-2020AB-all-lang-from-XLMR, or "
            "-R model=offline:sapbert-x-mini",
        )


def load_whole(files: ModelFiles) -> torch.nn.Module:
    """Load a whole model in fp32 on the CPU.

    Raises:
        DataError: It cannot be loaded, or weights are missing, which would be left random.
    """
    import torch
    from transformers import AutoModel

    try:
        with quiet_transformers():
            model, report = AutoModel.from_pretrained(
                files.folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"the model {files.reference} cannot be loaded",
            where=files.folder,
            why=str(error).strip().splitlines()[0],
            hint="check that the folder is complete, and that the installed transformers knows this model",
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise DataError(
            f"the weights of {files.reference} are damaged",
            where=files.folder,
            why=str(error),
            hint="get them again",
        ) from error
    missing = [key for key in report["missing_keys"] if not any(part in key for part in UNUSED_WEIGHTS)]
    missing += [str(key) for key in report.get("mismatched_keys", ())]
    if missing:
        raise DataError(
            f"the weights of {files.reference} do not fill the model: {len(missing)} are missing",
            where=files.folder,
            why=f"{missing[0]} and others would be left random",
            hint="get the model's files again, or name the right folder",
        )
    loaded: torch.nn.Module = model
    return loaded


def merge_adapter(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """Merge a PEFT adapter into its base.

    Raises:
        DataError: The adapter does not fit the base.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is missing is checked below
            adapted: Any = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
        wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
            given = set(file.keys())
        merged: torch.nn.Module = adapted.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise DataError(
            "the adapter does not fit the model that it names",
            where=folder,
            why=str(error).strip().splitlines()[0],
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise DataError(
            "the adapter's weights are damaged",
            where=folder / ADAPTER_WEIGHTS,
            why=str(error),
            hint="get the adapter's files again",
        ) from error
    missing = [key for key in wanted if key not in given and not any(part in key for part in UNUSED_WEIGHTS)]
    if missing:
        raise DataError(
            f"the adapter's weights do not fill it: {len(missing)} are missing",
            where=folder / ADAPTER_WEIGHTS,
            why=f"{missing[0]} and others would be left as they were before training",
            hint="get the adapter's files again",
        )
    return merged


def load_tokenizer(files: ModelFiles) -> Any:
    """Load a model's fast tokenizer (an adapter's own one first).

    Raises:
        MissingError: There is none that can be loaded.
    """
    from transformers import AutoTokenizer

    folder = files.folder
    if files.base is not None and not (folder / "tokenizer.json").is_file():
        folder = files.base.folder
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except BenchError:
        raise
    except Exception as error:  # transformers and tokenizers raise plain Exception for damaged files
        raise MissingError(
            f"the tokenizer of {files.reference} cannot be loaded",
            where=folder,
            why=str(error).strip().splitlines()[0],
            hint="get the model's tokenizer files again",
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' loading bars and reports off the terminal; what matters is checked here."""
    from transformers.utils import logging

    hf_logging: Any = logging  # its functions have no annotations
    bars, level = hf_logging.is_progress_bar_enabled(), hf_logging.get_verbosity()
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
