"""How a model's folder says that strings are to be encoded.

`encoding.json`, which our training writes, holds `pooling`, `lowercase`, `max_length`, `prefix` and `normalize`. A
folder of sentence-transformers says it in `modules.json` and the folders that it names (`1_Pooling`,
`2_Normalize`), its prompts in `config_sentence_transformers.json` and its length in `sentence_bert_config.json`.
The retriever takes from there every option that the user does not give; where the user gives another value, that is
used and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from bioelx_bench.errors import DataError, at
from bioelx_bench_sapbert.model_files import ENCODING_FILE, MODULES_FILE, ModelFiles, read_json, read_modules
from bioelx_bench_sapbert.options import DenseOptions

OptionsModel = TypeVar("OptionsModel", bound=DenseOptions)

KEYS: Final = ("pooling", "lowercase", "max_length", "prefix", "normalize")
POOLING_MODES: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "cls": "cls",
    "mean": "mean",
}
DOCUMENT_PROMPTS: Final = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class ModelEncoding:
    """What a folder asks for.

    Attributes:
        source: The files that say so; empty if none does.
        values: Values of the retriever's options.
    """

    source: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def differences(self, options: DenseOptions) -> str:
        """Options that are not as the model asks for, as text for the result; else empty."""
        return ", ".join(
            f"{key}={getattr(options, key)} (the model's: {value})"
            for key, value in self.values.items()
            if getattr(options, key) != value
        )


def with_model_encoding(options: OptionsModel, encoding: ModelEncoding) -> OptionsModel:
    """The options, with what the model asks for in place of defaults; what the user gave stays.

    Raises:
        DataError: The model asks for what is no valid option.
    """
    if not encoding.values:
        return options
    given = options.model_dump(exclude_unset=True)
    wanted = dict(encoding.values)
    if "prefix" in given:
        wanted.pop("mention_prefix", None)  # who gives a prefix means it for both
    try:
        return type(options).model_validate({**wanted, **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"the model's encoding is not valid: {name}: {first['msg']}",
            where=encoding.source,
            hint="get the model's files again",
        ) from error


def read_model_encoding(files: ModelFiles) -> ModelEncoding:
    """What a model's folder asks for; nothing if it does not say.

    Raises:
        DataError: A file is not JSON, or asks for what is not known here.
    """
    if (files.folder / ENCODING_FILE).is_file():
        return read_own(files.folder / ENCODING_FILE)
    if (files.root / MODULES_FILE).is_file():
        return read_sentence_transformers(files)
    return ModelEncoding()


def read_own(path: Path) -> ModelEncoding:
    """What `encoding.json` asks for."""
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
    return ModelEncoding(path.name, {"normalize": True, **values})  # all are trained by cosine


def read_sentence_transformers(files: ModelFiles) -> ModelEncoding:
    """What a sentence-transformers folder asks for.

    Raises:
        DataError: It has a module that is not known here, such as a dense layer, or pools otherwise.
    """
    path = files.root / MODULES_FILE
    values: dict[str, Any] = {"normalize": False}
    sources = [MODULES_FILE]
    kinds = []
    for kind, folder in read_modules(files.root):
        kinds.append(kind)
        if kind == "Pooling":
            values["pooling"] = read_pooling(files.root / folder / "config.json")
            sources.append(f"{folder}/config.json")
        elif kind == "Normalize":
            values["normalize"] = True
        elif kind != "Transformer":
            raise DataError(
                f"the model has a module that is not known here: {kind}",
                where=path,
                why="leaving it out would give other vectors than the model's",
                hint="take a model of Transformer, Pooling and Normalize, or write a retriever over "
                "sentence-transformers with bioelx_bench_sapbert.EmbeddingRetriever",
            )
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise DataError(
            f"the model's modules come in an order that is not known here: {', '.join(kinds)}",
            where=path,
            why="known: Transformer, Pooling, and perhaps Normalize",
        )
    values |= read_length(files, sources) | read_prompts(files, sources)
    return ModelEncoding(", ".join(sources), values)


def read_pooling(path: Path) -> str:
    """The pooling of a `1_Pooling` folder.

    Raises:
        DataError: It is not one of `cls` and `mean` alone.
    """
    config = read_json(path)
    named = config.get("pooling_mode")
    flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    modes = [named] if isinstance(named, str) else list(named) if isinstance(named, list) else flags
    if len(modes) != 1 or modes[0] not in POOLING_MODES:
        raise DataError(
            f"the model pools in a way that is not known here: {', '.join(map(str, modes)) or 'none'}",
            where=path,
            why="known: the first token (cls) and the mean over tokens",
        )
    return POOLING_MODES[modes[0]]


def read_length(files: ModelFiles, sources: list[str]) -> dict[str, Any]:
    """`max_length` and lowercasing of a `sentence_bert_config.json`; names the file in `sources`."""
    path = files.folder / "sentence_bert_config.json"
    if not path.is_file():
        return {}
    config = read_json(path)
    sources.append(path.name)
    values: dict[str, Any] = {}
    if config.get("max_seq_length") is not None:
        values["max_length"] = config["max_seq_length"]
    values["lowercase"] = "both" if config.get("do_lower_case") else "none"
    return values


def read_prompts(files: ModelFiles, sources: list[str]) -> dict[str, Any]:
    """Prefixes of a `config_sentence_transformers.json`: the default prompt, else those of documents and queries."""
    path = files.root / "config_sentence_transformers.json"
    if not path.is_file():
        return {}
    config = read_json(path)
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    if not isinstance(prompts, dict) or (default is not None and default not in prompts):
        raise DataError("the model's prompts cannot be read", where=at(path, field="prompts"))
    texts = [prompts[key] for key in DOCUMENT_PROMPTS if prompts.get(key)]
    names = prompts[default] if default else texts[0] if texts else ""
    mentions = prompts.get("query") or (prompts[default] if default else "")
    if names or mentions:
        sources.append(path.name)
    return {"prefix": names, "mention_prefix": mentions}
