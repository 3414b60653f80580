"""Dataset cards: computed figures in `statistics.json`, and a card and a plot that are rendered from them.

Rendering needs no data, so a card that drifted from its figures is always found; that the figures still agree
with the data is checked for data that is at hand.
"""

from __future__ import annotations

import io
import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.datasets.availability import Availability, availability
from bioelx_bench.datasets.prepare import prepare_subset
from bioelx_bench.datasets.prepared import PreparedSubset
from bioelx_bench.datasets.show import example
from bioelx_bench.datasets.statistics import describe_subset, find_coverage
from bioelx_bench.declarations import CardText, DatasetSpec
from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.plugins import RegisteredSpec

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

SCHEMA_VERSION: Final = 1
STATISTICS, CARD, PLOT = "statistics.json", "README.md", "coverage.svg"
SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The Hub's size categories, by the number of mentions below which each holds."""


def card_text(spec: DatasetSpec) -> CardText:
    """What a dataset's declaration says for its card.

    Raises:
        UsageError: It says nothing.
    """
    if spec.card is None:
        raise UsageError(
            f"the dataset {spec.name!r} has no card",
            hint="give its declaration a `card` (see `bioelx_bench.declarations.CardText`)",
        )
    return spec.card


def available_parts(
    declared: RegisteredSpec, data_root: Path | None, environment: Environment
) -> list[Availability]:
    """The revisions and splits a card describes: those available, without the union of a revision's splits."""
    parts = availability(declared, data_root=data_root, environment=environment)
    found = [part for part in parts if part.available]
    splits = Counter(part.revision for part in found)
    return [part for part in found if part.split != "all" or splits[part.revision] == 1]


def compute_statistics(
    declared: RegisteredSpec,
    parts: Sequence[Availability],
    *,
    data_root: Path | None,
    environment: Environment,
    kb: KnowledgeBase,
) -> dict[str, Any]:
    """The figures of a dataset's parts, as they are kept in `statistics.json`."""
    quiet = replace(environment, offline=True)
    prepared: dict[Availability, list[PreparedSubset]] = {
        part: [
            prepare_subset(
                declared,
                revision=part.revision,
                subset=subset,
                split=part.split,
                data_root=data_root,
                environment=quiet,
            )
            for subset in declared.spec.subsets
        ]
        for part in parts
    }
    coverage = find_coverage([one for many in prepared.values() for one in many], kb, environment.progress)
    first = next(iter(prepared.values()))[0]
    quotable = card_text(declared.spec).quotable
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": declared.spec.name,
        "kb": {"name": kb.name, "sha256": kb.sha256, "concepts": len(kb)},
        "example": example(next(first.mentions())) if quotable else None,
        "parts": [
            {
                "revision": part.revision,
                "split": part.split,
                "subsets": {one.subset: describe_subset(one, coverage) for one in many},
            }
            for part, many in prepared.items()
        ],
    }


def render_card(spec: DatasetSpec, statistics: Mapping[str, Any]) -> str:
    """The card's text: a YAML header for the Hub, then Markdown."""
    from huggingface_hub import DatasetCard, DatasetCardData

    info = card_text(spec)
    parts = [{**part, "odd": odd_rows(part["subsets"])} for part in statistics["parts"]]
    rows = [row for part in parts for row in part["subsets"].values()]
    largest = max(sum(row["mentions"] for row in part["subsets"].values()) for part in parts)
    data = DatasetCardData(
        pretty_name=info.title,
        language=sorted({language for row in rows for language in row["languages"]}),
        license=info.licence,
        task_categories=["text-retrieval"],
        task_ids=["entity-linking-retrieval"],
        tags=["biology", "medical", "entity-linking", *scheme_tag(spec), "bioelx-bench"],
        size_categories=[next((name for limit, name in SIZES if largest < limit), "n>1M")],
        source_datasets=[spec.homepage],
    )
    template = files("bioelx_bench.datasets") / "templates" / "card.md.j2"
    card = DatasetCard.from_template(
        data,
        template_str=template.read_text(encoding="utf-8"),
        name=spec.name,
        spec=spec,
        info=info,
        kb=statistics["kb"],
        example=statistics["example"],
        parts=parts,
        plot=PLOT,
        wrap=lambda text: textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False),
        percent=lambda value: f"{100 * value:.1f}",
        length=lambda found: f"{found['median']:g} ({found['largest']:,})" if found else "none",
    )
    return str(card.content).rstrip() + "\n"


def scheme_tag(spec: DatasetSpec) -> list[str]:
    """The id scheme as a tag."""
    return [spec.id_scheme.upper()] if spec.id_scheme else []


def odd_rows(subsets: Mapping[str, Mapping[str, Any]]) -> str:
    """The odd rows of all subsets together, for people."""
    total: Counter[str] = Counter()
    for row in subsets.values():
        total.update(row["counts"])
    return ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in sorted(total.items()))


def render_plot(statistics: Mapping[str, Any]) -> str:
    """A bar for each subset: mentions with an exact name, otherwise covered, and not covered; SVG.

    Raises:
        MissingError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingError(
            "the plot of a dataset card needs matplotlib", hint="pip install 'bioelx-bench[cards]'"
        ) from error
    bars = [
        (f"{part['revision']} {part['split']} {subset}", row)
        for part in statistics["parts"]
        for subset, row in part["subsets"].items()
    ]
    labels = [label for label, _ in bars]
    exact = [100 * row["exact"] for _, row in bars]
    inexact = [100 * max(row["covered"] - row["exact"], 0) for _, row in bars]
    lacking = [100 - first - second for first, second in zip(exact, inexact, strict=True)]
    # A fixed salt and text kept as text make the file the same wherever this version of matplotlib draws it.
    with mpl.rc_context({"svg.hashsalt": "bioelx-bench", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7, 1.1 + 0.26 * len(bars)), layout="constrained")
        axes = figure.subplots()
        left = [0.0] * len(bars)
        for values, colour, label in (
            (exact, "#1b6ca8", "a gold concept has the mention's string as a name"),
            (inexact, "#8fbcdb", "a gold concept is there, under other names"),
            (lacking, "#e3e3e3", "no gold concept is there"),
        ):
            axes.barh(labels, values, left=left, color=colour, label=label, height=0.7)
            left = [start + value for start, value in zip(left, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent of mentions")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper left", ncols=1, frameon=False)
        out = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def plot_is_comparable(svg: str) -> bool:
    """Whether the installed matplotlib is the version that drew a plot; others draw other bytes."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    return f"Matplotlib v{mpl.__version__}," in svg


def read_statistics(folder: Path) -> dict[str, Any] | None:
    """The figures kept in a card's folder, or None if it has none."""
    path = folder / STATISTICS
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def recorded_parts(statistics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Revision and split of every part a card describes."""
    return [(part["revision"], part["split"]) for part in statistics["parts"]]
