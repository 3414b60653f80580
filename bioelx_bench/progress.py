"""Progress bars with rate and time left, on stderr, and none when stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Task:
    """One bar. All methods do nothing where no bar is shown."""

    def __init__(self, bars: RichProgress | None, identifier: TaskID | None) -> None:
        self._bars = bars
        self._identifier = identifier

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Move on by `amount` units; `note` replaces the short text at the end of the bar."""
        if self._bars is not None and self._identifier is not None:
            self._bars.advance(self._identifier, amount)
            if note is not None:
                self._bars.update(self._identifier, note=note)

    def set_total(self, total: float) -> None:
        """Say how many units there are, once that is known."""
        if self._bars is not None and self._identifier is not None:
            self._bars.update(self._identifier, total=total)


class Progress:
    """Shows several bars in one live display.

    Args:
        enabled: Whether to show anything; by default whether stderr is a terminal.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = sys.stderr.isatty() if enabled is None else enabled
        self._bars: RichProgress | None = None
        self._open = 0

    @contextmanager
    def task(
        self, description: str, total: float | None = None, unit: str = "it", done: float = 0
    ) -> Iterator[Task]:
        """Show a bar while the block runs.

        Args:
            description: What is being done, such as `Encoding names`.
            total: Number of units, or None while it is unknown.
            unit: The unit's name, for the rate (`names` shows as names/s).
            done: Units that an earlier process already did; they do not count towards the rate.
        """
        if not self.enabled:
            yield Task(None, None)
            return
        bars = self._start()
        identifier = bars.add_task(description, total=total, completed=int(done), unit=unit, note="")
        try:
            yield Task(bars, identifier)
        finally:
            bars.remove_task(identifier)
            self._stop()

    def _start(self) -> RichProgress:
        if self._bars is None:
            from bioelx_bench.progress_bars import make_bars

            self._bars = make_bars()
            self._bars.start()
        self._open += 1
        return self._bars

    def _stop(self) -> None:
        self._open -= 1
        if self._open == 0 and self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._open = 0
