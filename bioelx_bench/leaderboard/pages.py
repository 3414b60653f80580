"""Leaderboard pages: deterministic markdown from results, one page a benchmark, an overview, reported figures."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from bioelx_bench.leaderboard.store import RESULTS, read_results
from bioelx_bench.results import AVERAGES

GENERATED: Final = "<!-- Made by `bioelx-bench leaderboard build` from results/; do not edit. -->"
SLICES: Final = ("exact", "inexact", "seen", "unseen", "trained", "untrained", "ambiguous", "unambiguous")


def build_pages(folder: Path) -> dict[str, str]:
    """The text of every page of a leaderboard, by file name.

    Figures stand in one table only if they were computed on the same revision, split, subsets, knowledge base
    and protocol.

    Raises:
        DataError: A result cannot be read.
    """
    results = read_results(folder)
    by_dataset: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        by_dataset[result["dataset"]["name"]].append(result)
    environment = make_environment()
    pages = {}
    overview = []
    for name in sorted(by_dataset):
        groups = group(by_dataset[name])
        context = {"dataset": name, "groups": groups, "generated": GENERATED}
        pages[f"{name}.md"] = environment.get_template("benchmark.md.j2").render(context)
        overview += [{"dataset": name, "group": g, "best": g["rows"][0]} for g in groups]
    reported = tomllib.loads(resource("reported.toml"))["figures"]
    benchmarks: dict[str, list[Any]] = defaultdict(list)
    for figure in reported:
        benchmarks[figure["benchmark"]].append(figure)
    pages["reported.md"] = environment.get_template("reported.md.j2").render(
        benchmarks=benchmarks, generated=GENERATED
    )
    pages["README.md"] = environment.get_template("overview.md.j2").render(
        overview=overview, runs=len(results), generated=GENERATED
    )
    return pages


def resource(name: str) -> str:
    """A text file that lies beside this module."""
    return (files("bioelx_bench.leaderboard") / name).read_text(encoding="utf-8")


def make_environment() -> jinja2.Environment:
    """The template environment, with filters for figures and markdown cells."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bioelx_bench.leaderboard", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - markdown, not HTML; every foreign text goes through `cell`
    )
    environment.filters["percent"] = percent
    environment.filters["cell"] = cell
    return environment


def percent(value: float | None) -> str:
    """A fraction as a percentage with one digit, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def cell(text: object) -> str:
    """Foreign text made safe for a cell of a markdown table."""
    escaped = str(text)
    for character in "\\`*_[]<>|":
        escaped = escaped.replace(character, "\\" + character)
    return " ".join(escaped.split())


def group(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Results that may be compared, together; the best first in each group."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for result in results:
        data = result["dataset"]
        key = (
            data["revision"],
            data["split"],
            tuple(data["subsets"]),
            tuple(data["sha256"].values()),
            result["kb"]["sha256"],
            result["protocol"]["name"],
        )
        groups[key].append(result)
    return [
        describe_group(groups[key])
        for key in sorted(groups, key=lambda k: (k[0], k[1], -len(k[2]), k[5], k[4]))
    ]


def describe_group(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One group of comparable results, as the template wants it."""
    first = results[0]
    rows = sorted((row_of(r) for r in results), key=lambda r: (-(r["score"]["recall@1"] or 0), r["run_id"]))
    cutoffs = [k for k in (1, 5, 10, 50) if all(f"recall@{k}" in r["score"] for r in rows)]
    return {
        "revision": first["dataset"]["revision"],
        "split": first["dataset"]["split"],
        "subsets": first["dataset"]["subsets"],
        "kb": first["kb"],
        "protocol": first["protocol"],
        "macro": "macro" in first["scores"] and len(first["dataset"]["subsets"]) > 1,
        "coverage": {
            name: first["scores"][name]["coverage"] for name in (*first["dataset"]["subsets"], *AVERAGES)
        },
        "n": first["scores"]["micro"]["n"],
        "in_kb_n": first["scores"]["micro"]["in_kb"]["n"],
        "cutoffs": cutoffs,
        "slices": [s for s in SLICES if any(s in r["slices"] for r in rows)],
        "rows": rows,
    }


def row_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """One system's row."""
    stage = "ranking" if result["ranker"] else "retrieval"
    macro, micro = result["scores"]["macro"], result["scores"]["micro"]
    return {
        "run_id": result["run_id"],
        "file": f"{RESULTS}/{result['dataset']['name']}@{result['dataset']['revision']}/{result['run_id']}.json",
        "retriever": component(result["retriever"]),
        "ranker": component(result["ranker"]) if result["ranker"] else "–",
        "k": result["k"],
        "rerank_depth": result["rerank_depth"],
        "score": macro[stage]["figures"],
        "micro": micro[stage]["figures"],
        "interval": macro[stage]["ci95"].get("recall@1"),
        "ceiling": macro["retrieval"]["figures"].get(f"recall@{result['rerank_depth']}")
        if result["ranker"]
        else None,
        "in_kb": macro["in_kb"][stage]["figures"],
        "subsets": {name: result["scores"][name][stage]["figures"] for name in result["dataset"]["subsets"]},
        "subsets_in_kb": {
            name: result["scores"][name]["in_kb"][stage]["figures"] for name in result["dataset"]["subsets"]
        },
        "slices": {name: {"n": v["n"], **v[stage]["figures"]} for name, v in micro["slices"].items()},
        "fallbacks": sum(result["usage"]["fallbacks"].values()),
        "errors": result["usage"]["errors"],
    }


def component(description: Mapping[str, Any]) -> str:
    """A component's name with the options that were given to it."""
    given = description.get("options_given", {})
    options = ", ".join(f"{key}={value}" for key, value in sorted(given.items()))
    return f"{description['name']} ({options})" if options else str(description["name"])
