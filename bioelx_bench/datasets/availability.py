"""Which revisions and splits of a dataset are available on this machine, and how to get the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bioelx_bench.base import Environment
from bioelx_bench.datasets.prepare import make_request
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.options import load_object
from bioelx_bench.plugins import RegisteredSpec


@dataclass(frozen=True, slots=True)
class Availability:
    """One revision and split of a dataset.

    Attributes:
        dataset: The dataset's name.
        revision: One of its revisions.
        split: One of the revision's splits.
        available: Whether its files are there and have the known hashes, without a download.
        reason: Why it is not available; empty if it is.
        hint: How to get it; empty if it is available.
    """

    dataset: str
    revision: str
    split: str
    available: bool
    reason: str = ""
    hint: str = ""

    @property
    def full_name(self) -> str:
        """`NAME@REVISION`."""
        return f"{self.dataset}@{self.revision}"


def needs_options(declared: RegisteredSpec) -> bool:
    """Whether the dataset cannot be read without options, since its data is the user's own."""
    model = load_object(declared.spec.options, f"the options of the dataset {declared.spec.name!r}")
    return any(field.is_required() for field in model.model_fields.values())


def availability(
    declared: RegisteredSpec,
    *,
    data_root: Path | None,
    environment: Environment,
    options: Mapping[str, Any] | None = None,
) -> list[Availability]:
    """Every revision and split of a dataset, and whether it is available; nothing is downloaded.

    A revision is judged by the dataset's first subset. A dataset of the user's own files that was given no options
    has none.
    """
    if needs_options(declared) and not options:
        return []
    quiet = replace(environment, offline=True)
    spec = declared.spec
    factory = load_object(spec.factory, f"the dataset {spec.name!r}")
    found = []
    for revision in spec.revisions:
        for split in spec.splits_of(revision):
            request = make_request(
                declared,
                revision=revision,
                subset=spec.subsets[0],
                split=split,
                data_root=data_root,
                environment=quiet,
                options=options,
            )
            try:
                factory(request)
            except (MissingError, DataError) as error:
                part = Availability(spec.name, revision, split, False, error.what, error.hint or "")
            else:
                part = Availability(spec.name, revision, split, True)
            found.append(part)
    return found


def first_available(
    declared: RegisteredSpec, *, data_root: Path | None, environment: Environment
) -> tuple[Availability | None, MissingError | None]:
    """What of a benchmark `run --dataset all` takes, and what is missing.

    Returns:
        The first revision and split that is available, or None; and, if that is not the default one, the error that
        says how to get the default one.
    """
    parts = availability(declared, data_root=data_root, environment=environment)
    first = parts[0]
    if first.available:
        return first, None
    missing = MissingError(first.reason, where=f"{first.full_name} --split {first.split}", hint=first.hint)
    return next((part for part in parts if part.available), None), missing
