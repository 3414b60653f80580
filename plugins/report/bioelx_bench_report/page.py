"""The page of a report: one HTML file that needs no network.

Everything foreign is escaped where it is text and compressed where it is data; a content security policy lets only
the page's own two scripts run, and Vega's expressions are interpreted instead of evaluated.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from bioelx_bench.files import write_text
from bioelx_bench.plugins import installed_version
from bioelx_bench_report.analysis import Row
from bioelx_bench_report.charts import Chart
from bioelx_bench_report.explorer import pack
from bioelx_bench_report.report import Report

CHART_WIDTH: Final = 500
"""Pixels for which charts are laid out; the page sets the real width."""


def write_page(report: Report, path: Path) -> int:
    """Write a report's page atomically; returns its size in bytes."""
    text = render(report)
    write_text(path, text)
    return len(text.encode())


def render(report: Report) -> str:
    """A report's page."""
    script, vega = resource("app.js"), vega_script()
    body = [systems(report), scores(report), chart_boxes(report.charts), costs(report.costs)]
    version = installed_version("bioelx-bench-report")
    values = {
        "policy": policy([vega, script]),
        "title": html.escape(", ".join(label for label, _ in report.systems)),
        "subtitle": html.escape(report.title),
        "style": resource("style.css"),
        "body": "\n".join(body),
        "footer": html.escape(f"Made by bioelx-bench report {version}. Charts: Vega (BSD-3-Clause)."),
        "charts": json_text({chart.name: compiled(chart) for chart in report.charts}),
        "mentions": pack(report.data),
        "vega": vega,
        "script": script,
    }
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: values[found[1]], resource("template.html"))


def resource(name: str) -> str:
    """A file of the page."""
    return (files("bioelx_bench_report") / "page" / name).read_text(encoding="utf-8")


def vega_script() -> str:
    """Vega and the interpreter of its expressions as one script."""
    import vl_convert

    # vl_convert holds this module itself; the bundle's own name `vega` is empty in its version 1.9
    module = f"https://cdn.jsdelivr.net/npm/vega@{vl_convert.get_vega_version()}/+esm"
    library = f'import * as vegaLibrary from "{module}";\n'
    bundle: str = vl_convert.javascript_bundle(library + resource("vega-interpreter.js"))
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(scripts: Sequence[str]) -> str:
    """The content security policy: these scripts and nothing else, no connection, no form, no frame."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_text(value: Any) -> str:
    """JSON that cannot end the script element in which it stands."""
    text = orjson.dumps(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def compiled(chart: Chart) -> Any:
    """A chart as Vega, which the page draws."""
    import vl_convert

    return vl_convert.vegalite_to_vega(chart.spec | {"width": CHART_WIDTH})


def systems(report: Report) -> str:
    """What the runs are, and what is not shown."""
    rows = "".join(
        f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in report.systems
    )
    missing = "".join(f'<p class="missing">{html.escape(text)}</p>' for text in report.missing)
    return f'<dl class="systems">{rows}</dl>{missing}'


def percent(value: float | None) -> str:
    """A share in per cent."""
    return "–" if value is None else f"{100 * value:.1f}"


def scores(report: Report) -> str:
    """The score table, the best run of each subset marked where there are several."""
    figures = [f"recall@{k}" for k in report.cutoffs]
    head = ["subset", "run", *(f"R@{k}" for k in report.cutoffs)]
    head += ["in-KB R@1", "retrieved R@1", "coverage", "n"]
    rows, last = [], None
    for row in report.scores:
        alike = [other for other in report.scores if other["subset"] == row["subset"]]
        cells = [f'<td class="words">{html.escape(row[key])}</td>' for key in ("subset", "run")]
        cells += [figure_cell(row, f, [other["figures"].get(f) for other in alike]) for f in figures]
        shares = (row["in_kb"].get("recall@1"), row["retrieval"].get("recall@1"), row["coverage"])
        cells += [f"<td>{percent(value)}</td>" for value in shares]
        cells.append(f"<td>{row['n']:,}</td>")
        kind = " ".join(
            name for name, on in (("average", row["average"]), ("first", row["subset"] != last)) if on
        )
        rows.append(f'<tr class="{kind}">{"".join(cells)}</tr>')
        last = row["subset"]
    header = "".join(f"<th{' class=words' if c in ('run', 'subset') else ''}>{c}</th>" for c in head)
    note = (
        "Per cent, after the last stage of each run; small: 95 % intervals (bootstrap over documents). "
        "Coverage: mentions whose gold is in the knowledge base."
    )
    return (
        f'<section id="scores"><h2>Scores</h2><p class="quiet">{note}</p><div class="scroll"><table>'
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def figure_cell(row: Row, figure: str, alike: Sequence[float | None]) -> str:
    """A figure with its interval."""
    value = row["figures"].get(figure)
    interval = row["ci95"].get(figure)
    others = [x for x in alike if x is not None]
    best = value is not None and len(others) > 1 and value == max(others)
    small = f" <small>{percent(interval[0])}–{percent(interval[1])}</small>" if interval else ""
    return f"<td{' class=best' if best else ''}>{percent(value)}{small}</td>"


def chart_boxes(found: Sequence[Chart]) -> str:
    """Places where the charts are drawn."""
    boxes = "".join(
        chart_box(chart.name, html.escape(chart.title), html.escape(chart.note)) for chart in found
    )
    return f'<section id="charts"><h2>Charts</h2><div class="charts">{boxes}</div></section>'


def chart_box(name: str, title: str, note: str) -> str:
    """The place of one chart; title and note are HTML."""
    return (
        f'<figure><figcaption><h3>{title}</h3><p class="quiet">{note}</p></figcaption>'
        f'<div class="chart" id="chart-{name}" data-chart="{name}" role="img" aria-label="{title}"></div></figure>'
    )


def costs(rows: Sequence[Row]) -> str:
    """Time, tokens and cost."""
    columns = list(dict.fromkeys(key for row in rows for key in row if any(other.get(key) for other in rows)))
    header = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
    body = "".join(f"<tr>{''.join(cost_cell(row, c) for c in columns)}</tr>" for row in rows)
    return (
        '<section id="costs"><h2>Time and cost</h2><div class="scroll"><table>'
        f"<thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def cost_cell(row: Mapping[str, Any], column: str) -> str:
    """A cell of the table of costs."""
    value = row.get(column)
    if isinstance(value, float):
        text = f"{value:,.2f}"
    else:
        text = "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return f"<td>{html.escape(text)}</td>"
