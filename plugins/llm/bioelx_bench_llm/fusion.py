"""From evidence to a ranking: always a permutation of the candidates that went in."""

from __future__ import annotations

from collections.abc import Sequence

from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench_llm.strategies.base import Verdict


def assemble(mention: Mention, candidates: Sequence[Candidate], verdict: Verdict, fusion: float) -> Ranking:
    """Mix the model's evidence with the retriever's score and order by the result.

    A candidate's score is `(1 - fusion) * evidence + fusion * retriever`, both in [0, 1]. The evidence is used as
    it is: a model that is sure moves a candidate far, one that finds all alike leaves the retriever's
    order. The retriever's scores are stretched over [0, 1] within the list, since only their differences
    within a list mean anything.

    A candidate of which the model said nothing has evidence 0 and so stands behind those it spoke of, unless
    the retriever's share lifts it; ties keep the retriever's order. Where the model said nothing at all, the
    retriever's order and stretched scores stand.
    """
    retrieved = stretch([c.score for c in candidates])
    if any(e is not None for e in verdict.evidence):
        evidence = [min(max(e or 0.0, 0.0), 1.0) for e in verdict.evidence]
        scores = [(1 - fusion) * e + fusion * r for e, r in zip(evidence, retrieved, strict=True)]
        order = sorted(range(len(candidates)), key=lambda i: (-scores[i], i))
    else:
        scores = retrieved
        order = list(range(len(candidates)))
    return Ranking(
        mention_id=mention.id,
        candidates=tuple(Candidate(candidates[i].concept_id, scores[i], candidates[i].name) for i in order),
        status=status_of(verdict),
        usage=verdict.usage,
        fallbacks=dict(sorted(verdict.repairs.items())),
        nil=verdict.nil,
    )


def stretch(scores: Sequence[float]) -> list[float]:
    """Scores stretched over [0, 1], equal ones to 1."""
    if not scores:
        return []
    low, high = min(scores), max(scores)
    if high <= low:
        return [1.0] * len(scores)
    return [(score - low) / (high - low) for score in scores]


def status_of(verdict: Verdict) -> str:
    """`ok`; `repaired` (all candidates judged, something mended); `partial`; `unparsed`; `failed` (no answer)."""
    if not verdict.repairs:
        return "ok"
    said = [e is not None for e in verdict.evidence]
    if all(said):
        return "repaired"
    if any(said):
        return "partial"
    return "failed" if verdict.usage.calls == 0 else "unparsed"
