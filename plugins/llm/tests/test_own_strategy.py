"""A strategy of another package is named by its import path, and its code is part of the run's id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from protocol_server import Running
from samples import items

from bioelx_bench.errors import MissingError, UsageError

MODULE = """
from pathlib import Path
from bioelx_bench_llm.requests import Request
from bioelx_bench_llm.strategies.base import Strategy, Verdict, ask

async def lengths(question):
    verdict = Verdict([])
    message = question.shared.prompt.messages({**question.values, "candidates": question.views})
    for answer in await ask(question, [Request(messages=message)], verdict):
        verdict.evidence = [float(-len(view.name)) for view in question.views]
    return verdict

MINE = Strategy(name="lengths", run=lengths, template=str(Path(__file__).with_name("lengths.jinja")))
OTHER = 3
"""


def test_a_strategy_of_another_package_ranks(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_strategies.py").write_text(MODULE)
    (tmp_path / "lengths.jinja").write_text(
        "{% block system %}{% endblock %}{% block user %}{{ mention }} {{ candidates[0].name }}{% endblock %}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Running() as server:
        ranker = make(api_base=server.base, strategy="my_strategies:MINE")
        (ranking,) = ranker.rank_many(items(1))
        assert ranking.status == "ok" and ranking.usage.calls == 1 and len(ranking.evidence or ()) == 10
    assert len(str(ranker.identity()["strategy_sha256"])) == 64
    with pytest.raises(UsageError, match="is no strategy"):
        make(strategy="my_strategies:OTHER")
    with pytest.raises(MissingError):
        make(strategy="my_strategies:ABSENT")
    with pytest.raises(UsageError, match="did you mean 'pointwise'"):
        make(strategy="pointwize")
