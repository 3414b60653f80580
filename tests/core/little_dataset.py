"""A benchmark of forty mentions in two subsets, as a plugin declares one."""

from __future__ import annotations

from collections.abc import Iterator

from bioelx_bench import hookimpl
from bioelx_bench.base import BaseDataset, DatasetRequest
from bioelx_bench.declarations import DatasetSpec
from bioelx_bench.records import Document, LabelledMention, Span

NAMES = (("diabetes mellitus", "C0011849"), ("asthma", "C0004096"), ("nobody knows", "C9999999"))


class Little(BaseDataset):
    def __init__(self, request: DatasetRequest) -> None:
        super().__init__()
        self.language = request.subset
        self.sources = {"little": "0" * 64}

    def mentions(self) -> Iterator[LabelledMention]:
        from pathlib import Path

        rows = [
            r.split("\t")
            for r in (Path(__file__).parent / "data" / "small_kb.tsv").read_text().splitlines()[1:]
        ]
        step = 3 if self.language == "en" else 5
        for number, row in enumerate(rows[:: step * 4][:20]):
            concept = next(c for c in row if c.startswith("C") and c[1:].isdigit())
            text = max(row, key=len)[:12]
            gold = (concept,) if number % 4 else ("C9999999",)
            document = Document(f"d{number // 2}", f"about {text} and more", self.language)
            yield LabelledMention(
                f"little/{self.language}/{number}",
                document,
                (Span(6, 6 + len(text)),),
                text,
                self.language,
                gold,
            )


@hookimpl
def datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="little",
            summary="Forty mentions",
            factory=f"{__name__}:Little",
            revisions=("1",),
            subsets=("en", "de"),
            licence="CC0-1.0",
            homepage="",
            context="sentence",
        )
    ]
