"""Base classes of components: what the harness asks of a retriever, a ranker and a dataset, with defaults.

A plugin's component subclasses one of them and overrides what it needs; a live object given to
`bioelx_bench.evaluate` does the same. `bioelx_bench.testing` holds a conformance test class for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from pydantic import BaseModel

from bioelx_bench.cache import Cache
from bioelx_bench.progress import Progress
from bioelx_bench.records import Alias, Candidate, Interpolation, LabelledMention, Mention, Ranking, Unit

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
        unit: What the run's scoring protocol will ask `search` for; known before an index is built.
    """

    cache: Cache
    offline: bool = False
    seed: int = 0
    progress: Progress = field(default_factory=Progress)
    kb: KnowledgeBase | None = None
    plugins: Plugins | None = None
    unit: Unit = "concept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What a reader of a result must know of a component's work.

    Attributes:
        counts: Whole numbers counted since the component was made, such as mentions in a language without an
            analyzer. The harness adds them up over the processes that worked on a run.
        facts: JSON values that do not depend on which mentions were seen, such as the engine's name; a resumed
            run keeps the last ones.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


NO_NOTES: Final = Notes()


class BaseRetriever(ABC):
    """Finds candidates for mentions; only `search` must be written.

    Results must not depend on how mentions are batched, on thread count or on device.

    Attributes:
        options: The options it works with, where a model brings values of its own for those that nobody gave;
            None for the options as they were given.
        model_revision: What identifies the model or engine: commit, folder hash or version. Part of the run's id.
        units: What `search` can be asked for.
    """

    options: BaseModel | None = None
    model_revision: str | None = None
    units: tuple[Unit, ...] = ("concept",)

    def identity(self) -> Mapping[str, Any]:
        """What results depend on beside options and model, as JSON values. Part of the run's id."""
        return {}

    def index_identity(self) -> Mapping[str, Any]:
        """The options (JSON values) on which the index depends, beside knowledge base, model and code."""
        return {}

    def index(self, kb: KnowledgeBase, folder: Path) -> None:  # noqa: B027 - an index is optional
        """Build the index in `folder`, which exists and may hold what an interrupted call left.

        The harness calls it once for each (knowledge base, model, code, `index_identity`), under a lock, and makes
        the folder visible only when it returns. Continue from what is there, or clear it.
        """

    def open(self, kb: KnowledgeBase, folder: Path) -> None:  # noqa: B027 - see `index`
        """Get ready for `search`: open the finished index. The folder is read-only and may be shared."""

    @abstractmethod
    def search(
        self, mentions: Sequence[Mention], k: int, unit: Unit = "concept"
    ) -> Sequence[Sequence[Candidate]]:
        """Find the `k` best candidates of each mention, best first; fewer where fewer match.

        Args:
            mentions: Mentions without their gold.
            k: The most candidates a list may hold.
            unit: With `concept` a list holds distinct concepts, each with its best matching name; with `name` it
                holds rows of the name table.

        Returns:
            One list a mention. Scores are finite and do not increase along a list; equal scores stand in order of
            concept id; `name` is one of the concept's names in the knowledge base.
        """

    def trained_on(self, texts: Sequence[str]) -> Sequence[bool] | None:  # noqa: ARG002
        """Whether each text is among the names the model was trained on; None if it cannot tell."""
        return None

    def notes(self) -> Notes:
        """What the result must say of its work so far."""
        return NO_NOTES

    def close(self) -> None:  # noqa: B027 - nothing to release is the usual case
        """Release what `open` took. The retriever is not used afterwards."""


class BaseRanker(ABC):
    """Puts the candidates of a mention in order, seeing the mention in its context; only `rank` must be written.

    Attributes:
        options: As of `BaseRetriever`.
        model_revision: What identifies the model. Part of the run's id.
        interpolation: How the harness mixes the retriever's scores with the rankings' evidence, when it scores
            the run; None takes the ranker's own order.
        max_errors: Mentions that may fail before the run stops: a count, or below 1 a share of all mentions.
    """

    options: BaseModel | None = None
    model_revision: str | None = None
    interpolation: Interpolation | None = None
    max_errors: float = 0.01

    def identity(self) -> Mapping[str, Any]:
        """What results depend on beside options and model, such as a template's hash. Part of the run's id."""
        return {}

    @abstractmethod
    def rank(self, mention: Mention, candidates: Sequence[Candidate]) -> Ranking:
        """Rank one mention's candidates.

        Args:
            mention: The mention without its gold, in its document.
            candidates: The retriever's candidates, best first, with its raw scores.

        Returns:
            A permutation of `candidates` (the same objects' contents), best first.
        """

    def rank_many(self, items: Iterable[tuple[Mention, Sequence[Candidate]]]) -> Iterator[Ranking]:
        """Rank many mentions, yielding each ranking as soon as it is there, in any order.

        Every item gives exactly one ranking. The harness logs each at once, so that nothing paid for is lost. This
        default ranks one by one.
        """
        for mention, candidates in items:
            yield self.rank(mention, candidates)

    def notes(self) -> Notes:
        """What the result must say of its work so far."""
        return NO_NOTES

    def close(self) -> None:  # noqa: B027 - nothing to release is the usual case
        """Release connections and models. The ranker is not used afterwards."""


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


class BaseDataset(ABC):
    """Reads one subset of a benchmark from its upstream files; only `mentions` must be written.

    A declaration's factory is `factory(request: DatasetRequest) -> BaseDataset`. It finds its files (or raises
    `MissingError` saying how to get them) and verifies their hashes there, before iteration. Gold ids are given as
    the file writes them: the harness takes prefixes off, splits joined ids and leaves out mentions without any, in
    one way for all datasets.

    Attributes:
        sources: sha256 of each source file that is read, by its upstream path. Identifies the data.
        counts: What gave no mention, by kind (rows without gold, documents without a mention), complete once
            `mentions` is exhausted; nothing is dropped uncounted. What is odd in a mention is in its `oddities`.
        id_scheme: Scheme of the gold ids, such as `umls` or `mesh` (see `bioelx_bench.schemes`); empty to have it
            recognised.
        needs_match: `all` where a mention with several gold ids is right only when all are found: a run whose
            protocol says otherwise is refused.
    """

    id_scheme: str = "umls"
    needs_match: Literal["any", "all"] | None = None

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention once, in upstream order."""

    def place(self, identifier: str) -> str | None:  # noqa: ARG002
        """Where in its file a mention id stands a second time, for the error; None if the reader cannot tell."""
        return None


class BaseAliasSource(ABC):
    """Reads a collection of names for concepts; only `__iter__` must be written.

    Attributes:
        files: What identifies the data that it reads: sha256 of each local file by its name, and of a knowledge
            base that tells what is asked for. Known before iteration.
        counts: What was read and what was left out, by kind; complete when the iteration has ended.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def __iter__(self) -> Iterator[Alias]:
        """Every alias once. A source that resumes continues where an earlier, interrupted iteration stopped."""

    def close(self) -> None:  # noqa: B027 - nothing kept is the usual case
        """Remove what was kept for resuming; called when the table is safely written."""


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
        hint: The command that fixes it, where it is not ok.
    """

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    hint: str | None = None
