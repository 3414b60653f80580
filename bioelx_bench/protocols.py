"""The contracts between the harness and its components, as small runtime-checkable protocols.

`bioelx_bench.testing` holds a conformance test class for each, which plugin authors subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from bioelx_bench.cache import Cache
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Ranking, Unit

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.plugins import Plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the harness gives a component beside its options.

    Attributes:
        cache: Where content-addressed work is kept and shared between runs.
        offline: When true, no connection may leave this machine.
        seed: The run's seed.
        progress: Progress display; silent when stderr is no terminal.
        kb: The knowledge base of the run; None for components that run without one.
        plugins: What is declared, for components that use others (a fusion of two retrievers).
    """

    cache: Cache
    offline: bool = False
    seed: int = 0
    progress: Progress = field(default_factory=Progress)
    kb: KnowledgeBase | None = None
    plugins: Plugins | None = None


@runtime_checkable
class Retriever(Protocol):
    """Finds candidates for mentions.

    Results must not depend on how mentions are batched, on thread count or on device.

    An optional method `notes() -> Mapping[str, JSON value]` says what a reader of the result must know, such as
    languages without an analyzer. Whole numbers are counts since the retriever was made and are added up over a
    run; other values must not depend on which mentions were searched, since a resumed run keeps the last ones.
    An optional attribute `options` holds the options it works with, where a model brings values of its own for those
    that nobody gave; they are recorded and identify the run.
    """

    @property
    def model_revision(self) -> str | None:
        """What identifies the model or engine: commit, folder hash or version. Part of the run's id."""

    def index_identity(self) -> Mapping[str, Any]:
        """The options (JSON values) on which the index depends, beside the knowledge base."""

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Build the index in `folder`, which exists and may hold what an interrupted call left.

        The harness calls it once for each (knowledge base, `index_identity`), under a lock, and makes the
        folder visible only when it returns. Continue from what is there, or clear it.
        """

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Open a finished index for `search`. The folder is read-only and may be shared."""

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """Find the `k` best candidates of each mention, best first; fewer where fewer match.

        With unit `concept` a list holds distinct concepts, each with its best matching name; with
        `name` it holds rows of the name table. Ties are broken by concept id.
        """

    def close(self) -> None:
        """Release what `open` took. The retriever is not used afterwards."""


@runtime_checkable
class Ranker(Protocol):
    """Puts the candidates of a mention in order, seeing the mention in its context."""

    @property
    def model_revision(self) -> str | None:
        """What identifies the model. Part of the run's id."""

    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """Rank one mention's candidates; the ranking is a permutation of them."""

    def rank_many(self, items: Iterable[tuple[Mention, Sequence[Candidate]]]) -> Iterator[Ranking]:
        """Rank many mentions, yielding each ranking as soon as it is there, in any order.

        Every item gives exactly one ranking. The harness logs each at once, so that nothing paid for is
        lost. A ranker with no better way subclasses
        `SequentialRanker`.
        """

    def close(self) -> None:
        """Release connections and models. The ranker is not used afterwards."""


class SequentialRanker(ABC):
    """Gives `rank_many` and `close` to a ranker that has no better batch form than one by one."""

    @abstractmethod
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """See `Ranker.rank`."""

    def rank_many(self, items: Iterable[tuple[Mention, Sequence[Candidate]]]) -> Iterator[Ranking]:
        """Rank one by one."""
        for mention, candidates in items:
            yield self.rank(mention, candidates)

    def close(self) -> None:  # noqa: B027 - a hook with a sensible empty default
        """Nothing to release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """Which part of a dataset to read, and from where.

    Attributes:
        revision: One of the declaration's revisions.
        subset: One of its subsets.
        split: One of its splits.
        data_root: A local mirror in the upstream layout, or None.
        cache: Where downloads go.
        offline: When true, nothing is downloaded.
        options: Options of datasets that take a user's own files.
        progress: Progress display, for downloads.
    """

    revision: str
    subset: str
    split: str
    data_root: Path | None
    cache: Cache
    offline: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)


@runtime_checkable
class DatasetLoader(Protocol):
    """Reads one subset of a benchmark from its upstream files.

    A factory `factory(request: DatasetRequest) -> DatasetLoader` makes it. It must find its files (or raise
    `MissingError` saying how to get them) and verify their hashes in the factory, before iteration.
    """

    @property
    def sources(self) -> Mapping[str, str]:
        """sha256 of each source file that was read, by its upstream path. Identifies the data."""

    @property
    def counts(self) -> Counter[str]:
        """Odd rows by kind, complete once `mentions` is exhausted; nothing is dropped uncounted."""

    def mentions(self) -> Iterator[Mention]:
        """Every mention once, in upstream order."""


class KnowledgeBaseBuilder(Protocol):
    """Builds a knowledge base by name."""

    def __call__(self, folder: Path, environment: Environment) -> None:
        """Build the knowledge base into the empty folder `folder` (see `bioelx_bench.kb`)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`.

    Attributes:
        name: What was checked.
        status: `ok`, `warning` (something works less well) or `failed`.
        detail: What was found: a version, a path, a message.
        mend: The command that mends it, where it is not ok.
    """

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    mend: str | None = None
