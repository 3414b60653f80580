"""Rerank: the endpoint's own rerank API, one request a mention."""

from __future__ import annotations

import math

from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Question, Verdict, ask


async def rerank(question: Question) -> Verdict:
    """Send the marked mention as the query and the candidates as documents.

    Scores outside [0, 1] are taken for logits and put through the logistic function. Repairs counted:
    `invented` (an index that was not sent), `duplicated`, `missing`.
    """
    tools, count = question.tools, len(question.candidates)
    verdict = Verdict([None] * count)
    request = Request(
        query=tools.prompt.render("query", question.values),
        documents=[
            tools.prompt.render("document", {**question.values, "candidate": question.card(i)})
            for i in range(count)
        ],
    )
    (answer,) = await ask(question, [request], verdict)
    if answer is None:
        return verdict
    scores: dict[int, float] = {}
    for index, score in answer.scores or ():
        if not 0 <= index < count:
            verdict.repairs["invented"] += 1
        elif index in scores:
            verdict.repairs["duplicated"] += 1
        else:
            scores[index] = score
    if any(not 0 <= score <= 1 for score in scores.values()):
        scores = {index: 1 / (1 + math.exp(-max(min(s, 700.0), -700.0))) for index, s in scores.items()}
    verdict.evidence = [scores.get(i) for i in range(count)]
    if len(scores) < count:
        verdict.repairs["missing"] += count - len(scores)
    said = list(scores.values())
    verdict.nil = tools.options.nil and bool(said) and max(said) < tools.options.nil_threshold
    return verdict
