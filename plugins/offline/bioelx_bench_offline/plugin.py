"""What this plugin declares: the model source `offline:`, whose models come inside PyPI wheels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bioelx_bench import hookimpl
from bioelx_bench.declarations import ModelSourceSpec
from bioelx_bench.errors import MissingError
from bioelx_bench.options import did_you_mean, load_object
from bioelx_bench.protocols import Environment

MODELS: Final[Mapping[str, str]] = {
    "e5-small": "bioelx_bench_offline.encoder:model_folder",
}
"""Import path of `(environment) -> Path` for each model, so that naming one loads only its own module."""


@hookimpl
def model_sources() -> list[ModelSourceSpec]:
    """The embedded models."""
    return [
        ModelSourceSpec(
            name="offline",
            summary="Models embedded in PyPI wheels, for machines without a model hub",
            factory="bioelx_bench_offline.plugin:locate",
            models=tuple(MODELS),
        )
    ]


def locate(model: str, environment: Environment) -> Path:
    """The folder or file of an embedded model, unpacked into the cache on first use.

    Raises:
        MissingError: There is no such embedded model.
    """
    path = MODELS.get(model)
    if path is None:
        raise MissingError(
            f"there is no embedded model {model!r}{did_you_mean(model, list(MODELS))}",
            where=f"offline:{model}",
            mend="use one of: " + ", ".join(f"offline:{name}" for name in MODELS),
        )
    return Path(load_object(path, f"the embedded model {model!r}")(environment))
