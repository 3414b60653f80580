"""Tables for notebooks, everything in them escaped: texts of data sets and knowledge bases are foreign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a caption.

    Args:
        caption: What it shows.
        head: Names of the columns; empty for none.
        rows: The cells.
    """
    names = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>" if head else ""
    lines = "".join(f"<tr>{''.join(f'<td>{escape(str(c))}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{names}{lines}</table>"
