"""From a strategy's findings to a ranking: always a permutation of the candidates that went in."""

from __future__ import annotations

from collections.abc import Sequence

from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench_llm.strategies.base import Verdict


def assemble(mention: Mention, candidates: Sequence[Candidate], verdict: Verdict) -> Ranking:
    """Order candidates by the model's evidence, ties in the retriever's order.

    The retriever's raw scores stay with the candidates and the evidence stands apart, so that the two can be mixed
    later without asking again. A candidate of which the model said nothing stands behind those it spoke of. Where
    it said nothing at all, the retriever's order stands and there is no evidence.
    """
    known = [(value, place) for place, value in enumerate(verdict.evidence) if value is not None]
    silent = [place for place, value in enumerate(verdict.evidence) if value is None]
    order = [place for _, place in sorted(known, key=lambda pair: (-pair[0], pair[1]))] + silent
    status = status_of(verdict)
    return Ranking(
        mention_id=mention.id,
        candidates=tuple(candidates[place] for place in order),
        evidence=tuple(verdict.evidence[place] for place in order) if known else None,
        status=status,
        usage=verdict.usage,
        fallbacks=dict(sorted(verdict.fallbacks.items())),
        nil=verdict.nil,
        error=verdict.failures[-1].message if status == "failed" and verdict.failures else "",
    )


def status_of(verdict: Verdict) -> str:
    """`ok`; `repaired` (all candidates judged, something mended); `partial`; `unparsed`; `failed` (no answer)."""
    if not verdict.fallbacks:
        return "ok"
    said = [value is not None for value in verdict.evidence]
    if all(said):
        return "repaired"
    if any(said):
        return "partial"
    return "failed" if verdict.usage.calls == 0 else "unparsed"
