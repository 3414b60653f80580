"""Revisions as a user names them: an upstream revision, or a fixed sample of one.

`xl-bel@v1.0-sample-500-seed-1` is 500 mentions of the revision `v1.0`, drawn with the seed 1. The draw is stratified:
every subset of the dataset gives the same number (the size divided by the number of subsets, rounded up; a smaller
subset gives all it has), so `--subset de` gives the German part of the same sample. The mentions with the smallest
hash of seed and id are taken, in upstream order, so a sample of 500 is part of the sample of 1,000 with the same
seed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.errors import UsageError
from bioelx_bench.options import did_you_mean

SAMPLED: Final = re.compile(r"(?:(.+)-)?sample-([1-9][0-9]{0,8})(?:-seed-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Sample:
    """A draw of mentions.

    Attributes:
        size: Mentions over all subsets of the dataset.
        seed: What the draw depends on beside the mentions' ids.
    """

    size: int
    seed: int

    def quota(self, spec: DatasetSpec) -> int:
        """Mentions that each subset gives."""
        return -(-self.size // len(spec.subsets))

    def draw(self, ids: Sequence[str], quota: int) -> list[int]:
        """Places of the mentions that are taken, ascending."""
        keys = [
            (hashlib.blake2b(f"{self.seed}/{identifier}".encode(), digest_size=8).digest(), number)
            for number, identifier in enumerate(ids)
        ]
        return sorted(number for _, number in sorted(keys)[:quota])


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of a dataset.

    Attributes:
        upstream: One of the declaration's revisions.
        sample: Which of its mentions are taken; None takes all.
    """

    upstream: str
    sample: Sample | None = None

    @property
    def name(self) -> str:
        """The full name, which results record."""
        if self.sample is None:
            return self.upstream
        return f"{self.upstream}-sample-{self.sample.size}-seed-{self.sample.seed}"


def find_revision(spec: DatasetSpec, name: str | None) -> Revision:
    """The revision of a name.

    Args:
        spec: The dataset.
        name: One of its revisions, or `[REVISION-]sample-SIZE[-seed-SEED]`, in which the revision defaults to the
            first one and the seed to 0. None is the first revision.

    Raises:
        UsageError: There is no such revision.
    """
    if name is None or name in spec.revisions:
        return Revision(name or spec.revisions[0])
    match = SAMPLED.fullmatch(name)
    upstream = (match[1] or spec.revisions[0]) if match else name
    if match is None or upstream not in spec.revisions:
        raise UsageError(
            f"the dataset {spec.name!r} has no revision {upstream!r}{did_you_mean(upstream, spec.revisions)}",
            where=f"--dataset {spec.name}@{name}",
            hint=f"bioelx-bench datasets list; a sample is written {spec.name}@{spec.revisions[0]}-sample-500-seed-1",
        )
    return Revision(upstream, Sample(int(match[2]), int(match[3] or 0)))
