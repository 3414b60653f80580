"""Pack a table of open names for `bioelx_bench_aliases/open_names`, the same to the byte each time.

    python tools/pack_open_names.py aliases.tsv plugins/aliases/bioelx_bench_aliases/open_names

The table has the columns cui, lang, name, source and identifier. Rows under a share-alike licence come into a file of
their own. Of keys that are words only the kind is kept: their glosses are Wiktionary's, and no part of a name.
"""

from __future__ import annotations

import lzma
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HEADER = ("cui", "lang", "name", "source", "item", "joined_by")
WORD_KEYS = frozenset({"en", "en2", "de", "la"})


def is_share_alike(source: str) -> bool:
    """Whether names of a source are under CC BY-SA."""
    return source.startswith("Wiktionary") or source == "OMW-wikt"


def read_rows(table: Path) -> Iterator[tuple[str, ...]]:
    """The rows as they are packed."""
    with table.open(encoding="utf-8", newline="") as file:
        next(file)
        for line in file:
            cui, language, name, source, identifier = line.rstrip("\n").split("\t")
            items, key = split_identifier(identifier)
            yield cui, language, name, source, items, key


def split_identifier(identifier: str) -> tuple[str, str]:
    """The source's own identifiers, and the kind of key by which the name came to its concept."""
    items: list[str] = []
    for part in identifier.split("|"):
        kind = part.partition(":")[0]
        if kind in WORD_KEYS:
            return "|".join(items), kind
        items.append(part)
    return "|".join(items), "id"


def pack(rows: Iterable[tuple[str, ...]], target: Path) -> None:
    """Write sorted rows as a compressed table."""
    lines = ["\t".join(row) + "\n" for row in (HEADER, *sorted(rows))]
    data = lzma.compress(
        "".join(lines).encode(),
        format=lzma.FORMAT_XZ,
        check=lzma.CHECK_CRC64,
        preset=9 | lzma.PRESET_EXTREME,
    )
    target.write_bytes(data)


def main() -> None:
    """Command line."""
    table, folder = map(Path, sys.argv[1:])
    rows = list(read_rows(table))
    pack((row for row in rows if is_share_alike(row[3])), folder / "share_alike.tsv.xz")
    pack((row for row in rows if not is_share_alike(row[3])), folder / "permissive.tsv.xz")


if __name__ == "__main__":
    main()
