"""Joining mentions with what the logs hold of them, block by block, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import DataError
from bioelx_bench.metrics import NO_HIT
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.runs.logs import CandidateLine, RankingLine
from bioelx_bench.scoring.gold import Gold
from bioelx_bench.scoring.interpolation import mix, order
from bioelx_bench.scoring.matching import (
    Ints,
    Ranks,
    gold_ranks,
    mention_ranks,
    offsets_of,
    positions,
    sort_within,
    spread,
)
from bioelx_bench.scoring.protocols import ScoringProtocol, part_ids
from bioelx_bench.scoring.rankings import FAILED, RankingIndex

Floats = npt.NDArray[np.float64]
ResolveGold = Callable[[LabelledMention], Gold]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalOrder:
    """The candidates of a block as they stand after ranking.

    Attributes:
        source: Which candidate of the block stands at each place, shape (candidates,).
        scores: Mixed score at each place; NaN where nothing was mixed.
        evidence: The ranker's evidence at each place; NaN where there is none.
        nil: Whether the ranker chose none of them, shape (mentions,).
        failed: Whether the ranking failed, shape (mentions,).
    """

    source: Ints
    scores: Floats
    evidence: Floats
    nil: npt.NDArray[np.bool_]
    failed: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some mentions with their candidates, in order.

    Attributes:
        mentions: The mentions.
        kept: Which of the mentions that were asked for they are.
        gold: Their gold as the knowledge base knows it.
        gold_offsets: Where each mention's gold begins, and the end.
        lines: The candidates of each part of each mention.
        parts: Where each mention's parts begin in `lines`, and the end.
        offsets: Where each part's candidates begin, and the end.
        places: Rank of each gold concept among the candidates of each part, one part after the other.
        final: Their order after ranking; None where nothing ranked.
        mapped: Mentions of the block whose gold was mapped.
    """

    mentions: list[LabelledMention]
    kept: npt.NDArray[np.bool_]
    gold: list[Gold]
    gold_offsets: Ints
    lines: list[CandidateLine]
    parts: Ints
    offsets: Ints
    places: Ranks
    final: FinalOrder | None
    mapped: int

    def __len__(self) -> int:
        return len(self.mentions)

    def ranks(self, match: Literal["any", "all"], *, ranked: bool) -> tuple[Ranks, Ranks]:
        """Ranks of the mentions and of their gold concepts (ascending), before or after ranking.

        A mention that was searched in parts counts as found where every part has hit.
        """
        owners = np.repeat(np.arange(len(self)), np.diff(self.parts))
        counts = np.diff(self.gold_offsets)[owners]
        ranks = self.places
        if ranked:
            assert self.final is not None  # noqa: S101 - asked for only where something ranked
            starts = np.repeat(self.offsets[:-1], counts)
            hit = (ranks != NO_HIT) & ~np.repeat(self.final.nil[owners], counts)
            moved = np.empty_like(self.final.source)
            moved[self.final.source] = np.arange(len(moved))
            ranks = np.full_like(ranks, NO_HIT)
            ranks[hit] = moved[starts[hit] + self.places[hit] - 1] - starts[hit] + 1
        found = mention_ranks(mention_ranks(ranks, offsets_of(counts), match), self.parts, "all")
        found_gold = np.zeros(int(self.gold_offsets[-1]), np.int32)
        np.maximum.at(found_gold, spread(self.gold_offsets[:-1][owners], counts), ranks)
        return found, sort_within(found_gold, self.gold_offsets)


@dataclass(frozen=True, slots=True)
class Reordering:
    """Puts candidates into the order of their rankings.

    Attributes:
        rankings: The ranking log.
        rerank_depth: Candidates that were ranked.
        interpolation: How scores and evidence are mixed; None takes the ranker's order.
    """

    rankings: RankingIndex
    rerank_depth: int
    interpolation: Interpolation | None

    def apply(
        self,
        mention_ids: Sequence[str],
        lines: Sequence[CandidateLine],
        offsets: Ints,
    ) -> FinalOrder:
        """The order of a block's candidates: the ranked ones, then the rest as the retriever left them.

        Raises:
            DataError: A ranking is missing, or not one of these candidates.
        """
        ranked = self.rankings.lines(mention_ids)
        lengths = np.minimum(np.diff(offsets), self.rerank_depth)
        owners = np.repeat(np.arange(len(lines)), lengths)
        asked = spread(offsets[:-1], lengths)
        numbers: dict[str, int] = {}
        codes = coded([line.concepts[: self.rerank_depth] for line in lines], numbers)
        ranked_owners = np.repeat(np.arange(len(ranked)), [len(line.concepts) for line in ranked])
        found = positions(coded([line.concepts for line in ranked], numbers), ranked_owners, codes, owners)
        if found is None:
            raise self._foreign(ranked, lines)
        source = np.arange(offsets[-1])
        scores, evidence = np.full(len(source), np.nan), np.full(len(source), np.nan)
        said = evidence_of(ranked)
        chosen = np.arange(len(found))
        if self.interpolation is not None:
            raw = np.fromiter(chain.from_iterable(line.scores for line in ranked), np.float64, len(found))
            mixed = mix(raw, said, offsets_of(lengths), self.rankings.scale, self.interpolation)
            chosen = order(mixed, found, owners)
            scores[asked] = mixed[chosen]
        source[asked] = asked[found[chosen]]
        evidence[asked] = said[chosen]
        return FinalOrder(
            source=source,
            scores=scores,
            evidence=evidence,
            nil=np.array([line.nil for line in ranked], np.bool_),
            failed=np.array([line.status == FAILED for line in ranked], np.bool_),
        )

    def _foreign(self, ranked: Sequence[RankingLine], lines: Sequence[CandidateLine]) -> DataError:
        depth = self.rerank_depth
        wrong = next(
            ranking.mention_id
            for ranking, line in zip(ranked, lines, strict=True)
            if sorted(ranking.concepts) != sorted(line.concepts[:depth])
        )
        return DataError(
            f"the ranking of {wrong} is not one of its first {depth} candidates",
            where=self.rankings.path,
            why="one of the two logs was changed, or belongs to another run",
            hint="repeat the run with --fresh",
        )


def coded(lists: Sequence[Sequence[str]], numbers: dict[str, int]) -> Ints:
    """A number for each id of all lists, the same for the same id; `numbers` remembers them."""
    ids = chain.from_iterable(lists)
    return np.fromiter((numbers.setdefault(concept, len(numbers)) for concept in ids), np.int64)


def evidence_of(ranked: Sequence[RankingLine]) -> Floats:
    """The evidence of all ranked candidates, NaN where there is none."""
    return np.array(
        [
            np.nan if value is None else value
            for line in ranked
            for value in (line.evidence or [None] * len(line.concepts))
        ],
        np.float64,
    )


class Joiner:
    """Reads the candidate log beside the mentions of a run, in one go.

    Args:
        lines: The lines of the candidate log.
        path: The log, for errors.
        gold: Gives a mention's gold; called in order.
        protocol: How candidates are counted.
        reordering: Applies the rankings; None where nothing ranked.
    """

    def __init__(
        self,
        lines: Iterator[CandidateLine],
        path: Path,
        gold: ResolveGold,
        protocol: ScoringProtocol,
        reordering: Reordering | None,
    ) -> None:
        self._lines = lines
        self._path = path
        self._gold = gold
        self._protocol = protocol
        self._reordering = reordering

    def join(self, mentions: Sequence[LabelledMention]) -> Block:
        """The next mentions of the run with their candidates.

        Under the policy `nil=skip` mentions whose gold is in no knowledge base are left out.

        Raises:
            DataError: The log has another mention in their place.
        """
        golds = list(map(self._gold, mentions))
        kept = np.array([self._protocol.nil == "count" or gold.in_kb for gold in golds], np.bool_)
        lines: list[CandidateLine] = []
        parts: list[int] = []
        for mention, keep in zip(mentions, kept.tolist(), strict=True):
            found = [self._next(part) for part in part_ids(mention, self._protocol)]
            if keep:
                lines += found
                parts.append(len(found))
        linked, gold = list(compress(mentions, kept)), list(compress(golds, kept))
        offsets = offsets_of([len(line.concepts) for line in lines])
        return Block(
            mentions=linked,
            kept=kept,
            gold=gold,
            gold_offsets=offsets_of([len(found.ids) for found in gold]),
            lines=lines,
            parts=offsets_of(parts),
            offsets=offsets,
            places=gold_ranks(
                (line.concepts for line in lines),
                chain.from_iterable(repeat(found.ids, n) for found, n in zip(gold, parts, strict=True)),
            ),
            final=None
            if self._reordering is None
            else self._reordering.apply([m.id for m in linked], lines, offsets),
            mapped=sum(found.ids != m.gold for found, m in zip(golds, mentions, strict=True)),
        )

    def _next(self, mention_id: str) -> CandidateLine:
        line = next(self._lines, None)
        if line is None or line.mention_id != mention_id:
            found = "its end" if line is None else line.mention_id
            raise DataError(
                f"the candidates log has {found} where {mention_id} should be",
                where=self._path,
                hint="repeat the run with --fresh",
            )
        return line

    def check_end(self) -> None:
        """Make sure that the log holds nothing beyond the run's mentions.

        Raises:
            DataError: It does.
        """
        line = next(self._lines, None)
        if line is not None:
            raise DataError(
                f"the candidates log has {line.mention_id}, which is no mention of the run",
                where=self._path,
                hint="repeat the run with --fresh",
            )
