"""Spreading calls over time, so that many answers do not come back at one moment.

Calls that begin together are prepared in turns by one event loop, so that all are sent only when the last is ready;
their answers then come together too, and the next calls begin together. With 32 calls of 200 ms and 3 ms of work,
that costs a fifth of the possible rate (`benchmarks/llm`). Once calls begin one after another they stay so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SPREAD: Final = 0.75
"""Least time between two beginnings, as a share of what it would be if they were spread evenly. Below 1, so that
calls can become more frequent than they were."""

MAX_GAP_SECONDS: Final = 0.1
"""A first call that loads a model may take minutes; what follows must not wait for that."""

MEMORY: Final = 0.1
"""Weight of the newest call in the mean duration."""


@dataclass(slots=True)
class Pacer:
    """Says when a call may begin.

    Attributes:
        concurrency: Calls that may be under way at once.
    """

    concurrency: int
    _duration: float = 0.0
    _next: float = 0.0

    def delay(self, now: float) -> float:
        """Seconds until the call that asks may begin; its place is taken.

        Args:
            now: Time in seconds, from any deadline that never goes back.
        """
        begin = max(now, self._next)
        self._next = begin + min(SPREAD * self._duration / self.concurrency, MAX_GAP_SECONDS)
        return begin - now

    def observe(self, duration: float) -> None:
        """Take in how many seconds a call took."""
        self._duration += (MEMORY if self._duration else 1.0) * (duration - self._duration)
