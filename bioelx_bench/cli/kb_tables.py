"""How a knowledge base's manifest is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.kb.store import KnowledgeBase

SHOWN_ROWS: Final = 15


def show_kb(session: Session, kb: KnowledgeBase) -> None:
    """Print a knowledge base's manifest."""
    manifest = kb.manifest

    def human(console: Console) -> None:
        from rich.table import Table

        console.print(f"{kb.name}  {kb.folder}", style="bold", markup=False)
        console.print(f"sha256 {kb.sha256}")
        console.print(
            f"{len(kb):,} concepts, {kb.name_count:,} names, {manifest.definitions:,} definitions; "
            f"ids: {kb.id_scheme}"
        )
        table = Table("language", "names", "source", "names", box=None)
        languages, sources = counted(manifest.counts, "language:"), counted(manifest.counts, "source:")
        for row in range(min(SHOWN_ROWS, max(len(languages), len(sources)))):
            table.add_row(*cells(languages, row), *cells(sources, row))
        console.print(table)
        if (more := max(len(languages), len(sources)) - SHOWN_ROWS) > 0:
            console.print(f"  … and {more} more rows; --json shows all")
        for key, value in manifest.counts.items():
            if value and not key.startswith(("language:", "source:")):
                console.print(f"  {key}: {value:,}", markup=False)
        for file in manifest.files:
            console.print(f"  {file.path}  {file.sha256[:12]}  {file.licence or ''}", markup=False)

    session.emit({"folder": str(kb.folder), **manifest.model_dump(mode="json")}, human)


def counted(counts: dict[str, int], prefix: str) -> list[tuple[str, int]]:
    """The counts under one prefix, largest first."""
    found = [(key.removeprefix(prefix), n) for key, n in counts.items() if key.startswith(prefix)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def cells(rows: list[tuple[str, int]], row: int) -> tuple[str, str]:
    """Two cells of a table, empty where there is no such row."""
    return (rows[row][0], f"{rows[row][1]:,}") if row < len(rows) else ("", "")
