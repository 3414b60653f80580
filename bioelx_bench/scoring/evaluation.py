"""Calling metrics and refusing what cannot be a metric's values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import BenchError, UsageError
from bioelx_bench.metrics import Hits, Metric
from bioelx_bench.options import load_object

if TYPE_CHECKING:
    from bioelx_bench.plugins import Plugins

DEFAULT_METRICS: Final = ("recall", "mrr", "map", "ndcg")
DEFAULT_CUTOFFS: Final = (1, 5, 10, 20, 50)
FIGURE_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*(@[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMetric:
    """A metric with where it comes from.

    Attributes:
        name: Its declared name.
        plugin: `plugin/name` of its declaration, for errors.
        function: The metric.
        bounds: The least and the greatest value a mention can have.
    """

    name: str
    plugin: str
    function: Metric
    bounds: tuple[float, float] = (0.0, 1.0)


def load_metrics(plugins: Plugins, names: Sequence[str] = DEFAULT_METRICS) -> tuple[NamedMetric, ...]:
    """Load declared metrics; `recall` is always the first.

    Raises:
        UsageError: A name is unknown.
        MissingError: A plugin that might declare it is broken.
    """
    loaded = []
    for name in dict.fromkeys(("recall", *names)):
        declared = plugins.get("metrics", name)
        function = load_object(declared.spec.factory, f"the metric {name!r}")
        loaded.append(
            NamedMetric(
                name=declared.spec.name,
                plugin=declared.qualified_name,
                function=function,
                bounds=declared.spec.bounds,
            )
        )
    return tuple(loaded)


def cutoffs_of(k: int, rerank_depth: int | None) -> tuple[int, ...]:
    """The k of figures: the usual ones up to the number retrieved, that number, and the number ranked."""
    extra = {k} if rerank_depth is None else {k, rerank_depth}
    return tuple(sorted({c for c in DEFAULT_CUTOFFS if c <= k} | extra))


def evaluate(metric: NamedMetric, hits: Hits) -> dict[str, npt.NDArray[np.float64]]:
    """The values of a metric's figures, each of shape (mentions,).

    Raises:
        BenchError: The metric fails, or gives what cannot be values of mentions.
    """
    try:
        answer = metric.function(hits)
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(
            f"the metric {metric.name!r} of {metric.plugin} failed: {type(error).__name__}: {error}",
            where=place_of(error),
            hint="leave the metric out, or report it to the plugin's author",
        ) from error
    if not isinstance(answer, Mapping):
        raise wrong(metric, f"returned {type(answer).__name__} where a mapping of figures is wanted")
    return {name: checked(metric, name, values, len(hits)) for name, values in answer.items()}


def checked(metric: NamedMetric, name: object, values: object, n: int) -> npt.NDArray[np.float64]:
    """One figure's values, if they can be such."""
    if not isinstance(name, str) or not FIGURE_NAME.fullmatch(name) or len(name) > 60:
        raise wrong(metric, f"named a figure {name!r}, which is no name such as 'recall@1'")
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise wrong(metric, f"gave {name!r} values that are no numbers") from error
    if array.shape != (n,):
        raise wrong(metric, f"gave {name!r} the shape {array.shape} in place of ({n},)")
    if not np.isfinite(array).all():
        raise wrong(metric, f"gave {name!r} a value that is not finite")
    low, high = metric.bounds
    if n and not (low - 1e-9 <= array.min() and array.max() <= high + 1e-9):
        raise wrong(metric, f"gave {name!r} a value outside its range from {low:g} to {high:g}")
    return array


def wrong(metric: NamedMetric, what: str) -> BenchError:
    """The error of a metric that breaks its contract."""
    return BenchError(
        f"the metric {metric.name!r} of {metric.plugin} {what}",
        why="a metric gives one finite value a mention for each figure (contract of bioelx_bench.metrics)",
        hint="leave the metric out, or report it to the plugin's author",
    )


def place_of(error: BaseException) -> str | None:
    """File and line at which an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def evaluate_all(metrics: Sequence[NamedMetric], hits: Hits) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Every figure of every metric, one metric at a time.

    Raises:
        UsageError: Two metrics have a figure of one name.
    """
    owners: dict[str, str] = {}
    for metric in metrics:
        for name, values in evaluate(metric, hits).items():
            if name in owners:
                raise UsageError(
                    f"the metrics {owners[name]!r} and {metric.name!r} both have a figure {name!r}",
                    hint="leave one of them out",
                )
            owners[name] = metric.name
            yield name, values
