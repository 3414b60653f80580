"""What this plugin declares: the model source `offline:`, whose models come inside PyPI wheels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioelx_bench import hookimpl
from bioelx_bench.declarations import ModelSourceSpec, PresetSpec, RankerFamilySpec, RankerSpec
from bioelx_bench.errors import MissingError

if TYPE_CHECKING:
    from bioelx_bench.base import Environment

MODELS: Final[Mapping[str, str]] = {
    "e5-small": "bioelx_bench_offline.encoder:model_folder",
    "sapbert-x-mini": "bioelx_bench_offline.adapters:sapbert_x_mini",
    "smollm2": "bioelx_bench_offline.language_model_files:smollm2_model",
}
"""Import path of `(environment) -> Path` for each model, so that naming one loads only its own module."""


@hookimpl
def model_sources() -> list[ModelSourceSpec]:
    """The embedded models."""
    return [
        ModelSourceSpec(
            name="offline",
            summary="Models inside packages, for machines without a model hub",
            factory="bioelx_bench_offline.plugin:locate",
            models=tuple(MODELS),
        )
    ]


@hookimpl
def rankers() -> list[RankerSpec | RankerFamilySpec]:
    """Language models in this process."""
    factory = "bioelx_bench_offline.language_model:make_ranker"
    return [
        RankerSpec(
            name="smollm2",
            summary="SmolLM2-135M-Instruct, embedded: runs anywhere without a network, ranks poorly",
            factory=factory,
            options="bioelx_bench_offline.language_model:SmolLm2Options",
        ),
        RankerFamilySpec(
            name="local",
            summary="A language model in a file or folder: local:FILE.gguf or local:FOLDER",
            factory=factory,
            options="bioelx_bench_offline.language_model:LocalOptions",
            matcher="bioelx_bench_offline.names:match_local",
        ),
    ]


@hookimpl
def presets() -> list[PresetSpec]:
    """The reference combination with the embedded models."""
    return [
        PresetSpec(
            name="bioelx-mini",
            summary="The reference combination in small: embedded encoder and language model, no network",
            retriever="sapbert-x",
            retriever_options={"model": "offline:sapbert-x-mini"},
            ranker="smollm2",
            ranker_options={"strategy": "pointwise"},
        )
    ]


def locate(model: str, environment: Environment) -> Path:
    """The folder or file of an embedded model, unpacked into the cache on first use.

    Raises:
        MissingError: There is no such embedded model.
    """
    from bioelx_bench.options import did_you_mean, load_object  # their import takes longer than `--help`

    path = MODELS.get(model)
    if path is None:
        raise MissingError(
            f"there is no embedded model {model!r}{did_you_mean(model, list(MODELS))}",
            where=f"offline:{model}",
            hint="use one of: " + ", ".join(f"offline:{name}" for name in MODELS),
        )
    return Path(load_object(path, f"the embedded model {model!r}")(environment))
