"""The mentions of a run: prepared subsets of a declared dataset, or those of a live one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Literal

from bioelx_bench.base import BaseDataset
from bioelx_bench.errors import DataError, UsageError
from bioelx_bench.files import canonical_json
from bioelx_bench.records import LabelledMention, Mention
from bioelx_bench.runs.foreign import Origin, calling
from bioelx_bench.schemes import find_scheme
from bioelx_bench.scoring.protocols import ScoringProtocol, sub_mentions

if TYPE_CHECKING:
    from bioelx_bench.datasets.prepared import PreparedSubset
    from bioelx_bench.kb.store import KnowledgeBase

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
        needs_match: The policy `match` for which the gold was read; None where it does not matter.
    """

    name: str
    sha256: str
    size: int
    read: Callable[[], Iterator[LabelledMention]]
    sources: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    needs_match: Literal["any", "all"] | None = None


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
        needs_match=subset.needs_match,
    )


class MentionList(BaseDataset):
    """A list of mentions with gold as a dataset.

    Args:
        mentions: The mentions.
        id_scheme: Scheme of their gold; empty to have it recognised.
    """

    def __init__(self, mentions: Sequence[LabelledMention], id_scheme: str = "") -> None:
        super().__init__()
        self.id_scheme = id_scheme
        self._mentions = mentions

    def mentions(self) -> Iterator[LabelledMention]:
        """The mentions, in order."""
        if not isinstance(self._mentions, Iterable):
            raise UsageError(
                f"{self._mentions!r} is neither the name of a dataset, nor a BaseDataset, nor a list of mentions"
            )
        yield from self._mentions


def live_mentions(dataset: BaseDataset, limit: int | None) -> tuple[list[SubsetMentions], str]:
    """The mentions of a live dataset, those of each language a subset, and the scheme of their gold.

    Raises:
        UsageError: What it gives are no mentions with gold, or it gives none.
        DataError: Two mentions have one id, or a span lies outside its document.
    """
    from bioelx_bench.datasets.gold import GoldReader
    from bioelx_bench.datasets.schema import content_of, row_of

    groups: dict[str, list[LabelledMention]] = {}
    digests: dict[str, Any] = {}
    with calling(Origin("dataset", type(dataset).__name__, None, dataset), "mentions"):
        reader = GoldReader(checked(dataset.mentions()), dataset.id_scheme, dataset.counts)
        for mention in reader:
            group = mention.language or "all"
            groups.setdefault(group, []).append(mention)
            digest = digests.setdefault(group, hashlib.sha256())
            digest.update(canonical_json(content_of(row_of(mention))).encode() + b"\n")
    if not groups:
        raise UsageError("the dataset has no mention with gold", hint="give at least one LabelledMention")
    sources = dict(dataset.sources)
    found = [
        SubsetMentions(
            name=group,
            sha256=digests[group].hexdigest(),
            size=len(mentions[:limit]),
            read=lambda mentions=mentions[:limit]: iter(mentions),  # type: ignore[misc]
            needs_match=dataset.needs_match,
            sources=sources,
            counts=Counter(kind for mention in mentions[:limit] for kind in mention.oddities),
        )
        for group, mentions in groups.items()
    ]
    return found, reader.scheme.name


def checked(mentions: Iterable[object]) -> Iterator[LabelledMention]:
    """The mentions, each checked as it comes (see `check_live_mention`)."""
    seen: set[str] = set()
    for number, mention in enumerate(mentions):
        yield check_live_mention(mention, number, seen)


def check_gold(
    mentions: RunMentions, kb: KnowledgeBase, dataset: str, scheme: str, protocol: ScoringProtocol
) -> None:
    """Refuse a run whose figures could only be 0 or would be counted otherwise than the data asks, before it starts.

    Args:
        mentions: The run's mentions.
        kb: The run's knowledge base.
        dataset: How to name the data.
        scheme: Scheme of the gold.
        protocol: How candidates are counted.

    Raises:
        UsageError: No gold is of a scheme that the knowledge base or its crosswalk has, or the data was read for
            another policy `match`.
    """
    for subset in mentions.subsets:
        if subset.needs_match not in {None, protocol.match}:
            raise UsageError(
                f"{dataset} was read so that {subset.needs_match} gold of a mention must be found, the protocol "
                f"asks for {protocol.match}",
                where="--policy match",
                hint=f"add --policy match={subset.needs_match}, or read the data otherwise (-D composite=any)",
            )
    mapped = () if kb.crosswalk is None else kb.crosswalk.schemes()
    own = None if not kb.is_foreign(scheme) else find_scheme(scheme)

    def fits(identifier: str) -> bool:
        return (
            scheme in mapped if own is not None and own.matches(identifier) else kb.scheme.matches(identifier)
        )

    labelled = chain.from_iterable(subset.read() for subset in mentions.subsets)
    first = next(labelled, None)
    if first is None or any(fits(i) for mention in chain([first], labelled) for i in mention.gold):
        return
    crosswalk = f" and a crosswalk from {', '.join(mapped)}" if mapped else ""
    raise UsageError(
        f"the gold of {dataset} has ids of the scheme {scheme}, the knowledge base {kb.name!r} has "
        f"{kb.id_scheme}{crosswalk}",
        where=f"--kb {kb.name}",
        why=f"no gold id, such as {first.gold[0]}, could be found, and every figure would be 0",
        hint=f"bioelx-bench kb crosswalk {kb.folder} FILE.sssom.tsv, or a knowledge base of {scheme} "
        f"(bioelx-bench kb build --help)",
    )


def check_live_mention(mention: object, number: int, seen: set[str]) -> LabelledMention:
    """The mention, if it would not make figures wrong.

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
    return mention
