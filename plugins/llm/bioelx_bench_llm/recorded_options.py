"""What a file of recorded answers says of how they came about, and the ranker it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import DataError
from bioelx_bench_llm.options import LlmOptions
from bioelx_bench_llm.prompts import Prompt
from bioelx_bench_llm.recorded_answers import RecordedAnswers

RECORDED_OPTIONS: Final = (
    "nil",
    "repeats",
    "set_size",
    "context_tokens",
    "temperature",
    "max_tokens",
    "params",
)
"""Options on which questions and answers depend, beside model and strategy."""


def recorded_facts(
    options: LlmOptions, strategy: str, prompt: Prompt, revision: str | None
) -> dict[str, Any]:
    """What a file of recorded answers says of how they came about: no address, no path."""
    kind, colon, path = options.model.partition(":")
    model = f"{kind}:{Path(path).name}" if colon and kind == "local" else options.model
    values = {name: getattr(options, name) for name in RECORDED_OPTIONS}
    return {
        "model": model,
        "model_revision": revision,
        "prompt": prompt.name,
        "prompt_sha256": prompt.sha256,
        "options": {**values, "model": model, "strategy": strategy},
    }


def recorded_options(options: LlmOptions, recorded: RecordedAnswers) -> LlmOptions:
    """The options of recorded answers, and over them those that the user gave.

    Raises:
        DataError: The recorded options cannot be.
    """
    given = {name: getattr(options, name) for name in options.model_fields_set}
    if str(given.get("model", "")).startswith("replay:"):
        del given["model"]
    try:
        return type(options)(**{**dict(recorded.facts.get("options") or {}), **given})
    except (ValueError, TypeError) as error:
        raise DataError("the recorded answers say options that cannot be", where=recorded.path) from error
