"""A model's `encoding.json` fills in the options that nobody gave, and what differs from it is said."""

from __future__ import annotations

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
    assert "options_unlike_training" not in retriever.notes()
    assert retriever.index_identity()["pooling"] == "mean"


def test_what_the_user_gives_wins_and_is_said(tmp_path: Path, environment: Environment) -> None:
    folder = model(tmp_path / "m", {**TRAINED, "lowercase": False})
    given = SapBertXOptions(model=folder, pooling="cls", prefix="", lowercase="none")
    retriever = DenseRetriever(given, environment)
    assert (retriever.options.pooling, retriever.options.prefix) == ("cls", "")
    said = retriever.notes()["options_unlike_training"]
    assert said == "pooling=cls (trained with mean), prefix= (trained with query: )"


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
    assert identities[0] != component.identity()
