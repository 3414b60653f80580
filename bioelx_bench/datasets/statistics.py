"""Figures about a prepared subset: size, length, ambiguity, and how a knowledge base covers it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.records import LabelledMention
from bioelx_bench.scoring.surface import Surfaces, find_surfaces, surface_keys
from bioelx_bench.text import fold_text

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.progress import Progress

DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a knowledge base knows of the mentions.

    Attributes:
        concepts: The gold concepts that it holds.
        surfaces: The concepts that bear each mention's string as a name.
    """

    concepts: frozenset[str]
    surfaces: Surfaces


def find_coverage(parts: Sequence[PreparedSubset], kb: KnowledgeBase, progress: Progress) -> Coverage:
    """Look all gold concepts and surfaces of several subsets up, in one pass over the names."""
    gold: set[str] = set()
    texts: set[str] = set()
    for part in parts:
        for mention in part.mentions():
            gold.update(mention.gold)
            texts.add(mention.text)
    return Coverage(
        frozenset(concept for concept in gold if concept in kb),
        find_surfaces(kb, surface_keys(texts), progress),
    )


def describe_subset(part: PreparedSubset, coverage: Coverage) -> dict[str, Any]:
    """Figures of one subset as JSON; shares are of mentions, lengths are in characters.

    - `ambiguous`: the subset has the same string (case and width aside) with another gold elsewhere;
    - `covered`: a gold concept is in the knowledge base;
    - `exact`: a gold concept bears the mention's string as a name;
    - `seen`: any concept bears it; the others are unseen.
    """
    mentions = list(part.mentions())
    golds: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for mention in mentions:
        golds[fold_text(mention.text)].add(tuple(sorted(mention.gold)))
    surfaces = coverage.surfaces
    contexts = {mention.document.id: len(mention.document.text) for mention in mentions}
    return {
        "mentions": len(mentions),
        "documents": part.documents,
        "concepts": len({concept for mention in mentions for concept in mention.gold}),
        "surfaces": len(golds),
        "languages": sorted({mention.language for mention in mentions}),
        "mention_length": spread([len(mention.text) for mention in mentions]),
        "context_length": spread([length for length in contexts.values() if length]),
        "several_gold": share(mentions, [len(mention.gold) > 1 for mention in mentions]),
        "discontinuous": share(mentions, [len(mention.spans) > 1 for mention in mentions]),
        "ambiguous": share(mentions, [len(golds[fold_text(mention.text)]) > 1 for mention in mentions]),
        "covered": share(mentions, [not coverage.concepts.isdisjoint(mention.gold) for mention in mentions]),
        "exact": share(mentions, [surfaces.is_exact(mention.text, mention.gold) for mention in mentions]),
        "seen": share(mentions, [surfaces.is_name(mention.text) for mention in mentions]),
        "counts": part.counts,
        "sha256": part.sha256,
    }


def share(mentions: Sequence[LabelledMention], flags: Sequence[bool]) -> float:
    """The share of mentions for which a flag is set."""
    return round(sum(flags) / len(mentions), DIGITS) if mentions else 0.0


def spread(lengths: Sequence[int]) -> dict[str, float] | None:
    """Median, mean and largest of some lengths; None if there are none."""
    if not lengths:
        return None
    return {
        "median": float(statistics.median(lengths)),
        "mean": round(statistics.fmean(lengths), 1),
        "largest": max(lengths),
    }
