"""Calls are spread over time without slowing down what the endpoint can take."""

from __future__ import annotations

from bioelx_bench_llm.pacing import SPREAD, Pacer
from hypothesis import given
from hypothesis import strategies as st


def test_nothing_waits_before_a_duration_is_known() -> None:
    pacer = Pacer(4)
    assert [pacer.delay(10.0) for _ in range(4)] == [0.0] * 4


def test_calls_that_ask_at_once_begin_one_after_another() -> None:
    pacer = Pacer(4)
    pacer.observe(0.2)
    step = SPREAD * 0.2 / 4
    assert [round(pacer.delay(10.0), 9) for _ in range(3)] == [0.0, round(step, 9), round(2 * step, 9)]
    assert pacer.delay(11.0) == 0.0


@given(
    durations=st.lists(st.floats(0.001, 60), min_size=1, max_size=50),
    concurrency=st.integers(1, 64),
)
def test_a_call_never_waits_longer_than_the_slots_before_it_take(
    durations: list[float], concurrency: int
) -> None:
    pacer = Pacer(concurrency)
    for duration in durations:
        pacer.observe(duration)
    delays = [pacer.delay(0.0) for _ in range(concurrency)]
    assert delays == sorted(delays)
    assert delays[-1] <= SPREAD * max(durations)
