"""What plugins declare: names, summaries and import paths, never live objects.

A declaration costs nothing to make, so `--help` and `list` stay fast and a missing GPU, JVM or model breaks
nothing until the component runs. `factory` and `options` are `package.module:attribute` paths, imported
only when used (see `bioelx_bench.options.load_object`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bioelx_bench.records import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Base of all declarations.

    Attributes:
        name: What the user types. Lower case, digits, `.`, `-` and `_`.
        summary: One line for `list`.
        factory: Import path `package.module:attribute` of what makes the component.
    """

    name: str
    summary: str
    factory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One upstream file of a dataset.

    Attributes:
        path: Path below a data root, and the name under which results record the file.
        url: Where it can be downloaded; empty if only by hand.
        page: Page that describes it.
        licence: Licence of the data.
        size: Bytes, if known.
        sha256: Its hash. None where upstream publishes none that could be verified: then the hash of the file that is
            there is recorded in results, so that runs on different files can be told apart.
        acknowledge: Whether the licence must be accepted once before a download.
        alternatives: Other paths below a data root at which the file may lie (packed, or named otherwise).
    """

    path: str
    url: str
    page: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    acknowledge: bool = False
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """What a dataset card says beside computed figures.

    Attributes:
        title: The dataset's name as its authors write it.
        licence: Id of the licence in the Hub's list, such as `cc0-1.0`.
        about: What the dataset is, a paragraph.
        annotation: Who or what annotated it, and with which ids.
        context: What stands around a mention.
        citation: BibTeX.
        attribution: Line under the example, where one is shown.
        quotable: Whether the licence lets a card repeat a piece of the data.
    """

    title: str
    licence: str
    about: str
    annotation: str
    context: str
    citation: str
    attribution: str = ""
    quotable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(Declaration):
    """A benchmark, with all that is known of it. `factory(request)` gives a `bioelx_bench.base.BaseDataset`.

    Attributes:
        revisions: Known revisions, the default first. Variants that must not share a table are revisions.
        subsets: Languages or corpus parts, in the order of the result table.
        splits: Known splits, the default first.
        revision_splits: Splits of the revisions that have others.
        licence: SPDX identifier or name of the data's licence.
        homepage: Where the data comes from.
        context: What a ranker sees: `sentence`, `unit`, `abstract`, `window` or `none`.
        id_scheme: Scheme of the gold ids, such as `umls` or `mesh` (see `bioelx_bench.schemes`); empty where it
            depends on the user's file.
        sources: Import path of `(revision, split, subset) -> Sequence[Source]`, the upstream files of a part; empty
            for data without upstream files.
        expected_mentions: Published number of mentions, by (revision, split), then by subset; `datasets verify`
            compares it.
        card: What its dataset card says; None for data without a card.
        shipped: Whether the data is in the package (else `--data-root` or a download provides it).
        benchmark: Whether `run --dataset all` runs it; false for readers of a user's own files, and for data
            that holds other benchmarks.
        options: Import path of the options model of a dataset that has options.
        open_subsets: Whether the loader accepts subsets beyond `subsets` (languages of a user's file).
    """

    revisions: tuple[str, ...]
    subsets: tuple[str, ...]
    splits: tuple[str, ...] = ("test",)
    licence: str
    homepage: str
    context: str
    id_scheme: str = "umls"
    sources: str = ""
    expected_mentions: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    card: CardText | None = None
    shipped: bool = False
    benchmark: bool = True
    options: str = "bioelx_bench.options:NoOptions"
    open_subsets: bool = False
    revision_splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def splits_of(self, revision: str) -> tuple[str, ...]:
        """The splits of one of `revisions`, the default first."""
        return self.revision_splits.get(revision, self.splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeBaseSpec(Declaration):
    """A knowledge base that is built by name. `factory` is a `base.KnowledgeBaseBuilder`.

    Attributes:
        revision: Changes whenever the builder or its sources change, so that the cache is built anew.
        licence: Licence of the data.
    """

    revision: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurableSpec(Declaration):
    """A component with options. `options` is the import path of a pydantic model (see `options`)."""

    options: str = "bioelx_bench.options:NoOptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSourceSpec(ConfigurableSpec):
    """A source of aliases. `factory(options, environment)` gives a `base.BaseAliasSource`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverSpec(ConfigurableSpec):
    """A retriever. `factory(options, environment)` gives a `base.BaseRetriever`.

    Attributes:
        units: Which units `search` can be asked for.
    """

    units: tuple[Unit, ...] = ("concept",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerSpec(ConfigurableSpec):
    """A ranker. `factory(options, environment)` gives a `base.BaseRanker`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerFamilySpec(ConfigurableSpec):
    """Rankers named by pattern, such as any LiteLLM model id.

    A name that no `RankerSpec` bears is offered to the families. `matcher` is the import path of
    `(name) -> Mapping[str, Any] | None`: the options that the name stands for, or None if it is not of this
    family. It must import nothing heavy.
    """

    matcher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(Declaration):
    """A metric. `factory` is the import path of the function itself (see `bioelx_bench.metrics`).

    Attributes:
        bounds: The least and the greatest value that a mention can have.
    """

    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec(Declaration):
    """A command of the command line. `factory()` gives a `typer.Typer` with one or several commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSourceSpec(Declaration):
    """A place that models come from, beside local folders and the Hub.

    It serves model references `<name>:<model>`, such as `offline:e5-small`.
    `factory(model: str, environment) -> Path` gives the model's folder or file, and raises `MissingError`
    for a model it does not have. See `bioelx_bench.models.resolve_model`.

    Attributes:
        models: The models it is known to have, for messages; empty if it cannot tell.
    """

    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec(Declaration):
    """Checks for `doctor`.

    `factory(environment, target) -> Iterable[base.Check]`, where `target` is a mapping that may hold
    `retriever` or `ranker`: the name and options the user asks about.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetSpec:
    """A named combination of components, chosen by `run --preset`; what the user gives wins.

    Attributes:
        k: Candidates to retrieve; None leaves it to the user's settings.
        rerank_depth: Candidates to rank; None likewise.
    """

    name: str
    summary: str
    retriever: str
    ranker: str | None = None
    retriever_options: Mapping[str, Any] = field(default_factory=dict)
    ranker_options: Mapping[str, Any] = field(default_factory=dict)
    k: int | None = None
    rerank_depth: int | None = None
