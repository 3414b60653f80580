"""The charts of a report as files for papers: SVG, and PNG at 300 dots an inch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bioelx_bench.files import atomic_path
from bioelx_bench_report.charts import Chart

WIDTH: Final = 480
SCALE: Final = 300 / 72
CONFIG: Final = {
    "background": "white",
    "font": "Noto Sans, DejaVu Sans, sans-serif",
    "axis": {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {"labelFontSize": 11},
    "view": {"stroke": None},
}


def write_plots(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Write each chart as SVG and PNG into a folder; returns the files."""
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in charts:
        spec: dict[str, Any] = chart.spec | {"width": WIDTH, "background": "white"}
        svg: str = vl_convert.vegalite_to_svg(spec, config=CONFIG)
        png: bytes = vl_convert.vegalite_to_png(spec, config=CONFIG, scale=SCALE)
        for suffix, content in ((".svg", svg.encode()), (".png", png)):
            path = folder / f"{chart.name}{suffix}"
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            written.append(path)
    return written
