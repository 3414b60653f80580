"""The charts of a report as Vega-Lite specifications: on the page and, drawn by the same library, in papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bioelx_bench_report.analysis import OUTCOMES, Row

Spec = dict[str, Any]

PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
"""Okabe and Ito's colours, which people with any colour vision tell apart."""

OUTCOME_COLOURS: Final = ("#009E73", "#56B4E9", "#D55E00", "#E69F00", "#B07AA1", "#9A9A9A")
PERCENT: Final = ".0%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        name: For files and anchors.
        title: Its heading.
        note: What a reader must know, one or two sentences.
        spec: Vega-Lite, without width.
    """

    name: str
    title: str
    note: str
    spec: Spec


def base(rows: Sequence[Row], height: int | Spec) -> Spec:
    """What every chart has."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": list(rows)},
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": "transparent",
    }


def recall_axis(title: str) -> Spec:
    """A vertical axis of shares."""
    return {
        "field": "recall",
        "type": "quantitative",
        "title": title,
        "axis": {"format": PERCENT, "tickCount": 6},
    }


def run_colour(labels: Sequence[str], shown: Sequence[str] | None = None) -> Spec:
    """The colour of a run, the same in every chart; `shown` are the runs that a chart has."""
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(labels))]
    legend: Spec = {"orient": "bottom", "direction": "vertical", "title": None, "labelLimit": 330}
    if shown is not None:
        legend["values"] = list(shown)
    return {
        "field": "run",
        "type": "nominal",
        "scale": {"domain": list(labels), "range": colours},
        "legend": legend,
    }


def curve_chart(rows: Sequence[Row], labels: Sequence[str]) -> Chart:
    """Recall@k over k."""
    spec = base(rows, 280) | {
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": {
                "field": "k",
                "type": "quantitative",
                "scale": {"type": "log", "domain": [1, max(row["k"] for row in rows)], "nice": False},
                "title": "k (logarithmic)",
            },
            "y": recall_axis("Recall@k, mean of subsets"),
            "color": run_colour(labels),
            "strokeDash": {
                "field": "stage",
                "type": "nominal",
                "scale": {"domain": ["retrieval", "ranking"], "range": [[5, 3], [1, 0]]},
                "legend": {"orient": "bottom", "title": None},
            },
            "tooltip": tooltips("run", "stage", "k", recall="Recall@k"),
        },
    }
    return Chart(
        name="recall-curves",
        title="Recall@k",
        note="Dashed: as retrieved. Solid: after ranking.",
        spec=spec,
    )


def language_chart(rows: Sequence[Row], label: str, number: int, most: float) -> Chart:
    """Recall@1 of each stage by subset before the ceiling; `most` is where the axis ends in all of them."""
    subsets = list(dict.fromkeys(row["subset"] for row in rows))
    stages = [s for s in ("retrieval", "ranking") if any(row["stage"] == s for row in rows)]
    x = {
        "field": "subset",
        "type": "nominal",
        "sort": subsets,
        "title": None,
        "axis": {"labelAngle": 0},
        "scale": {"paddingInner": 0.25},
    }
    ceiling = {
        "transform": [{"filter": f"datum.stage == '{stages[0]}'"}],
        "mark": {"type": "bar", "color": "#999999", "opacity": 0.3},
        "encoding": {
            "x": x,
            "y": {"field": "ceiling", "type": "quantitative", "scale": {"domain": [0, most]}},
            "tooltip": tooltips("subset", ceiling="Ceiling", coverage="Coverage"),
        },
    }
    stage_colour = {
        "field": "stage",
        "type": "nominal",
        "scale": {"domain": stages, "range": [PALETTE[5], PALETTE[0]][: len(stages)]},
        "legend": {"orient": "bottom", "title": None},
    }
    bars = {
        "mark": {"type": "bar"},
        "encoding": {
            "x": x,
            "xOffset": {"field": "stage", "type": "nominal", "sort": stages},
            "y": recall_axis("Recall@1"),
            "color": stage_colour,
            "tooltip": tooltips("subset", "stage", recall="Recall@1", ceiling="Ceiling"),
        },
    }
    return Chart(
        name=f"languages-{number}",
        title=f"Recall@1 by subset: {label}",
        note="Grey: the ceiling, the share of mentions whose gold is among the candidates that were ranked "
        "(without a ranker: retrieved).",
        spec=base(rows, 240) | {"layer": [ceiling, bars]},
    )


def error_chart(rows: Sequence[Row], label: str, number: int) -> Chart:
    """What became of the mentions of each subset."""
    subsets = list(dict.fromkeys(row["subset"] for row in rows))
    shown = [name for name in OUTCOMES if any(row["outcome"] == name for row in rows)]
    colours = [OUTCOME_COLOURS[OUTCOMES.index(name)] for name in shown]
    spec = base(rows, {"step": 22}) | {
        "mark": {"type": "bar"},
        "encoding": {
            "y": {"field": "subset", "type": "nominal", "sort": subsets, "title": None},
            "x": {
                "field": "share",
                "type": "quantitative",
                "stack": "zero",
                "title": "share of mentions",
                "scale": {"domain": [0, 1]},
                "axis": {"format": PERCENT, "tickCount": 6},
            },
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": shown, "range": colours},
                "legend": {"orient": "bottom", "title": None, "columns": 2},
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [*tooltips("subset", "outcome", share="Share"), {"field": "mentions", "format": ","}],
        },
    }
    return Chart(
        name=f"errors-{number}",
        title=f"Where mentions are lost: {label}",
        note="Each mention is in one part. Won and lost: first after ranking and not before, and the reverse.",
        spec=spec,
    )


def calibration_chart(rows: Sequence[Row], labels: Sequence[str], shown: Sequence[str], note: str) -> Chart:
    """How often the ranker is right by how sure it is."""
    scale = {"domain": [0, 1]}
    diagonal = {
        "data": {"values": [{"v": 0}, {"v": 1}]},
        "mark": {"type": "line", "color": "#999999", "strokeDash": [2, 2]},
        "encoding": {
            "x": {"field": "v", "type": "quantitative", "scale": scale},
            "y": {"field": "v", "type": "quantitative", "scale": scale},
        },
    }
    points = {
        "mark": {"type": "line", "point": {"size": 50}},
        "encoding": {
            "x": {
                "field": "confidence",
                "type": "quantitative",
                "title": "confidence of the ranker",
                "axis": {"format": PERCENT},
            },
            "y": {
                "field": "accuracy",
                "type": "quantitative",
                "title": "share that is right",
                "axis": {"format": PERCENT},
            },
            "color": run_colour(labels, shown),
            "tooltip": [
                *tooltips("run", confidence="Confidence", accuracy="Right"),
                {"field": "mentions", "format": ","},
            ],
        },
    }
    return Chart(
        name="calibration",
        title="Calibration of the ranker",
        note=note,
        spec=base(rows, 260) | {"layer": [diagonal, points]},
    )


def slice_chart(rows: Sequence[Row], labels: Sequence[str]) -> Chart:
    """Recall@1 over parts of the mentions."""
    named = [row | {"part": f"{row['kind']}: {row['slice']} (n = {row['n']:,})"} for row in rows]
    order = list(dict.fromkeys(row["part"] for row in sorted(named, key=lambda row: row["order"])))
    y = {"field": "part", "type": "nominal", "sort": order, "title": None, "axis": {"labelLimit": 200}}
    offset = {"field": "run", "type": "nominal", "sort": list(labels)}
    interval = {
        "mark": {"type": "rule", "strokeWidth": 1.5},
        "encoding": {
            "y": y,
            "yOffset": offset,
            "x": {"field": "low", "type": "quantitative", "title": "Recall@1", "axis": {"format": PERCENT}},
            "x2": {"field": "high"},
            "color": run_colour(labels),
        },
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 45},
        "encoding": {
            "y": y,
            "yOffset": offset,
            "x": {"field": "recall", "type": "quantitative"},
            "color": run_colour(labels),
            "tooltip": tooltips("run", "part", recall="Recall@1", low="from", high="to"),
        },
    }
    return Chart(
        name="slices",
        title="Recall@1 over parts of the mentions",
        note="Of all subsets together, after the last stage; lines are Wilson's 95 % intervals. Frequency: mentions "
        "of the same concept in the data.",
        spec=base(named, {"step": 14 + 8 * len(labels), "for": "position"}) | {"layer": [interval, points]},
    )


def tooltips(*plain: str, **shares: str) -> list[Spec]:
    """What is shown at the pointer: fields as they are, and shares in per cent by their title."""
    found: list[Spec] = [{"field": field} for field in plain]
    return [*found, *({"field": field, "title": title, "format": ".1%"} for field, title in shares.items())]
