"""`bioelx-bench cache`: what is kept between runs, how much room it takes, and removing it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of finished or interrupted work.

    Attributes:
        kind: What it is: `kb`, `indexes`, `datasets`, ...
        key: Its folder's name.
        bytes: What it takes on disk.
        days: Days since it was last read or written.
        partial: Whether it was interrupted.
    """

    kind: str
    key: str
    bytes: int
    days: float
    partial: bool


def make_app() -> typer.Typer:
    """The `cache` commands."""
    app = typer.Typer(add_completion=False, no_args_is_help=True)
    app.command(name="list")(list_entries)
    app.command(name="size")(show_size)
    app.command(name="prune")(prune)
    return app


def list_entries(ctx: typer.Context) -> None:
    """List what the cache holds, the largest first."""
    session: Session = ctx.obj
    found = sorted(entries(session.cache.root), key=lambda entry: -entry.bytes)
    session.emit([asdict(entry) for entry in found], lambda console: show(console, found))


def show_size(ctx: typer.Context) -> None:
    """Show how much room each kind of work takes."""
    session: Session = ctx.obj
    sizes: dict[str, int] = {}
    for entry in entries(session.cache.root):
        sizes[entry.kind] = sizes.get(entry.kind, 0) + entry.bytes
    total = sum(sizes.values())
    lines = [
        f"{readable(size):>9}  {kind}" for kind, size in sorted(sizes.items(), key=lambda item: -item[1])
    ]
    text = "\n".join([*lines, f"{readable(total):>9}  in {session.cache.root}"])
    session.emit(
        {"folder": str(session.cache.root), "total": total, "kinds": sizes},
        lambda console: console.print(text, markup=False, soft_wrap=True),
    )


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        float | None, typer.Option(help="Remove what was not used for so many days.", min=0)
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Remove only this kind, such as indexes.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Remove only what was interrupted.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove; without it, what would be removed is shown.")
    ] = False,
) -> None:
    """Remove work that can be done again. Nothing is removed without --yes."""
    session: Session = ctx.obj
    if older_than is None and kind is None and not partial:
        raise UsageError(
            "say what to remove", where="cache prune", hint="--older-than DAYS, --kind KIND or --partial"
        )
    found = [
        entry
        for entry in entries(session.cache.root)
        if (older_than is None or entry.days >= older_than)
        and kind in (None, entry.kind)
        and (entry.partial or not partial)
    ]
    if yes:
        for entry in found:
            session.cache.discard(entry.kind, entry.key)
    total = readable(sum(entry.bytes for entry in found))
    words = (
        f"removed {len(found)}, {total}" if yes else f"would remove {len(found)}, {total}; repeat with --yes"
    )

    def print_all(console: Console) -> None:
        show(console, found)
        console.print(words, markup=False)

    session.emit({"removed": yes, "entries": [asdict(entry) for entry in found]}, print_all)


def entries(root: Path) -> list[Entry]:
    """Every folder of work in the cache."""
    kinds = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [
        entry_of(kind.name, folder) for kind in kinds for folder in sorted(kind.iterdir()) if folder.is_dir()
    ]


def entry_of(kind: str, folder: Path) -> Entry:
    """One folder of work."""
    size, used = 0, folder.stat().st_mtime
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found = path.stat()
            size += found.st_size
            used = max(used, found.st_mtime, found.st_atime)
    days = max(time.time() - used, 0) / 86_400
    return Entry(kind, folder.name, size, round(days, 2), folder.name.endswith(".partial"))


def readable(size: int) -> str:
    """Bytes in a unit that people read."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def show(console: Console, found: Sequence[Entry]) -> None:
    """Print entries, one a line."""
    for entry in found:
        state = "  interrupted" if entry.partial else ""
        line = f"{readable(entry.bytes):>9}  {entry.days:6.1f} days  {entry.kind}/{entry.key}{state}"
        console.print(line, markup=False, soft_wrap=True)
