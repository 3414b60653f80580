"""Retries, limits, cost, the cache and the loop, against a real local server."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from bioelx_bench_llm.failures import retry_after
from bioelx_bench_llm.options import LlmOptions
from protocol_server import Behaviour, Running
from samples import items

from bioelx_bench.errors import BenchError, MissingError, UsageError


def test_answers_are_asked_for_once_and_shared_by_runs(make: Any) -> None:
    with Running() as server:
        first = list(make(api_base=server.base).rank_many(items(5)))
        asked = server.requests
        again = list(make(api_base=server.base).rank_many(items(5)))
        assert server.requests == asked == 50
    key = {r.mention_id: r for r in first}
    assert {r.mention_id: r for r in again} == key  # usage is the same too: it belongs to the answer
    assert all(r.usage.calls == 10 and r.usage.prompt_tokens > 0 for r in first)


def test_one_question_of_two_mentions_is_asked_once(make: Any) -> None:
    (mention, candidates), *_ = items(1)
    twice = [(mention, candidates), (type(mention)(**{**fields(mention), "id": "other"}), candidates)]
    with Running(Behaviour(delay=0.1)) as server:
        assert len(list(make(api_base=server.base).rank_many(twice))) == 2
        assert server.requests == len(candidates)


def fields(mention: Any) -> dict[str, Any]:
    return {name: getattr(mention, name) for name in type(mention).__slots__}


def test_a_rate_limit_is_waited_out_as_long_as_the_server_says(make: Any) -> None:
    with Running(Behaviour(faults=1.0, kinds=("429",), retry_after="1.0", content=False)) as server:
        started = time.monotonic()
        (ranking,) = make(api_base=server.base, strategy="listwise").rank_many(items(1))
        assert ranking.status == "ok"
        assert time.monotonic() - started >= 1.0 * server.faults["429"] >= 1.0


def test_only_our_layer_retries(make: Any) -> None:
    with Running(Behaviour(status=500)) as server:
        ranker = make(api_base=server.base, strategy="listwise", attempts=3, max_errors=1)
        (ranking,) = ranker.rank_many(items(1))
        assert ranking.status == "failed" and ranking.fallbacks == {"server_error": 1}
        assert server.requests == ranker.notes().counts["calls"] == 6  # three, and three at the end
    assert [c.concept_id for c in ranking.candidates] == [c.concept_id for c in items(1)[0][1]]


def test_a_refused_key_stops_the_run_with_the_command_that_mends_it(make: Any) -> None:
    with Running(Behaviour(status=401)) as server:
        with pytest.raises(MissingError, match="unauthorised") as caught:
            list(make(api_base=server.base).rank_many(items(50)))
        assert "api_key_env" in str(caught.value)
        assert server.requests < 100


def test_too_many_failures_stop_the_run_and_are_asked_again(make: Any) -> None:
    behaviour = Behaviour(status=500)
    with Running(behaviour) as server:
        options = {"api_base": server.base, "strategy": "listwise", "attempts": 1, "max_errors": 3}
        found = []
        with pytest.raises(BenchError, match="mentions failed"):
            found += list(make(**options).rank_many(items(30)))
        assert found == []
        behaviour.status = 200
        assert {r.status for r in make(**options).rank_many(items(30))} == {"ok"}


def test_max_cost_stops_with_everything_kept(make: Any) -> None:
    with Running() as server:
        options = {"api_base": server.base, "strategy": "listwise", "concurrency": 2}
        prices = {"price": "1000/1000"}
        found = []
        ranker = make(**options, **prices, max_cost=1.0)
        with pytest.raises(BenchError, match="US dollars are spent"):
            found.extend(ranker.rank_many(items(50)))
        spent = sum(r.usage.cost_usd for r in found)
        assert found and spent == pytest.approx(ranker.notes().facts["paid_usd"])
        assert 1.0 <= spent < 1.0 + 2 * max(r.usage.cost_usd for r in found)
        asked = server.requests
        rest = make(**options, **prices)
        assert len(list(rest.rank_many(items(50)))) == 50
        assert server.requests == 50 and asked == len(found)


@pytest.mark.parametrize(
    ("refused", "form"),
    [((), "json_schema"), (("json_schema",), "json_object_schema"), (("json_schema", "json_object"), "text")],
)
def test_a_form_that_the_server_refuses_gives_way_to_a_simpler_one(
    make: Any, refused: tuple[str, ...], form: str
) -> None:
    with Running(Behaviour(refuse_forms=refused)) as server:
        ranker = make(api_base=server.base, strategy="listwise")
        assert {r.status for r in ranker.rank_many(items(20))} == {"ok"}
        assert set(ranker.notes().facts["answer_forms"]) == {form}
        assert list(make(api_base=server.base, strategy="listwise").rank_many(items(20)))
        assert len(server.answered) == 20


def test_without_logprobs_the_word_counts_and_that_is_shown(make: Any) -> None:
    with Running(Behaviour(no_logprobs=True)) as server:
        (ranking,) = make(api_base=server.base).rank_many(items(1))
    assert ranking.status == "repaired" and ranking.fallbacks == {"logprobs_missing": 10}


def test_offline_allows_loopback_only(make: Any) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        make({"offline": True}, model="openai/gpt-4o-mini")
    with pytest.raises(UsageError, match="not on this machine"):
        make({"offline": True}, api_base="http://example.org/v1")
    make({"offline": True}, model="ollama_chat/llama3")
    with Running() as server:
        ranker = make({"offline": True}, api_base=server.base)
        assert next(ranker.rank_many(items(1))).status == "ok"


def test_a_consumer_that_stops_early_leaves_nothing_running(make: Any) -> None:
    with Running(Behaviour(delay=0.05)) as server:
        ranker = make(api_base=server.base)
        rankings = ranker.rank_many(iter(items(100)))
        next(rankings)
        rankings.close()
        ranker.close()
        asked = server.requests
        time.sleep(0.3)
        assert server.requests == asked < 200
    assert not any(t.name == "llm-calls" for t in threading.enumerate())


def test_concurrency_is_bounded_and_used(make: Any) -> None:
    with Running(Behaviour(delay=0.1)) as server:
        list(make(api_base=server.base, strategy="listwise", concurrency=7).rank_many(items(40)))
        assert 4 <= server.busiest <= 7


def test_nil_is_off_by_default(make: Any) -> None:
    with Running() as server:
        told = list(make(api_base=server.base, nil=True).rank_many(items(40, candidates=2)))
        assert {r.nil for r in told} == {True, False}
        assert all(r.nil == (max(e for e in r.evidence or () if e is not None) < 0) for r in told)
        assert not any(r.nil for r in make(api_base=server.base).rank_many(items(40, candidates=2)))


def test_shuffled_repeats_are_merged(make: Any) -> None:
    with Running() as server:
        merged = make(api_base=server.base, strategy="listwise", repeats=5)
        one = make(api_base=server.base, strategy="listwise")
        (many,), (single,) = merged.rank_many(items(1)), one.rank_many(items(1))
        assert many.usage.calls == 5
        # this server's order does not depend on positions, so that the merged order is the single one
        assert [c.concept_id for c in many.candidates] == [c.concept_id for c in single.candidates]
        shown = [b["messages"][-1]["content"] for b in server.bodies[:5]]
        assert len(set(shown)) > 1


@pytest.mark.parametrize(
    "values",
    [
        {"params": '{"api_key": "sk-1"}'},
        {"params": '{"extra_headers": {"Authorization": "x"}}'},
        {"params": "[1]"},
        {"api_base": "http://user:pass@host/v1"},
        {"api_base": "localhost:8000"},
        {"api_key_env": "sk-abc"},
        {"mix": 1.5},
        {"set_size": 1},
    ],
)
def test_options_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        LlmOptions(model="openai/x", **values)


class RefusedError(Exception):
    def __init__(self, value: str) -> None:
        self.response = self
        self.headers = {"retry-after": value}


@pytest.mark.parametrize(
    ("value", "seconds"), [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("x", None), ("nan", None), ("inf", 3600.0)]
)
def test_retry_after_is_read(value: str, seconds: float | None) -> None:
    assert retry_after(RefusedError(value)) == seconds


def test_retry_after_may_be_a_date() -> None:
    found = retry_after(RefusedError("Wed, 21 Oct 2099 07:28:00 GMT"))
    assert found == 3600.0
