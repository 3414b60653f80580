"""Rerank: the endpoint's own rerank API, one request a mention."""

from __future__ import annotations

from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Strategy, Verdict, ask, log_odds


async def rerank(question: Question) -> Verdict:
    """Send the marked mention as the query and the candidates as documents.

    The evidence is the score's log-odds where all scores lie in [0, 1], as most rerankers give them, else the score
    itself, which then is a logit. Fallbacks counted: `out_of_range` (an index that was not sent), `duplicated`,
    `missing`.
    """
    shared, count = question.shared, len(question.candidates)
    verdict = Verdict([None] * count)
    request = Request(
        query=shared.prompt.render("query", question.values),
        documents=[
            shared.prompt.render("document", {**question.values, "candidate": v}) for v in question.views
        ],
    )
    (answer,) = await ask(question, [request], verdict)
    if answer is None:
        return verdict
    scores: dict[int, float] = {}
    for index, score in answer.scores or ():
        if not 0 <= index < count:
            verdict.fallbacks["out_of_range"] += 1
        elif index in scores:
            verdict.fallbacks["duplicated"] += 1
        else:
            scores[index] = score
    if all(0 <= score <= 1 for score in scores.values()):
        scores = {index: log_odds(score) for index, score in scores.items()}
    verdict.evidence = [scores.get(i) for i in range(count)]
    if len(scores) < count:
        verdict.fallbacks["missing"] += count - len(scores)
    said = list(scores.values())
    verdict.nil = shared.options.nil and bool(said) and max(said) < 0
    return verdict


RERANK = Strategy(name="rerank", run=rerank, blocks=("query", "document"), endpoint="rerank")
