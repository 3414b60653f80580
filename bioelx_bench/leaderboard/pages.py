"""Leaderboard pages: deterministic markdown and one static HTML page from the same rows."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import jinja2

from bioelx_bench.leaderboard.entry import Entry
from bioelx_bench.leaderboard.rows import groups_of
from bioelx_bench.visible import visible

GENERATED: Final = "<!-- Made by `bioelx-bench leaderboard build` from results/; do not edit. -->"


def build_pages(entries: Sequence[Entry]) -> dict[str, str]:
    """The text of every markdown page of a leaderboard, by file name.

    Figures stand in one table only if they were computed on the same mentions, knowledge base and protocol.
    """
    context = page_context(entries)
    markdown = make_environment(html=False)
    pages = {
        f"{name}.md": markdown.get_template("benchmark.md.j2").render(dataset=name, groups=groups, **context)
        for name, groups in context["datasets"].items()
    }
    pages["reported.md"] = markdown.get_template("reported.md.j2").render(context)
    pages["README.md"] = markdown.get_template("overview.md.j2").render(context)
    return pages


def build_site(entries: Sequence[Entry]) -> str:
    """The whole leaderboard as one HTML page that needs no network."""
    return make_environment(html=True).get_template("site.html.j2").render(page_context(entries))


def page_context(entries: Sequence[Entry]) -> dict[str, Any]:
    """What the templates are given."""
    by_dataset: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_dataset[entry.result.dataset.name].append(entry)
    benchmarks: dict[str, list[Any]] = defaultdict(list)
    reported = tomllib.loads(resource("reported.toml"))
    for figure in reported["figures"]:
        benchmarks[figure["benchmark"]].append(figure)
    return {
        "datasets": {name: groups_of(by_dataset[name]) for name in sorted(by_dataset)},
        "entries": len(entries),
        "benchmarks": benchmarks,
        "gains": reported["gains"],
        "generated": GENERATED,
    }


def resource(name: str) -> str:
    """A text file that lies beside this module."""
    return (files("bioelx_bench.leaderboard") / name).read_text(encoding="utf-8")


def make_environment(*, html: bool) -> jinja2.Environment:
    """The template environment: HTML escapes everything by itself, markdown through the filter `cell`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bioelx_bench.leaderboard", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=html,  # noqa: S701 - in markdown every foreign text goes through `cell`
    )
    environment.filters["percent"] = percent
    environment.filters["signed"] = signed
    environment.filters["cell"] = visible if html else cell
    environment.filters["duration"] = duration
    return environment


def percent(value: float | None) -> str:
    """A fraction as a percentage with one digit, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def signed(value: float | None) -> str:
    """A difference of fractions in points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}"


def duration(seconds: float) -> str:
    """Wall time in the largest unit that leaves two digits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def cell(text: object) -> str:
    """Foreign text made safe for a cell of a markdown table."""
    escaped = visible(str(text)).replace("&", "&amp;").replace("://", ":&#47;&#47;").replace("@", "&#64;")
    for character in "\\`*_[]<>|":
        escaped = escaped.replace(character, "\\" + character)
    return " ".join(escaped.split())
