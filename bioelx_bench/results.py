"""What a run gives, typed: the content of `result.json` (JSON Schema in `docs/result.schema.json`).

These models hold data only; how figures are computed is in `bioelx_bench.scoring`, and `bioelx_bench.RunResult` is
`Result` with its run folder beside it. All figures are fractions in [0, 1] unless a metric says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = 2

MACRO: Final = "macro"
MICRO: Final = "micro"
AVERAGES: Final = (MACRO, MICRO)
"""Names of the averages among the keys of `Result.scores`."""

Stage = Literal["retrieval", "ranking"]
Figure = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A name that is safe as a file's or folder's."""


class Record(BaseModel):
    """Base of all result models: frozen, unknown fields are errors, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class StageScores(Record):
    """The figures of one stage over some mentions.

    Attributes:
        figures: Value of each figure by name, such as `recall@1`; None over no mentions.
        ci95: Its 95 % interval (document-clustered bootstrap); absent where it was not computed.
    """

    figures: dict[str, Figure | None]
    ci95: dict[str, tuple[Figure, Figure]] = {}


class GroupScores(Record):
    """Figures of both stages over some mentions, `n` of them; `ranking` is None where nothing ranked."""

    n: int
    retrieval: StageScores
    ranking: StageScores | None = None

    def stage(self, stage: Stage) -> StageScores:
        """The figures of a stage; those of `retrieval` where nothing ranked."""
        return self.ranking if stage == "ranking" and self.ranking is not None else self.retrieval


class SubsetScores(GroupScores):
    """One row of the score table: a subset, or the macro or micro average.

    Attributes:
        coverage: Share of mentions whose gold is in the knowledge base; None over no mentions.
        in_kb: Figures over those mentions only.
        slices: Figures over halves of the mentions, such as `exact` and `inexact`.
        without_candidates: Mentions for which the retriever found nothing.
        failed: Mentions whose ranking failed.
        won: Mentions whose gold the ranker put first where the retriever had not.
        lost: Mentions whose gold the retriever had first and the ranker has not.
    """

    coverage: Figure | None
    in_kb: GroupScores
    slices: dict[str, GroupScores] = {}
    without_candidates: int = 0
    failed: int = 0
    won: int = 0
    lost: int = 0


class DatasetInfo(Record):
    """Which mentions were linked.

    Attributes:
        sha256: Hash of each subset's mentions, in the order of the table.
        limit: Only the first so many mentions of each subset, or None.
        id_scheme: Scheme of the gold ids.
    """

    name: PlainName
    revision: PlainName
    split: PlainName
    subsets: tuple[PlainName, ...]
    sha256: dict[PlainName, Sha256]
    limit: int | None = None
    id_scheme: str = "umls"


class KnowledgeBaseInfo(Record):
    """Which knowledge base was linked to.

    Attributes:
        crosswalk: sha256 of the crosswalk that mapped gold of other schemes; None without one.
    """

    name: str
    sha256: Sha256
    concepts: int
    names: int
    id_scheme: str = "umls"
    crosswalk: Sha256 | None = None


class ComponentInfo(Record):
    """A retriever or ranker as it ran.

    Attributes:
        name: What the user typed, or the class of a live object.
        plugin: `plugin/name` of its declaration; None for a live object.
        version: Version of its distribution.
        code: Hash of its source code.
        options: Every option in effect.
        options_given: Those that were given, in display form (no folder above a model's own).
        model: Display name of its model (the folder's name for a local one); None where it has none.
        model_revision: What identifies the model.
    """

    name: str
    plugin: str | None = None
    version: str
    code: str
    options: dict[str, Any]
    options_given: dict[str, str] = {}
    model: str | None = None
    model_revision: str | None = None


class ProtocolInfo(Record):
    """How candidates were counted (see `bioelx_bench.scoring.protocols`)."""

    name: str
    unit: Literal["concept", "name"]
    match: Literal["any", "all"]
    split: bool
    split_gold: bool
    nil: Literal["count", "skip"]
    retired: Literal["map", "keep"]
    ranked: bool


class UsageTotals(Record):
    """What ranking cost, over all mentions.

    Attributes:
        fallbacks: Count of each kind of repair.
        errors: Mentions whose ranking failed.
        nil: Mentions answered with "none of these".
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Figure = 0.0
    fallbacks: dict[str, int] = {}
    errors: int = 0
    nil: int = 0


class ResultNotes(Record):
    """What a reader must know beside the figures.

    Attributes:
        data: Odd rows among this run's mentions by kind, for each subset.
        retriever: Counts and facts that the retriever told.
        ranker: Counts and facts that the ranker told.
        gold_mapped: Mentions of each subset whose gold was retired, or of another scheme, and stands for what the
            knowledge base has in its place.
    """

    data: dict[str, dict[str, int]] = {}
    retriever: dict[str, Any] = {}
    ranker: dict[str, Any] = {}
    gold_mapped: dict[str, int] = {}


class Result(Record):
    """The content of `result.json`.

    Attributes:
        run_id: First 16 hex digits of the hash of the run's identity.
        k: Candidates retrieved.
        rerank_depth: Candidates ranked; None without a ranker.
        interpolation: Weight and temperature with which evidence was mixed; None without it.
        cutoffs: The k of Recall@k.
        metrics: Names of the metrics that were computed, `recall` first.
        scores: Each subset in the dataset's order, then `macro` and `micro`.
        timing: Wall seconds of each stage.
        software: Versions of libraries.
    """

    schema_version: Literal[2] = 2
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    dataset: DatasetInfo
    kb: KnowledgeBaseInfo
    retriever: ComponentInfo
    ranker: ComponentInfo | None
    protocol: ProtocolInfo
    k: int
    rerank_depth: int | None
    interpolation: dict[str, Figure] | None = None
    seed: int
    cutoffs: tuple[int, ...]
    metrics: tuple[str, ...]
    scores: dict[str, SubsetScores]
    usage: UsageTotals
    notes: ResultNotes
    software: dict[str, str]
    timing: dict[str, Figure]

    @property
    def stage(self) -> Stage:
        """The last stage that ran: the one a system is judged by."""
        return "retrieval" if self.ranker is None else "ranking"
