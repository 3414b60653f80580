"""The JSON form of candidates and rankings in a run's append-only logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bioelx_bench.records import Candidate, Ranking, Usage


def candidates_record(mention_id: str, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """One line of `candidates.jsonl`."""
    return {"mention_id": mention_id, "candidates": [[c.concept_id, c.score, c.name] for c in candidates]}


def candidates_of(record: Mapping[str, Any]) -> list[Candidate]:
    """The candidates of a line of either log."""
    return [Candidate(concept, score, name) for concept, score, name in record["candidates"]]


def ranking_record(ranking: Ranking) -> dict[str, Any]:
    """One line of `rankings.jsonl`."""
    usage = ranking.usage
    return {
        "mention_id": ranking.mention_id,
        "candidates": [[c.concept_id, c.score, c.name] for c in ranking.candidates],
        "status": ranking.status,
        "fallbacks": dict(ranking.fallbacks),
        "nil": ranking.nil,
        "usage": {
            "calls": usage.calls,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": usage.cost_usd,
        },
    }


def ranking_of(record: Mapping[str, Any]) -> Ranking:
    """The ranking of a line of `rankings.jsonl`."""
    return Ranking(
        mention_id=record["mention_id"],
        candidates=tuple(candidates_of(record)),
        status=record["status"],
        usage=Usage(**record["usage"]),
        fallbacks=record["fallbacks"],
        nil=record["nil"],
    )
