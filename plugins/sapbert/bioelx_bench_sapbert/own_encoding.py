"""How a model wants its strings to be encoded: `encoding.json` in its folder, which training writes.

It holds `pooling`, `lowercase`, `max_length`, `prefix` and `normalize` as they were in training. The retriever
takes from it every option that the user does not give, so that `-R model=FOLDER` needs no other option; where the
user gives another value, that is used and the result says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from bioelx_bench.errors import DataError, at
from bioelx_bench_sapbert.locating import ENCODING_FILE, ModelFiles, read_json
from bioelx_bench_sapbert.options import DenseOptions

OptionsModel = TypeVar("OptionsModel", bound=DenseOptions)

KEYS: Final = ("pooling", "lowercase", "max_length", "prefix", "normalize")


def read_own_encoding(folder: Path) -> dict[str, Any]:
    """Values of the retriever's options that a model folder asks for; empty if it has no `encoding.json`.

    Raises:
        DataError: The file is not JSON, or holds something else.
    """
    path = folder / ENCODING_FILE
    if not path.is_file():
        return {}
    values = read_json(path)
    if unknown := sorted(set(values) - set(KEYS)):
        raise DataError(
            f"the model asks for an encoding that is not known here: {unknown[0]}",
            where=at(path, field=unknown[0]),
            why="leaving it out would give other vectors than it was trained for",
            hint="update bioelx-bench-sapbert",
        )
    lowercase = values.pop("lowercase", None)
    if lowercase is not None:
        if not isinstance(lowercase, bool):
            raise DataError("lowercase is neither true nor false", where=at(path, field="lowercase"))
        values["lowercase"] = "both" if lowercase else "none"
    return {"normalize": True, **values}  # all are trained by cosine


def fill_in(options: OptionsModel, files: ModelFiles) -> OptionsModel:
    """The options, with what the model asks for in place of defaults; what the user gave stays.

    Raises:
        DataError: The model's `encoding.json` is damaged.
    """
    wanted = read_own_encoding(files.folder)
    if not wanted:
        return options
    try:
        return type(options).model_validate({**wanted, **options.model_dump(exclude_unset=True)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"the model's encoding is not valid: {first['msg']}",
            where=at(files.folder / ENCODING_FILE, field=name),
            hint="get the model's files again",
        ) from error


def unlike_training(options: DenseOptions, files: ModelFiles) -> str:
    """Options in which this retrieval differs from the model's training, as text for the result; else empty."""
    wanted = read_own_encoding(files.folder)
    return ", ".join(
        f"{key}={getattr(options, key)} (trained with {value})"
        for key, value in wanted.items()
        if getattr(options, key) != value
    )
