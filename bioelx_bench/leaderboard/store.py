"""The runs of a leaderboard: results copied into a folder that lies under version control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import write_json
from bioelx_bench.results import SCHEMA_VERSION

RESULTS: Final = "results"

REQUIRED: Final = (
    "run_id",
    "dataset",
    "kb",
    "retriever",
    "ranker",
    "protocol",
    "k",
    "cutoffs",
    "scores",
    "usage",
)


def add_result(result: dict[str, Any], source: Path, folder: Path) -> Path:
    """Copy a finished run's result into the leaderboard.

    Args:
        result: The content of `result.json`.
        source: Where it was read, for errors.
        folder: The leaderboard's folder.

    Returns:
        The file that holds it now.

    Raises:
        UsageError: The run covers only a part of its data (`--limit`).
        DataError: The result is not whole.
    """
    check_result(result, source)
    if result["dataset"]["limit"] is not None:
        raise UsageError(
            f"the run {result['run_id']} covers only the first {result['dataset']['limit']} mentions of each subset",
            where=source,
            why="its figures cannot stand beside those of whole benchmarks",
            hint="repeat the run without --limit",
        )
    data = result["dataset"]
    path = folder / RESULTS / f"{data['name']}@{data['revision']}" / f"{result['run_id']}.json"
    write_json(path, result)
    return path


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Every result of a leaderboard, in the order of their paths.

    Raises:
        DataError: A file is no result, or lies under a name that is not its run's.
    """
    results = []
    for path in sorted((folder / RESULTS).glob("*/*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError("the result is not JSON", where=path, why=str(error)) from error
        check_result(result, path)
        expected = f"{result['dataset']['name']}@{result['dataset']['revision']}/{result['run_id']}"
        if path.with_suffix("").as_posix() != (folder / RESULTS / expected).as_posix():
            raise DataError(f"the result belongs at {expected}.json", where=path, hint="git mv it there")
        results.append(result)
    return results


def check_result(result: Any, path: Path) -> None:
    """Make sure that a result has every part that the pages read."""
    if not isinstance(result, dict) or result.get("schema_version") != SCHEMA_VERSION:
        raise DataError(f"not a result of schema version {SCHEMA_VERSION}", where=path, hint="repeat the run")
    for key in REQUIRED:
        if key not in result:
            raise DataError(f"the result lacks {key!r}", where=path, hint="repeat the run with --fresh")
