"""Checking a prepared subset against its sources, its schema and the published number of mentions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.datasets.samples import find_revision
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.records import LabelledMention


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of a subset.

    Attributes:
        check: What was checked.
        passed: Whether it holds; None where nothing is known to compare with.
        detail: What was found.
    """

    check: str
    passed: bool | None
    detail: str


def expected_mentions(prepared: PreparedSubset, spec: DatasetSpec) -> int | None:
    """The number of mentions that a subset must have, or None where no publication says it."""
    revision = find_revision(spec, prepared.revision)
    published = spec.expected_mentions.get((revision.upstream, prepared.split), {}).get(prepared.subset)
    if published is None or revision.sample is None:
        return published
    return min(published, revision.sample.quota(spec))


def verify(prepared: PreparedSubset, spec: DatasetSpec) -> Iterator[Finding]:
    """Check one subset. Hashes of its source files were checked when it was prepared."""
    wanted = expected_mentions(prepared, spec)
    found = len(prepared)
    yield Finding(
        "mentions",
        None if wanted is None else found == wanted,
        f"{found:,}" if wanted is None else f"{found:,} of {wanted:,} published",
    )
    wrong = [mention.id for mention in prepared.mentions() if not slices_to_text(mention)]
    yield Finding("positions", not wrong, f"{len(wrong)} wrong" + (f", first {wrong[0]}" if wrong else ""))


def slices_to_text(mention: LabelledMention) -> bool:
    """Whether the spans give the mention's string, white space and, of several spans, order aside.

    True for mentions without a position.
    """
    words = " ".join(mention.document.text[span.start : span.end] for span in mention.spans).split()
    return not mention.spans or sorted(words) == sorted(mention.text.split())
