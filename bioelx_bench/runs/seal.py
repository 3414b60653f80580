"""The seal of a finished run: size and sha256 of each of its files, so that a change afterwards is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from bioelx_bench.errors import DataError
from bioelx_bench.files import hash_file, write_json
from bioelx_bench.results import Record, Sha256
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS

SEAL: Final = "seal.json"
MANIFEST: Final = "manifest.json"
PREDICTIONS: Final = "predictions.parquet"
RESULT: Final = "result.json"
SEALED: Final = (MANIFEST, CANDIDATES, RANKINGS, PREDICTIONS, RESULT)
"""The files of a run that its figures come from or stand in."""


class SealedFile(Record):
    """What a file was when the run finished."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Seal(Record):
    """The content of `seal.json`."""

    files: dict[str, SealedFile]


def seal(folder: Path) -> None:
    """Write the seal of a run; called when everything else is written."""
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in SEALED
        if (folder / name).is_file()
    }
    write_json(folder / SEAL, {"files": files})


def verify(folder: Path) -> None:
    """Make sure that a finished run is as it was when it was sealed.

    Raises:
        DataError: A file was changed, or there is no seal that can be read.
    """
    try:
        content = Seal.model_validate_json((folder / SEAL).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            "the run has no seal that can be read",
            where=folder / SEAL,
            why="whether its files are those of the run cannot be told",
            hint="repeat the run with --fresh",
        ) from error
    for name in SEALED:
        known = content.files.get(name)
        path = folder / name
        if known is None and not path.is_file():
            continue
        if known is None or not is_same(path, known):
            raise DataError(
                f"{name} was changed after the run had finished",
                where=path,
                why="its figures would not be those of the run",
                hint="put the file back, or repeat the run with --fresh",
            )


def is_same(path: Path, known: SealedFile) -> bool:
    """Whether a file is what it was."""
    try:
        return path.stat().st_size == known.size and hash_file(path) == known.sha256
    except OSError:
        return False
