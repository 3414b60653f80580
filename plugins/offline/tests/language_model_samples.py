"""Mentions, candidates and the cache for tests of the embedded language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioelx_bench.base import Environment
from bioelx_bench.cache import Cache, default_cache_folder
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention
from bioelx_bench.testing import make_mention

NAMES = ("myocardial infarction", "cardiac arrest", "headache")


def items(count: int) -> list[tuple[Mention, list[Candidate]]]:
    """Mentions with three candidates each."""
    return [
        (
            make_mention(
                "Herzinfarkt", "de", number=i, context=f"Patient {i} litt an einem {{}} und bekam Aspirin."
            ),
            [Candidate(f"C{j:07d}", 1.0 - j / 20, name) for j, name in enumerate(NAMES)],
        )
        for i in range(count)
    ]


def model_environment(answers: Path) -> Environment:
    """An environment whose models are unpacked once for all tests, and whose answers are its own."""
    models = default_cache_folder() / "models"
    models.mkdir(parents=True, exist_ok=True)
    answers.mkdir(parents=True, exist_ok=True)
    if not (answers / "models").exists():
        (answers / "models").symlink_to(models)
    return Environment(cache=Cache(answers), offline=True, progress=Progress(enabled=False))


def require_model() -> Path:
    """The embedded model's file; without it the test is skipped."""
    from bioelx_bench_offline.language_model_files import smollm2_file

    from bioelx_bench.errors import MissingError

    try:
        return smollm2_file()
    except MissingError as error:
        pytest.skip(f"skipped: {error.what} ({error.hint})")
