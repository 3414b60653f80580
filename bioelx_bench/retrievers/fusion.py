"""Reciprocal rank fusion of two retrievers, such as BM25 and a dense one, which find different things.

Cormack, Clarke, Büttcher: Reciprocal rank fusion outperforms Condorcet and individual rank learning methods
(SIGIR 2009). A candidate's score is the sum, over the retrievers that found it, of weight / (k_rrf + rank).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field, field_validator

from bioelx_bench.base import BaseRetriever, Environment, Notes
from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.options import Options, identity_options, load_object, validate_options
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench.runs.code_identity import code_of

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

PLACES: Final = ("first", "second")


class FusionOptions(Options):
    """Which retrievers are fused, and how.

    Options of the two are written `key=value` with commas between: `first_options=model=FOLDER,pooling=mean`.
    """

    first: str = Field("sapbert-x", description="a retriever's name")
    second: str = Field("bm25", description="another retriever's name, or the same with other options")
    first_options: str = Field("", description="its options: key=value with commas between")
    second_options: str = Field("", description="the other's options")
    first_weight: float = Field(1.0, gt=0, le=1000, description="weight of the first's ranks")
    second_weight: float = Field(1.0, gt=0, le=1000, description="weight of the second's ranks")
    k_rrf: float = Field(60.0, ge=0, le=1e6, description="the larger, the less first places count")
    depth: int = Field(100, ge=1, description="candidates taken from each, at least as many as are asked for")

    @field_validator("first", "second")
    @classmethod
    def not_itself(cls, name: str) -> str:
        """Refuse a fusion of fusions, whose names could not be told apart in results."""
        if name.rpartition("/")[2] == "fused":
            raise ValueError("fused cannot fuse itself")
        return name


class FusedRetriever(BaseRetriever):
    """Asks two retrievers and merges their candidate lists."""

    options: FusionOptions

    def __init__(self, options: FusionOptions, environment: Environment) -> None:
        self.options = options
        self._retrievers: list[BaseRetriever] = []
        self._code: list[str] = []
        self._only: list[int] = [0, 0]
        self._both = 0
        given = (options.first, options.first_options), (options.second, options.second_options)
        for place, (name, text) in zip(PLACES, given, strict=True):
            made = make_part(place, name, text, environment)
            self._retrievers.append(made)
            self._code.append(code_of(made))
        self.model_revision = "+".join(r.model_revision or "none" for r in self._retrievers)

    def identity(self) -> Mapping[str, Any]:
        """The code of both, and the options they work with, models' own values among them."""
        options = {p: r.options for p, r in zip(PLACES, self._retrievers, strict=True)}
        found: dict[str, Any] = {
            p: identity_options(o) for p, o in options.items() if isinstance(o, BaseModel)
        }
        return found | {"code": list(self._code)}

    def index_identity(self) -> Mapping[str, Any]:
        """Both retrievers' identities; weights and `k_rrf` do not touch the indexes."""
        return {
            place: {"retriever": name, "code": code, "identity": dict(retriever.index_identity())}
            for place, name, code, retriever in zip(
                PLACES,
                (self.options.first, self.options.second),
                self._code,
                self._retrievers,
                strict=True,
            )
        }

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Build both indexes, each in a subfolder."""
        for place, retriever in zip(PLACES, self._retrievers, strict=True):
            (folder / place).mkdir(exist_ok=True)
            retriever.index(kb, folder / place)

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Open both indexes."""
        for place, retriever in zip(PLACES, self._retrievers, strict=True):
            retriever.open(kb, folder / place)

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """Search with both and fuse.

        Raises:
            UsageError: The unit is not `concept`: rows of two retrievers cannot be told to be the same.
        """
        if unit != "concept":
            raise UsageError(
                "fused gives concepts, not name rows", hint="use a protocol whose unit is concept"
            )
        depth = max(k, self.options.depth)
        lists = [retriever.search(mentions, depth) for retriever in self._retrievers]
        weights = (self.options.first_weight, self.options.second_weight)
        fused = []
        for pair in zip(*lists, strict=True):
            self._count(pair)
            fused.append(fuse(pair, weights, self.options.k_rrf)[:k])
        return fused

    def _count(self, pair: Sequence[Sequence[Candidate]]) -> None:
        found = [{candidate.concept_id for candidate in candidates} for candidates in pair]
        self._both += len(found[0] & found[1])
        for place in (0, 1):
            self._only[place] += len(found[place] - found[1 - place])

    def trained_on(self, texts: Sequence[str]) -> list[bool] | None:
        """Whether either was trained on each text; None if neither says."""
        flags = [
            found for retriever in self._retrievers if (found := retriever.trained_on(texts)) is not None
        ]
        return [any(seen) for seen in zip(*flags, strict=True)] if flags else None

    def notes(self) -> Notes:
        """How often the two agree, and each one's own notes."""
        counts = {
            "candidates_of_both": self._both,
            "candidates_of_first_only": self._only[0],
            "candidates_of_second_only": self._only[1],
        }
        facts: dict[str, Any] = {}
        for place, retriever in zip(PLACES, self._retrievers, strict=True):
            own = retriever.notes()
            counts |= {f"{place}_{key}": value for key, value in own.counts.items()}
            facts |= {f"{place}_{key}": value for key, value in own.facts.items()}
        return Notes(counts=counts, facts=facts)

    def close(self) -> None:
        """Close both."""
        for retriever in self._retrievers:
            retriever.close()


def make_part(place: str, name: str, text: str, environment: Environment) -> BaseRetriever:
    """One of the retrievers.

    Raises:
        UsageError: Its name or an option is wrong.
        BenchError: The environment has no plugins to look it up in.
    """
    if environment.plugins is None:
        raise BenchError("fused needs the declared plugins, and the environment has none")
    declared = environment.plugins.get("retrievers", name)
    model = load_object(declared.spec.options, f"the retriever {name!r}")
    values = split_options(text, list(model.model_fields), f"{place}_options")
    options = validate_options(model, values, name, f"-R {place}_options=")
    made: BaseRetriever = load_object(declared.spec.factory, f"the retriever {name!r}")(options, environment)
    return made


def split_options(text: str, known: Sequence[str], flag: str) -> dict[str, str]:
    """Split `key=value,key=value`; a comma that no known key follows belongs to the value.

    Raises:
        UsageError: It does not begin with a key, or a key comes twice.
    """
    values: dict[str, str] = {}
    last = ""
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if equals and (key in known or not last):
            if key in values:
                raise UsageError(f"the option {key!r} is given twice", where=f"-R {flag}={text}")
            values[key] = value
            last = key
        elif last:
            values[last] += "," + part
        else:
            raise UsageError(f"{flag} takes key=value, not {part!r}", where=f"-R {flag}={text}")
    return values


def fuse(lists: Sequence[Sequence[Candidate]], weights: Sequence[float], k_rrf: float) -> list[Candidate]:
    """Fuse candidate lists of distinct concepts; ties in order of concept id.

    Args:
        lists: Candidates, best first.
        weights: Weight of each list.
        k_rrf: Constant that is added to ranks, which begin at 1.

    Returns:
        Candidates with fused scores, each with its name in the list that contributes most to its score.
    """
    scores: dict[str, float] = {}
    names: dict[str, tuple[float, str]] = {}
    for candidates, weight in zip(lists, weights, strict=True):
        for rank, candidate in enumerate(candidates, 1):
            share = weight / (k_rrf + rank)
            concept = candidate.concept_id
            scores[concept] = scores.get(concept, 0.0) + share
            if concept not in names or share > names[concept][0]:
                names[concept] = (share, candidate.name)
    order = sorted(scores, key=lambda concept: (-scores[concept], concept))
    return [Candidate(concept, scores[concept], names[concept][1]) for concept in order]


def make_fused(options: FusionOptions, environment: Environment) -> FusedRetriever:
    """Factory of `fused`."""
    return FusedRetriever(options, environment)
