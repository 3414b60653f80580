"""Reading results back: schema version, and results of runs by folder or id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from bioelx_bench.errors import DataError, MissingError

SCHEMA_VERSION: Final = 1


def read_result(path: Path) -> dict[str, Any] | None:
    """A finished run's result, or None where there is none yet.

    Raises:
        DataError: The file is no result, or of a schema this version does not read.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError("the result is not JSON", where=path, why=str(error), hint="run it again") from error
    found = result.get("schema_version")
    if found != SCHEMA_VERSION:
        raise DataError(
            f"the result has schema version {found}, this version reads {SCHEMA_VERSION}",
            where=path,
            hint="repeat the run with --fresh",
        )
    return result


def find_result(run: str, output: Path) -> tuple[Path, dict[str, Any]]:
    """The result of a run given by folder, `result.json` or id (or the start of an id).

    Args:
        run: What the user typed.
        output: Folder of runs, where ids are looked up.

    Raises:
        MissingError: There is no such finished run, or several ids start so.
    """
    path = Path(run)
    choices = [path, path / "result.json"]
    if not any(choice.is_file() for choice in choices) and output.is_dir():
        choices = sorted(output.glob(f"{glob_escape(run)}*/result.json"))
    found = [choice for choice in choices if choice.is_file()]
    if len(found) != 1:
        what = f"{len(found)} finished runs match {run!r}" if found else f"there is no finished run {run!r}"
        raise MissingError(what, where=output, hint="give the run's folder or more of its id")
    result = read_result(found[0])
    assert result is not None  # noqa: S101 - the file was just seen
    return found[0], result


def glob_escape(text: str) -> str:
    """The text as a pattern that matches only itself."""
    import glob

    return glob.escape(text)
