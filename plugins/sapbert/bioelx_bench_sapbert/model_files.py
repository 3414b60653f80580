"""Finding a model's files and what identifies them, without loading them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.files import hash_file
from bioelx_bench.models import resolve_model
from bioelx_bench_sapbert.seen_aliases import FILE_NAME as SEEN_FILE

PATTERNS: Final = (
    "config.json",
    "adapter_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model.bin.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
)
"""The files that decide what a model computes; others in its folder (README, optimiser state) do not."""

ENCODING_FILE: Final = "encoding.json"
MODULES_FILE: Final = "modules.json"
"""How the model wants strings to be encoded (`model_encoding`). Their values become options, which identify a run."""

ENCODING_FILES: Final = (
    ENCODING_FILE,
    MODULES_FILE,
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "*_Pooling/config.json",
)
FETCHED: Final = (
    *PATTERNS,
    *(f"0_Transformer/{pattern}" for pattern in PATTERNS),
    *ENCODING_FILES,
    "0_Transformer/sentence_bert_config.json",
    SEEN_FILE,
)
"""The files of a model on the Hub that are fetched."""

TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "spm.model",
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that is on this machine.

    Attributes:
        reference: What the user wrote.
        root: Its folder.
        folder: Where configuration, weights and tokenizer are: `root`, or what its `modules.json` names.
        revision: Commit on the Hub, or hash of the folder's files.
        base: The model that it adapts, if it is a PEFT adapter.
    """

    reference: str
    root: Path
    folder: Path
    revision: str
    base: ModelFiles | None = None

    @property
    def name(self) -> str:
        """The reference for results, of a folder its last part: where it lies on this machine is nobody's matter."""
        return Path(self.reference).name if Path(self.reference).exists() else self.reference


def locate_model(reference: str, environment: Environment, revision: str | None = None) -> ModelFiles:
    """Find a model, downloading it from the Hub where that is allowed.

    Args:
        reference: A folder, `<source>:<model>` or an id on the Hub.
        environment: Gives model sources, and says whether connections are allowed.
        revision: Commit, tag or branch, for an id on the Hub.

    Raises:
        MissingError: It is not here and cannot be fetched; the error says how to get it.
        DataError: Its folder is not a model's.
    """
    folder = resolve_model(reference, environment)
    if folder is None:
        folder, commit = hub_folder(reference, revision, environment.offline)
    else:
        commit = None
    root, folder = folder, transformer_folder(folder)
    check_folder(folder, reference)
    base = adapter_base(folder, environment)
    identity = commit or hash_folder(folder)
    if base is not None:
        identity += f"+{base.revision}"
    return ModelFiles(reference, root, folder, identity, base)


def transformer_folder(folder: Path) -> Path:
    """Where a model's transformer is: sentence-transformers once put it into `0_Transformer`."""
    if not (folder / MODULES_FILE).is_file():
        return folder
    return next((folder / path for kind, path in read_modules(folder) if kind == "Transformer"), folder)


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Kind and folder of each module of a sentence-transformers folder, in order.

    Raises:
        DataError: `modules.json` is not a list of modules in that folder.
    """
    path = folder / MODULES_FILE
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        found = [(str(module["type"]).rsplit(".", 1)[-1], str(module["path"])) for module in modules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError("the model's modules cannot be read", where=path, why=str(error)) from error
    for _, inner in found:
        if not (folder / inner).resolve().is_relative_to(folder.resolve()):
            raise DataError(f"a module is outside of the model's folder: {inner}", where=path)
    return found


def hub_folder(reference: str, revision: str | None, offline: bool) -> tuple[Path, str]:
    """The folder and commit of a model on the Hub, from the Hub's cache or downloaded."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                reference, revision=revision, local_files_only=offline, allow_patterns=list(FETCHED)
            )
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        pinned = f" --revision {revision}" if revision else ""
        raise MissingError(
            f"the model {reference} is not on this machine"
            + ("" if offline else " and could not be downloaded"),
            why="--offline forbids connections" if offline else str(error).strip().splitlines()[0],
            hint=f"hf download {reference}{pinned} on a machine with a connection (older: huggingface-cli "
            "download), or name its folder with -R model=FOLDER, or take the embedded encoder with "
            "-R model=offline:sapbert-x-mini",
        ) from error
    return folder, folder.name


def check_folder(folder: Path, reference: str) -> None:
    """Refuse a folder that cannot be an encoder before anything heavy is loaded.

    Raises:
        MissingError: The folder, its configuration, weights or tokenizer are not there.
        DataError: Its configuration cannot be read.
    """
    if not folder.is_dir():
        raise MissingError(f"{reference} is a file, not a model's folder", where=folder)
    adapter = (folder / "adapter_config.json").is_file()
    if not adapter and not (folder / "config.json").is_file():
        raise MissingError(
            f"there is no model in {reference}",
            where=folder / "config.json",
            why="a Hugging Face model's folder holds config.json, weights and a tokenizer",
            hint="name the folder that save_pretrained wrote, or a model id such as "
            "cambridgeltl/SapBERT-UMLS-2020AB-all-lang-from-XLMR",
        )
    if not adapter:
        read_json(folder / "config.json")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise MissingError(f"the model {reference} has no weights", where=folder / "model.safetensors")
    if not adapter and not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise MissingError(
            f"the model {reference} has no tokenizer",
            where=folder / "tokenizer.json",
            why="names must be cut into the tokens that the encoder was trained on",
            hint=f"AutoTokenizer.from_pretrained(BASE).save_pretrained({str(folder)!r}) with the model that it "
            "was trained from as BASE",
        )


def adapter_base(folder: Path, environment: Environment) -> ModelFiles | None:
    """The model that a PEFT adapter adapts, or None if the folder is a whole model."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise DataError(
            "the adapter does not say which model it adapts", where=at(path, field="base_model_name_or_path")
        )
    revision = config.get("revision")
    return locate_model(base, environment, revision if isinstance(revision, str) else None)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        DataError: It is not one.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("the file is not JSON", where=path, why=str(error)) from error
    if not isinstance(value, dict):
        raise DataError("the file holds no JSON object", where=path)
    return value


def hash_folder(folder: Path) -> str:
    """What identifies a folder's model: a hash of the names and contents of the files that matter."""
    files = sorted({path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()})
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{hash_file(path)}\n".encode())
    return f"sha256-{digest.hexdigest()[:32]}"
