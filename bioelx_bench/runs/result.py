"""Finding and reading the results of finished runs."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

import orjson
from pydantic import ValidationError

from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.results import SCHEMA_VERSION, Result
from bioelx_bench.runs.seal import RESULT


def read_result(path: Path) -> Result:
    """Read `result.json`.

    Raises:
        MissingError: There is none.
        DataError: The file is no result, or of a schema this version does not read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingError(
            "there is no finished run here",
            where=path,
            why=error.strerror,
            hint="bioelx-bench runs lists them",
        ) from error
    return parse_result(content, path)


def parse_result(content: bytes, path: Path) -> Result:
    """The result that a file holds.

    Raises:
        DataError: It holds none; the error names the field.
    """
    try:
        found = orjson.loads(content)
    except ValueError as error:
        raise DataError(
            "the result is not JSON", where=path, why=str(error), hint="repeat the run with --fresh"
        ) from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"the result has schema version {version!r}, this version reads {SCHEMA_VERSION}",
            where=path,
            hint="repeat the run with --fresh",
        )
    try:
        return Result.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DataError(
            f"the result is not as its schema says: {first['msg']}",
            where=at(path, field=".".join(map(str, first["loc"]))[:200]),
            why=f"{error.error_count()} fields are wrong" if error.error_count() > 1 else None,
            hint="repeat the run with --fresh",
        ) from error


def finished_runs(output: Path) -> Iterator[Path]:
    """The folders of finished runs in a folder of runs, newest first."""
    found = [path.parent for path in output.glob(f"*/{RESULT}") if not path.parent.name.startswith(".")]
    yield from sorted(found, key=lambda folder: (-(folder / RESULT).stat().st_mtime, folder.name))


def find_run(run: str | Path, output: Path) -> Path:
    """The folder of a finished run given by folder, `result.json`, or id (or the start of an id).

    Args:
        run: What the user typed.
        output: Folder of runs, where ids are looked up.

    Raises:
        MissingError: There is no such finished run, or several ids start so.
    """
    path = Path(run)
    if (path / RESULT).is_file():
        return path
    if path.name == RESULT and path.is_file():
        return path.parent
    found = []
    if output.is_dir() and str(run) == path.name:
        found = sorted(p.parent for p in output.glob(f"{glob.escape(path.name)}*/{RESULT}"))
    if len(found) != 1:
        what = (
            f"{len(found)} finished runs match {str(run)!r}"
            if found
            else f"there is no finished run {str(run)!r}"
        )
        raise MissingError(
            what, where=output, hint="bioelx-bench runs lists them; give a folder or more of the id"
        )
    return found[0]
