"""What every metric must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from bioelx_bench.metrics import NO_HIT, Hits, Metric
from bioelx_bench.testing.component import ComponentConformance, expect

DEPTH = 20
GOLD: tuple[tuple[int, ...], ...] = (
    (1,),
    (3,),
    (NO_HIT,),
    (2, 5),
    (1, 2, NO_HIT),
    (DEPTH,),
    (NO_HIT, NO_HIT),
)
"""Ranks of the gold of some mentions: first, later, never, several, some of them, at the very end."""


def make_hits(ranks: Sequence[Sequence[int]], depth: int = DEPTH) -> Hits:
    """Hits of mentions whose gold concepts stand at these ranks of lists of length `depth`."""
    gold = [[f"G{m}-{i}" for i in range(len(of_mention))] for m, of_mention in enumerate(ranks)]
    lists = [
        [
            gold[m][list(of_mention).index(place)] if place in of_mention else f"X{place}"
            for place in range(1, depth + 1)
        ]
        for m, of_mention in enumerate(ranks)
    ]
    return Hits(
        ranks=np.array([min(r) for r in ranks], np.int32),
        gold_ranks=np.array([x for r in ranks for x in sorted(r)], np.int32),
        gold_offsets=np.cumsum([0, *map(len, ranks)], dtype=np.int64),
        depth=depth,
        cutoffs=(1, 5, depth),
        lists=lambda: lists,
        gold=lambda: gold,
    )


class MetricConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_metric`; pytest then runs every check.

    Attributes:
        higher_is_better: Whether a gold concept further ahead must not lower a value; None where neither holds.
    """

    higher_is_better: ClassVar[bool | None] = True

    @classmethod
    @abstractmethod
    def make_metric(cls) -> Metric:
        """The metric: a function from `metrics.Hits` to values by figure name."""

    def values(self, ranks: Sequence[Sequence[int]]) -> Mapping[str, npt.NDArray[np.float64]]:
        """The metric's values, checked for their form."""
        hits = make_hits(ranks)
        before: list[npt.NDArray[Any]] = [hits.ranks.copy(), hits.gold_ranks.copy(), hits.gold_offsets.copy()]
        values = self.make_metric()(hits)
        after: list[npt.NDArray[Any]] = [hits.ranks, hits.gold_ranks, hits.gold_offsets]
        same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        expect(same, "the metric changes the arrays that it is given", "other metrics see them too")
        expect(
            isinstance(values, Mapping) and values,
            f"the metric gives {type(values).__name__}, not a mapping of figure names to arrays",
            "every figure becomes a column of the table",
        )
        for name, array in values.items():
            expect(
                isinstance(name, str) and re.fullmatch(r"[a-z0-9][a-z0-9._@-]*", name),
                f"the figure name {name!r} must be lower-case letters, digits, '.', '_', '@', '-'",
                "it is a column, and a key of result.json",
            )
            shape = np.shape(array)
            expect(
                shape == (len(ranks),),
                f"{name} has the shape {shape}, not one value a mention ({len(ranks)},)",
                "averages, slices, intervals and tests are all made from values of mentions",
            )
            expect(
                np.isfinite(array).all(), f"{name} is not finite somewhere", "a mean over it would be lost"
            )
        return values

    def test_gives_one_finite_value_a_mention(self) -> None:
        self.values(GOLD)

    def test_no_mentions_give_no_values(self) -> None:
        self.values([])

    def test_a_mention_counts_alike_wherever_it_stands(self) -> None:
        forwards, backwards = self.values(GOLD), self.values(GOLD[::-1])
        alone = {name: [float(self.values([g])[name][0]) for g in GOLD] for name in forwards}
        for name in forwards:
            expect(
                np.allclose(forwards[name], backwards[name][::-1])
                and np.allclose(forwards[name], alone[name]),
                f"{name} of a mention depends on the other mentions",
                "slices and resamples take mentions out of their order",
            )

    def test_better_ranks_are_not_worse(self) -> None:
        if self.higher_is_better is None:
            pytest.skip("skipped: this metric does not promise an order")
        sign = 1 if self.higher_is_better else -1
        order: list[tuple[int, ...]] = [(NO_HIT,), (DEPTH,), (9,), (5,), (2,), (1,)]
        for name, array in self.values(order).items():
            expect(
                (np.diff(array) * sign >= 0).all(),
                f"{name} gets worse when the gold moves ahead: {[float(v) for v in array]} for the ranks none, "
                f"{DEPTH}, 9, 5, 2, 1; set higher_is_better if that is meant",
                "tables mark the best value",
            )
