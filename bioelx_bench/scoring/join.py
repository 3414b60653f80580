"""Joining mentions with what the logs hold of them, block by block, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import DataError
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.runs.logs import CandidateLine, RankingLine
from bioelx_bench.scoring.gold import MAX_REMEMBERED
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
Codes = dict[str, int]
"""Codes of concepts as `gold.ConceptCodes` gives them."""

ResolveGold = Callable[[LabelledMention], tuple[tuple[str, ...], bool]]
CodeLists = Callable[[Sequence[Sequence[str]]], Ints]


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
        gold: Their gold as the knowledge base knows it.
        gold_codes: Its codes, one mention after the other.
        gold_offsets: Where each mention's gold begins, and the end.
        in_kb: Whether enough of it is in the knowledge base.
        lines: The candidates of each part of each mention.
        parts: Where each mention's parts begin in `lines`, and the end.
        codes: Codes of all candidates, one part after the other.
        offsets: Where each part's candidates begin, and the end.
        final: Their order after ranking; None where nothing ranked.
        mapped: Mentions of the block whose gold was mapped.
    """

    mentions: list[LabelledMention]
    gold: list[tuple[str, ...]]
    gold_codes: Ints
    gold_offsets: Ints
    in_kb: npt.NDArray[np.bool_]
    lines: list[CandidateLine]
    parts: Ints
    codes: Ints
    offsets: Ints
    final: FinalOrder | None
    mapped: int

    def __len__(self) -> int:
        return len(self.mentions)

    def ranks(self, match: Literal["any", "all"], *, ranked: bool) -> tuple[Ranks, Ranks]:
        """Ranks of the mentions and of their gold concepts (ascending), before or after ranking.

        A mention that was searched in parts counts as found where every part has hit.
        """
        counts = np.diff(self.gold_offsets)
        owners = np.repeat(np.arange(len(self)), counts)
        codes, gold = self.codes, self.gold_codes
        if ranked:
            assert self.final is not None  # noqa: S101 - asked for only where something ranked
            codes = codes[self.final.source]
            gold = np.where(self.final.nil[owners], -1, gold)
        sizes = np.diff(self.parts)
        found = np.zeros(len(self), np.int32)
        found_gold = np.zeros(len(gold), np.int32)
        for part in range(int(sizes.max(initial=0))):
            has = sizes > part
            inside = has[owners]
            ranks = np.zeros(len(gold), np.int32)
            ranks[inside] = gold_ranks(
                codes, self.offsets, gold[inside], (self.parts[:-1] + part)[owners[inside]]
            )
            part_ranks = np.where(has, mention_ranks(ranks, self.gold_offsets, match), 0)
            np.maximum(found, part_ranks, out=found)
            np.maximum(found_gold, ranks, out=found_gold)
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
        codes: Ints,
        offsets: Ints,
        coded: CodeLists,
    ) -> FinalOrder:
        """The order of a block's candidates: the ranked ones, then the rest as the retriever left them.

        Raises:
            DataError: A ranking is missing, or not one of these candidates.
        """
        ranked = self.rankings.lines(mention_ids)
        lengths = np.minimum(np.diff(offsets), self.rerank_depth)
        owners = np.repeat(np.arange(len(lines)), lengths)
        asked = spread(offsets[:-1], lengths)
        ranked_codes = coded([line.concepts for line in ranked])
        ranked_owners = np.repeat(np.arange(len(ranked)), [len(line.concepts) for line in ranked])
        found = positions(ranked_codes, ranked_owners, codes[asked], owners)
        if found is None:
            raise self._foreign(ranked, lines)
        source = np.arange(len(codes))
        scores, evidence = np.full(len(codes), np.nan), np.full(len(codes), np.nan)
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
        codes: Gives concepts their codes.
        gold: Gives a mention's gold, and whether enough of it is in the knowledge base; called in order.
        protocol: How candidates are counted.
        reordering: Applies the rankings; None where nothing ranked.
    """

    def __init__(
        self,
        lines: Iterator[CandidateLine],
        path: Path,
        codes: Codes,
        gold: ResolveGold,
        protocol: ScoringProtocol,
        reordering: Reordering | None,
    ) -> None:
        self._lines = lines
        self._path = path
        self._codes = codes
        self._gold = gold
        self._protocol = protocol
        self._reordering = reordering

    def join(self, mentions: Sequence[LabelledMention]) -> Block:
        """The next mentions of the run with their candidates.

        Under the policy `nil=skip` mentions whose gold is in no knowledge base are left out.

        Raises:
            DataError: The log has another mention in their place.
        """
        if len(self._codes) > MAX_REMEMBERED:
            self._codes.clear()
        kept: list[LabelledMention] = []
        gold: list[tuple[str, ...]] = []
        known: list[bool] = []
        lines: list[CandidateLine] = []
        parts: list[int] = []
        mapped = 0
        for mention in mentions:
            found = [self._next(part) for part in part_ids(mention, self._protocol)]
            current, in_kb = self._gold(mention)
            mapped += current != mention.gold
            if in_kb or self._protocol.nil == "count":
                kept.append(mention)
                gold.append(current)
                known.append(in_kb)
                lines += found
                parts.append(len(found))
        codes = self._coded([line.concepts for line in lines])
        offsets = offsets_of([len(line.concepts) for line in lines])
        return Block(
            mentions=kept,
            gold=gold,
            gold_codes=self._coded(gold),
            gold_offsets=offsets_of([len(ids) for ids in gold]),
            in_kb=np.array(known, np.bool_),
            lines=lines,
            parts=offsets_of(parts),
            codes=codes,
            offsets=offsets,
            final=None
            if self._reordering is None
            else self._reordering.apply([m.id for m in kept], lines, codes, offsets, self._coded),
            mapped=mapped,
        )

    def _coded(self, lists: Sequence[Sequence[str]]) -> Ints:
        return np.fromiter(map(self._codes.__getitem__, chain.from_iterable(lists)), np.int64)

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
