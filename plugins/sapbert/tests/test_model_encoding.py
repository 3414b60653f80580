"""A model's `encoding.json` fills in the options that nobody gave, and what differs from it is said."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from bioelx_bench_sapbert.options import SapBertOptions, SapBertXOptions
from bioelx_bench_sapbert.retriever import DenseRetriever
from dense_helpers import make_environment, tiny_encoder

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError

TRAINED = {"pooling": "mean", "lowercase": True, "max_length": 30, "prefix": "query: "}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return make_environment(tmp_path / "cache")


def model(folder: Path, encoding: Any) -> str:
    shutil.copytree(tiny_encoder(), folder)
    (folder / "encoding.json").write_text(json.dumps(encoding))
    return str(folder)


@pytest.mark.parametrize("kind", [SapBertOptions, SapBertXOptions])
def test_a_trained_folder_needs_no_option(tmp_path: Path, environment: Environment, kind: Any) -> None:
    retriever = DenseRetriever(kind(model=model(tmp_path / "m", TRAINED)), environment)
    used = retriever.options
    assert (used.pooling, used.lowercase, used.max_length, used.prefix) == ("mean", "both", 30, "query: ")
    assert used.normalize
    assert "options_unlike_model" not in retriever.notes().facts
    assert retriever.index_identity()["pooling"] == "mean"


def test_what_the_user_gives_wins_and_is_said(tmp_path: Path, environment: Environment) -> None:
    folder = model(tmp_path / "m", {**TRAINED, "lowercase": False})
    given = SapBertXOptions(model=folder, pooling="cls", prefix="", lowercase="none")
    retriever = DenseRetriever(given, environment)
    assert (retriever.options.pooling, retriever.options.prefix) == ("cls", "")
    said = retriever.notes().facts["options_unlike_model"]
    assert said == "pooling=cls (the model's: mean), prefix= (the model's: query: )"


def test_a_model_without_the_file_keeps_the_defaults(environment: Environment) -> None:
    given = SapBertXOptions(model=str(tiny_encoder()))
    assert DenseRetriever(given, environment).options == given


@pytest.mark.parametrize(
    "encoding",
    [[], {"pooling": "max"}, {"lowercase": "yes"}, {"max_length": 10**9}, {"pooling": "cls", "whiten": True}],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, environment: Environment, encoding: Any) -> None:
    retriever = DenseRetriever(SapBertXOptions(model=model(tmp_path / "m", encoding)), environment)
    with pytest.raises(DataError, match=r"encoding|JSON object|lowercase"):
        _ = retriever.options


def test_the_run_records_and_is_identified_by_what_the_model_asks_for(
    tmp_path: Path, environment: Environment
) -> None:
    from bioelx_bench.config import Config, defaults
    from bioelx_bench.plugins import load_plugins
    from bioelx_bench.runs.components import resolve_retriever

    folder = model(tmp_path / "m", TRAINED)
    identities = []
    for given in ({}, {"pooling": "mean"}):
        component = resolve_retriever(
            load_plugins(), Config(defaults(), {}), "sapbert-x", {"model": str(folder), **given}
        )
        made = component.make(environment)
        with_effective_options = component.with_effective_options(made)
        assert with_effective_options.described()["options"]["lowercase"] == "both"
        assert "lowercase" not in with_effective_options.described()["options_given"]
        identities.append(with_effective_options.identity(made))
    assert identities[0] == identities[1]
    assert identities[0] != component.identity(made)


def sentence_transformer(folder: Path, *, old: bool = False, **changes: Any) -> str:
    """A folder as sentence-transformers writes it; the old layout has the transformer in a folder of its own."""
    inner = folder / "0_Transformer" if old else folder
    shutil.copytree(tiny_encoder(), inner)
    modules = [
        ("0_Transformer" if old else "", "Transformer"),
        ("1_Pooling", "Pooling"),
        ("2_Normalize", "Normalize"),
    ]
    written: dict[str, Any] = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
        "1_Pooling/config.json": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "passage": "passage: "}},
    }
    (inner / "sentence_bert_config.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    for name, content in (written | changes).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return str(folder)


@pytest.mark.parametrize("old", [False, True])
def test_a_folder_of_sentence_transformers_is_obeyed(
    tmp_path: Path, environment: Environment, old: bool
) -> None:
    folder = sentence_transformer(tmp_path / "m", old=old)
    retriever = DenseRetriever(SapBertOptions(model=folder), environment)
    used = retriever.options
    assert (used.pooling, used.normalize, used.max_length, used.lowercase) == ("mean", True, 64, "none")
    assert (used.prefix, used.mention_prefix) == ("passage: ", "query: ")
    facts = retriever.notes().facts
    assert facts["encoding_from"].startswith("modules.json, 1_Pooling/config.json, sentence_bert_config.json")
    assert facts["encoding"]["pooling"] == "mean"
    assert retriever.embed(["asthma"]).shape == (1, 32)
    given = SapBertOptions(model=folder, pooling="cls", prefix="")
    assert DenseRetriever(given, environment).options.mention_prefix is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools in a way"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "pools in",
        ),
        (
            "modules.json",
            [{"path": "", "type": "Transformer"}, {"path": "2_Dense", "type": "a.Dense"}],
            "Dense",
        ),
        ("modules.json", [{"path": "", "type": "Transformer"}], "order"),
        ("modules.json", [{"path": "../..", "type": "Transformer"}], "outside"),
        ("modules.json", {"a": 1}, "cannot be read"),
    ],
)
def test_what_is_not_known_of_sentence_transformers_is_an_error(
    tmp_path: Path, environment: Environment, name: str, content: Any, said: str
) -> None:
    folder = sentence_transformer(tmp_path / "m", **{name: content})
    with pytest.raises(DataError, match=said):
        _ = DenseRetriever(SapBertOptions(model=folder), environment).options


def test_where_names_are_counted_auto_is_fp32(tmp_path: Path, environment: Environment) -> None:
    options = SapBertOptions(model=str(tiny_encoder()))
    counted = DenseRetriever(options, dataclasses.replace(environment, unit="name")).encoding
    assert (counted.options.dtype, counted.storage) == ("fp32", "fp32")
    assert DenseRetriever(options, environment).encoding.storage == "fp16"
    given = options.model_copy(update={"storage": "fp16"})
    assert DenseRetriever(given, dataclasses.replace(environment, unit="name")).encoding.storage == "fp16"
