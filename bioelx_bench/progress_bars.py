"""The look of the progress bars; imported only when one is shown, since rich takes time to import."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.text import Text


class RateColumn(ProgressColumn):
    """Units per second, by the name of the unit."""

    def render(self, task: RichTask) -> Text:
        """Render the task's rate, a dash before it is known."""
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "it")
        return Text(
            f"– {unit}/s"
            if speed is None
            else f"{speed:,.0f} {unit}/s"
            if speed >= 10
            else f"{speed:.1f} {unit}/s"
        )


def make_bars() -> Progress:
    """A rich progress display on stderr that disappears when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
