"""The record types that flow through the harness; each arrow of the data flow is one of them.

This module imports nothing of ours. Records are frozen and slotted; those that are written to logs
have a JSON form in the logs of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["concept", "name"]
"""What takes one place in a candidate list: a distinct concept, or a row of the name table."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, `text[start:end]`, in a document."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """The text in which mentions stand, as the ranker may see it.

    Attributes:
        id: Stable identifier, unique within a dataset revision.
        text: What the dataset defines as context (sentence, unit, abstract, article window).
        language: ISO 639-1 code.
    """

    id: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A marked piece of a document that is to be linked, as retrievers and rankers see it: without its gold.

    Attributes:
        id: Stable identifier such as `xl-bel/de/0017`.
        document: The document; its text is empty where the dataset has no context.
        spans: One span, or several for a discontinuous mention, in document order. Empty when the
            dataset gives no position.
        text: The mention's surface string, exactly as the dataset gives it.
        language: ISO 639-1 code of the mention.
    """

    id: str
    document: Document
    spans: tuple[Span, ...]
    text: str
    language: str

    def _repr_html_(self) -> str:
        from bioelx_bench.html import html_table

        rows = [(name, getattr(self, name)) for name in ("text", "language")]
        if isinstance(self, LabelledMention):
            rows.append(("gold", ", ".join(self.gold)))
        return html_table(self.id, (), [*rows, ("context", self.document.text[:1000])])


@dataclass(frozen=True, slots=True)
class LabelledMention(Mention):
    """A mention with the annotation of its dataset. Only datasets and scoring handle it; components never do.

    Attributes:
        gold: The concept ids that count as right, in the dataset's id scheme; more than one where the dataset
            names several.
        semantic_types: Semantic types (TUIs) the dataset annotates, if any.
        oddities: What was odd in its row and how it was read, one short word each, such as `offset_repaired`.
            Results count them over the mentions that ran.
    """

    gold: tuple[str, ...]
    semantic_types: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()

    def unlabelled(self) -> Mention:
        """The mention alone, a new object from which the annotation cannot be reached."""
        return Mention(self.id, self.document, self.spans, self.text, self.language)


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a concept.

    Attributes:
        text: The name as its source writes it.
        language: ISO 639-1 code (ISO 639-3 where there is no two-letter one; `mul` for Wikidata's
            language-independent labels).
        source: The vocabulary or collection it comes from, such as `MONDO`.
        preferred: Whether the source prefers it.
    """

    text: str
    language: str
    source: str
    preferred: bool = False


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a knowledge base with all its names, preferred names first."""

    id: str
    names: tuple[Name, ...]
    semantic_types: tuple[str, ...] = ()
    definition: str | None = None

    def _repr_html_(self) -> str:
        from bioelx_bench.html import html_table

        caption = " ".join([self.id, *self.semantic_types, self.definition or ""]).strip()
        rows = [(name.text, name.language, name.source) for name in self.names[:50]]
        return html_table(caption, ("name", "language", "source"), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name of a concept from a source of aliases, with its provenance.

    Attributes:
        concept_id: The concept.
        language: ISO 639 code; `mul` where the source says that the name holds in every language.
        text: The name as the source writes it.
        source: The collection, such as `Wikidata`.
        preferred: Whether it is the source's label, not a synonym.
        item: The source's own identifier, such as `Q86` or `HP:0002315`; empty if it has none.
        property: Where in the item it stands, such as `rdfs:label`.
        joined_by: How the item came to the concept: `P2892`, `P486`, ..., or `id` where it bears the concept's own.
        date: ISO date on which it was read from a service, or the source's release; empty if unknown.
    """

    concept_id: str
    language: str
    text: str
    source: str
    preferred: bool = False
    item: str = ""
    property: str = ""
    joined_by: str = "id"
    date: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A concept that a retriever proposes for a mention.

    Attributes:
        concept_id: The concept.
        score: Larger is better; comparable only within one candidate list.
        name: The name that matched best.
    """

    concept_id: str
    score: float
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What ranking a mention cost."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """A ranker's answer for one mention.

    Attributes:
        mention_id: The mention.
        candidates: A permutation of the candidates that went in, best first, each with the retriever's score.
        evidence: What the ranker found for each of `candidates`, in their order; larger is better and comparable
            over the whole run, such as the log-odds of "yes". None within it where the ranker found nothing of a
            candidate; None altogether where it only orders.
        status: `ok`, or a short word for what was repaired (`partial`, `unparsed`, `failed`, ...).
        usage: Calls, tokens and cost.
        fallbacks: Count of each kind of repair that was needed; empty when `status` is `ok`.
        nil: Whether the ranker chose "none of these" (only where that option is on).
        error: Why it failed, in the server's or model's own words; empty unless `status` is `failed`.
    """

    mention_id: str
    candidates: tuple[Candidate, ...]
    evidence: tuple[float | None, ...] | None = None
    status: str = "ok"
    usage: Usage = field(default_factory=Usage)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    nil: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Interpolation:
    """How retriever scores and a ranker's evidence are mixed, on one scale for a whole run.

    The score of a candidate is `(1 - weight) * r + weight * e`, where `r` is the retriever's score centred and
    divided by its standard deviation over all candidates of the run, and `e` is the evidence divided by
    `temperature`. A mention without evidence keeps the retriever's order.

    Attributes:
        weight: 0 keeps the retriever's order, 1 takes the evidence alone (ties in the retriever's order).
        temperature: What evidence is divided by, so that the two are of like size; greater than 0.
    """

    weight: float
    temperature: float = 1.0
