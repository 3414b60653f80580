"""Benchmarks: parsers, one shared schema, and `load_dataset`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset


def load_dataset(
    name: str,
    subset: str | None = None,
    *,
    revision: str | None = None,
    split: str | None = None,
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load a benchmark as a `datasets.Dataset` with the columns of `bioelx_bench.datasets.schema`.

    Args:
        name: A declared dataset, `NAME` or `NAME@REVISION`.
        subset: A language or corpus part; None gives all of them, one after the other.
        revision: A revision, if `name` holds none; None is the default one.
        split: A split; None is the default one.
        data_root: A local mirror of the upstream files.
        cache: The cache folder; by default `BIOELX_BENCH_CACHE` or the platform's.
        offline: Whether to forbid downloads.
        options: Options of datasets that take a user's own files.

    Returns:
        The rows, memory-mapped from the cache.

    Raises:
        UsageError: The dataset, revision, subset or split is unknown.
        MissingError: Upstream files are not there; the error says how to get them.
        DataError: An upstream file is not what it should be.
    """
    from datasets import concatenate_datasets

    from bioelx_bench.base import Environment
    from bioelx_bench.cache import Cache, default_cache_folder
    from bioelx_bench.datasets.prepare import parse_dataset_name, prepare_subset
    from bioelx_bench.errors import UsageError
    from bioelx_bench.plugins import load_plugins

    plain, inner = parse_dataset_name(name)
    if inner and revision and inner != revision:
        raise UsageError(f"two revisions are asked for: {inner!r} and {revision!r}", where="load_dataset")
    plugins = load_plugins()
    declared = plugins.get("datasets", plain)
    folder = Path(cache).expanduser() if cache else default_cache_folder()
    environment = Environment(cache=Cache(folder), offline=offline, plugins=plugins)
    parts = [
        prepare_subset(
            declared,
            revision=revision or inner,
            subset=part,
            split=split,
            data_root=Path(data_root).expanduser() if data_root else None,
            environment=environment,
            options=options,
        ).dataset
        for part in ([subset] if subset else declared.spec.subsets)
    ]
    return parts[0] if len(parts) == 1 else concatenate_datasets(parts)
