"""The rows of a run as a data frame, with the texts of its dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bioelx_bench.errors import DataError
from bioelx_bench.records import LabelledMention

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from bioelx_bench.kb.store import KnowledgeBase


def mention_frame(
    predictions: pa.Table,
    mentions: Callable[[], Mapping[str, Iterable[LabelledMention]]] | None,
    kb: KnowledgeBase | None,
) -> pd.DataFrame:
    """One row a mention (see `RunResult.to_pandas`).

    Args:
        predictions: What the run holds.
        mentions: Gives the mentions of each subset, or None.
        kb: Gives names of gold concepts, or None.

    Raises:
        DataError: The dataset lacks a mention of the run.
    """
    import pandas as pd

    frame = predictions.to_pandas()  # ranks are floats, NaN for no hit, so that comparing them needs no care
    if mentions is not None:
        texts = texts_of(set(frame["mention_id"]), mentions())
        missing = next((m for m in frame["mention_id"] if m not in texts), None)
        if missing is not None:
            raise DataError(
                f"the dataset has no mention {missing}", hint="give the revision that the run had"
            )
        columns = pd.DataFrame.from_dict(
            {m: texts[m] for m in frame["mention_id"]},
            orient="index",
            columns=["language", "mention", "context", "semantic_types"],
        ).reset_index(drop=True)
        frame = pd.concat([frame, columns], axis=1)
    if kb is not None:
        names: dict[str, str | None] = {}

        def name_of(concept: str) -> str | None:
            if concept not in names:
                row = kb.concept_row(concept)
                names[concept] = None if row is None else kb.name_text(int(kb.name_offsets[row]))
            return names[concept]

        frame["gold_names"] = [[name_of(concept) for concept in gold] for gold in frame["gold"]]
    return frame


def texts_of(
    wanted: set[str], mentions: Mapping[str, Iterable[LabelledMention]]
) -> dict[str, tuple[Any, ...]]:
    """Language, text, context and semantic types of the mentions that are wanted."""
    return {
        m.id: (m.language, m.text, m.document.text, list(m.semantic_types))
        for found in mentions.values()
        for m in found
        if m.id in wanted
    }
