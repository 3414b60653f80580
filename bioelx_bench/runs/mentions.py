"""The mentions of a run: prepared subsets of a declared dataset, or those of a live one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import BaseDataset
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import canonical_json
from bioelx_bench.records import LabelledMention, Mention
from bioelx_bench.runs.foreign import Origin, calling
from bioelx_bench.scoring.protocols import ScoringProtocol, sub_mentions

if TYPE_CHECKING:
    from bioelx_bench.datasets.prepared import PreparedSubset

LIVE_REVISION: Final = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetMentions:
    """The mentions of one subset within the run's limit.

    Attributes:
        name: The subset.
        sha256: Hash of all its mentions, those beyond the limit included.
        size: How many mentions of it the run has.
        read: Gives them, as often as it is called.
        sources: sha256 of each file that was read.
        counts: Oddities of these mentions by kind.
    """

    name: str
    sha256: str
    size: int
    read: Callable[[], Iterator[LabelledMention]]
    sources: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunMentions:
    """The mentions of a run, subset by subset."""

    subsets: Sequence[SubsetMentions]

    def __len__(self) -> int:
        return sum(subset.size for subset in self.subsets)

    def labelled(self) -> list[tuple[str, RepeatedMentions]]:
        """Name and mentions of each subset, which can be iterated several times."""
        return [(subset.name, RepeatedMentions(subset.read)) for subset in self.subsets]

    def parts(self, protocol: ScoringProtocol) -> Iterator[Mention]:
        """Every (part of a) mention that is searched, in order, without its gold."""
        for subset in self.subsets:
            for mention in subset.read():
                yield from sub_mentions(mention.unlabelled(), protocol)

    def count_parts(self, protocol: ScoringProtocol) -> int:
        """How many `parts` there are; only a protocol that splits needs to look at the mentions for that."""
        return sum(1 for _ in self.parts(protocol)) if protocol.split else len(self)


@dataclass(frozen=True, slots=True)
class RepeatedMentions:
    """Mentions that are read anew each time they are iterated."""

    read: Callable[[], Iterator[LabelledMention]]

    def __iter__(self) -> Iterator[LabelledMention]:
        return self.read()


def prepared_mentions(subset: PreparedSubset, limit: int | None) -> SubsetMentions:
    """The mentions of a prepared subset."""
    size = len(subset) if limit is None else min(limit, len(subset))
    return SubsetMentions(
        name=subset.subset,
        sha256=subset.sha256,
        size=size,
        read=lambda: islice(subset.mentions(), size),
        sources=subset.sources,
        counts=subset.counts_of(limit),
    )


def live_mentions(
    dataset: BaseDataset | Sequence[LabelledMention], limit: int | None
) -> list[SubsetMentions]:
    """The mentions of a live dataset or list, those of each language a subset.

    Raises:
        UsageError: It is neither a dataset nor a list of mentions with gold, or has no mention.
        DataError: Two mentions have one id, or a span lies outside its document.
    """
    from bioelx_bench.datasets.schema import row_of

    groups: dict[str, list[LabelledMention]] = {}
    digests: dict[str, Any] = {}
    seen: set[str] = set()
    counts: Mapping[str, int] = {}
    sources: Mapping[str, str] = {}
    if isinstance(dataset, BaseDataset):
        name = type(dataset).__name__
        with calling(Origin("dataset", name, None, dataset), "mentions"):
            mentions: Sequence[LabelledMention] = list(dataset.mentions())
        counts, sources = dict(dataset.counts), dict(dataset.sources)
    else:
        mentions = dataset
    for number, mention in enumerate(mentions):
        check_live_mention(mention, number, seen)
        group = mention.language or "all"
        groups.setdefault(group, []).append(mention)
        digest = digests.setdefault(group, hashlib.sha256())
        digest.update(canonical_json(row_of(mention)).encode() + b"\n")
    if not groups:
        raise UsageError("the dataset has no mention", hint="give at least one LabelledMention")
    whole = limit is None and len(groups) == 1
    return [
        SubsetMentions(
            name=group,
            sha256=digests[group].hexdigest(),
            size=len(found[:limit]),
            read=lambda found=found[:limit]: iter(found),  # type: ignore[misc]
            sources=sources,
            counts=counts if whole else {},
        )
        for group, found in groups.items()
    ]


def check_live_mention(mention: object, number: int, seen: set[str]) -> None:
    """Refuse what would make figures wrong.

    Raises:
        UsageError: It is no mention with gold.
        DataError: Its id was there before, or a span lies outside its document.
    """
    if not isinstance(mention, LabelledMention):
        raise UsageError(
            f"item {number} of the dataset is a {type(mention).__name__}, not a LabelledMention",
            why="scoring needs the gold of every mention",
            hint="bioelx_bench.link takes mentions without gold",
        )
    if mention.id in seen:
        raise DataError(
            f"the mention id {mention.id!r} comes twice", why="predictions could not be told apart"
        )
    if isinstance(mention.gold, str):
        raise DataError(
            f"the gold of {mention.id!r} is text, not a tuple of concept ids", hint="write ('C0000001',)"
        )
    seen.add(mention.id)
    length = len(mention.document.text)
    if any(not 0 <= span.start <= span.end <= length for span in mention.spans):
        raise DataError("a span lies outside its document", where=mention.id)
