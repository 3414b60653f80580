from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bioelx_bench.base import DatasetRequest, Environment
from bioelx_bench.cache import Cache
from bioelx_bench.datasets.prepare import prepare_subset
from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress

HERE = Path(__file__).parent

Make = Callable[..., DatasetRequest]
Prepare = Callable[..., PreparedSubset]


@pytest.fixture
def environment(cache: Path) -> Environment:
    return Environment(
        cache=Cache(cache),
        offline=True,
        progress=Progress(enabled=False),
        plugins=load_plugins(disable="all"),
    )


@pytest.fixture
def make_request(tmp_path: Path) -> Make:
    def make(
        subset: str = "en",
        *,
        revision: str = "1",
        split: str = "test",
        data_root: Path | None = None,
        offline: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> DatasetRequest:
        return DatasetRequest(
            revision=revision,
            subset=subset,
            split=split,
            data_root=data_root,
            cache=Cache(tmp_path / "cache"),
            offline=offline,
            options=options or {},
            progress=Progress(enabled=False),
        )

    return make


@pytest.fixture
def prepare(environment: Environment) -> Prepare:
    def make(
        name: str,
        subset: str,
        *,
        revision: str | None = None,
        split: str | None = None,
        data_root: Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> PreparedSubset:
        assert environment.plugins is not None
        return prepare_subset(
            environment.plugins.get("datasets", name),
            revision=revision,
            subset=subset,
            split=split,
            data_root=data_root,
            environment=environment,
            options=options,
        )

    return make


@pytest.fixture
def sample_root(tmp_path: Path) -> Path:
    """A data root that holds the ten documents of MedMentions."""
    folder = tmp_path / "root" / "medmentions" / "pubtator_sample"
    folder.mkdir(parents=True)
    shutil.copy(HERE / "data" / "medmentions_10docs.txt", folder / "corpus_pubtator_10docs.txt")
    return tmp_path / "root"


@pytest.fixture
def write_zip(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    def write(members: Mapping[str, str | bytes]) -> Path:
        path = tmp_path / "corpus.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return path

    return write
