"""A benchmark's subset, parsed and memory-mapped: mentions as objects, or columns where no objects are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from bioelx_bench.datasets.schema import mentions_of
from bioelx_bench.records import LabelledMention

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

BATCH: Final = 1000
GOLD_COLUMNS: Final = ("id", "document_id", "mention", "language", "gold")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSubset:
    """One subset of a benchmark.

    Attributes:
        name: Name of the dataset.
        revision: Its revision, never None; of a sample with size and seed (see `datasets.samples`).
        subset: Language or corpus part.
        split: Split, never None.
        sha256: Hash of the mentions' content, whatever the layout of the files on disk.
        sources: sha256 of each upstream file that was read, by its upstream path.
        id_scheme: Scheme of the gold ids.
        needs_match: The scoring policy `match` for which the gold was read; None where it does not matter.
        oddities: Mentions with each kind of oddity; `docs/datasets.md` says what each means.
        left_out: What gave no mention, by kind: rows without gold, documents without a mention.
        documents: Number of documents, those without a mention included.
        rows: The rows, in upstream order, with the columns of `bioelx_bench.datasets.schema`, memory-mapped.
        path: The file they are mapped from.
        about: Description, homepage and license, for `datasets.DatasetInfo`.
    """

    name: str
    revision: str
    subset: str
    split: str
    sha256: str
    sources: Mapping[str, str]
    id_scheme: str
    needs_match: Literal["any", "all"] | None
    oddities: Mapping[str, int]
    left_out: Mapping[str, int]
    documents: int
    rows: pa.Table
    path: Path
    about: Mapping[str, str]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def dataset(self) -> Dataset:
        """The rows as a `datasets.Dataset`, without a copy."""
        from datasets import Dataset, DatasetInfo, NamedSplit
        from datasets.table import MemoryMappedTable

        from bioelx_bench.datasets.schema import features

        info = DatasetInfo(features=features(), **self.about)
        table = MemoryMappedTable(self.rows, str(self.path))
        return Dataset(table, info=info, split=NamedSplit(self.split), fingerprint=self.sha256[:16])

    @property
    def counts(self) -> dict[str, int]:
        """All oddities of the subset, those that gave no mention included."""
        return dict(sorted((Counter(self.oddities) + Counter(self.left_out)).items()))

    def counts_of(self, limit: int | None = None) -> dict[str, int]:
        """Oddities by kind among the first `limit` mentions (None: all): what a result of these mentions must say."""
        if limit is None or limit >= len(self):
            return dict(self.oddities)
        import pyarrow.compute as pc

        values = pc.list_flatten(self.table(("oddities",), limit).column("oddities"))
        return dict(sorted(Counter(values.to_pylist()).items()))

    def mentions(self) -> Iterator[LabelledMention]:
        """Every mention, in upstream order, in little memory; mentions of one document share it."""
        document = None
        for batch in self.rows.to_batches(max_chunksize=BATCH):
            for mention in mentions_of(batch, document):
                document = mention.document
                yield mention

    def table(self, columns: Sequence[str], limit: int | None = None) -> Any:
        """Columns of the schema as a `pyarrow.Table`, without a copy and without an object for each mention.

        Args:
            columns: Names of columns of `bioelx_bench.datasets.schema`.
            limit: Only the first so many mentions, or None.
        """
        table = self.rows.select(list(columns))
        return table if limit is None else table.slice(0, limit)

    def gold_table(self, limit: int | None = None) -> Any:
        """`id`, `document_id`, `mention`, `language` and `gold` of each mention: what scoring needs; see `table`."""
        return self.table(GOLD_COLUMNS, limit)

    def _repr_html_(self) -> str:
        head = f"{self.name}@{self.revision} {self.subset} {self.split}: {len(self):,} mentions"
        cells = self.table(("id", "mention", "gold", "context"), 5).to_pylist()
        rows = "".join(
            f"<tr><td>{escape(row['id'])}</td><td>{escape(row['mention'])}</td>"
            f"<td>{escape(', '.join(row['gold']))}</td><td>{escape(row['context'][:200])}</td></tr>"
            for row in cells
        )
        return (
            f"<table><caption>{escape(head)}</caption>"
            f"<tr><th>id</th><th>mention</th><th>gold</th><th>context</th></tr>{rows}</table>"
        )
