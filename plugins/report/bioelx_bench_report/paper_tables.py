"""The table of a paper: a row for each system, a column for each subset, best figures and significance marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bioelx_bench.errors import UsageError
from bioelx_bench.plugins import Plugins
from bioelx_bench.results import AVERAGES, MACRO
from bioelx_bench.runs.comparing import compare
from bioelx_bench.scoring.evaluation import load_metrics
from bioelx_bench_report.loading import Runs

ALPHA: Final = 0.05
BETTER, WORSE = "+", "-"

LATEX_ESCAPES: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure in a table.

    Attributes:
        value: A fraction, None over no mentions.
        best: Whether no other system has a higher one (where there are several systems).
        mark: `+` or `-` where it differs from the first system's by the paired test, else empty.
    """

    value: float | None
    best: bool
    mark: str


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table of one figure.

    Attributes:
        figure: The figure, such as `recall@1`.
        systems: Labels of the rows.
        subsets: The columns, the macro average last.
        cells: The figures, by row.
        mentions: Mentions that were scored.
        data: The dataset and knowledge base.
    """

    figure: str
    systems: tuple[str, ...]
    subsets: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    mentions: int
    data: str


def paper_table(runs: Runs, figure: str, plugins: Plugins) -> PaperTable:
    """The table of a figure, after the last stage of each run.

    Args:
        runs: The runs; the first is the one that others are compared with.
        figure: `recall@k`, or a figure of a declared metric.
        plugins: What is declared.

    Raises:
        UsageError: A run does not have the figure.
    """
    subsets = [*(name for name in runs.runs[0].result.scores if name not in AVERAGES), MACRO]
    values: list[list[float | None]] = []
    for run in runs.runs:
        scores = run.result.scores
        known = scores[MACRO].stage(run.result.stage).figures
        if figure not in known:
            raise UsageError(
                f"the run {run.result.run_id} has no figure {figure!r}",
                where="--figure",
                why=f"it has {', '.join(known)}",
                hint="bioelx-bench rescore adds metrics to finished runs",
            )
        values.append([scores[name].stage(run.result.stage).figures.get(figure) for name in subsets])
    marks = significance(runs, figure, plugins)
    cells = []
    for system, row in enumerate(values):
        found = []
        for place, (subset, value) in enumerate(zip(subsets, row, strict=True)):
            others = [other[place] for other in values]
            best = len(values) > 1 and value is not None and value == max(x for x in others if x is not None)
            found.append(Cell(value, best, marks.get((system, subset), "")))
        cells.append(tuple(found))
    result = runs.runs[0].result
    return PaperTable(
        figure=figure,
        systems=runs.labels,
        subsets=tuple(subsets),
        cells=tuple(cells),
        mentions=sum(result.scores[name].n for name in subsets if name != MACRO),
        data=f"{result.dataset.name} ({result.dataset.revision}, {result.dataset.split}), "
        f"knowledge base {result.kb.name}",
    )


def significance(runs: Runs, figure: str, plugins: Plugins) -> dict[tuple[int, str], str]:
    """Which figures of which systems differ from the first system's, by place of the system and subset."""
    if len(runs.runs) < 2:
        return {}
    name, _, cutoff = figure.partition("@")
    metrics = [] if name == "recall" else load_metrics(plugins, [name])
    comparison = compare(
        runs.runs,
        cutoffs=(int(cutoff),) if cutoff else (1,),
        figures=[] if name == "recall" else [figure],
        metrics=metrics,
    )
    marks = {}
    for pair in comparison.pairs:
        if pair.first != 0:
            continue
        for found in pair.differences:
            if found.figure == figure and found.p_holm < ALPHA and found.difference:
                marks[pair.second, found.subset] = BETTER if found.difference > 0 else WORSE
    return marks


def caption(table: PaperTable) -> str:
    """What a reader must know of the figures."""
    name, _, cutoff = table.figure.partition("@")
    title = {"recall": "Recall", "mrr": "MRR", "map": "MAP", "ndcg": "nDCG"}.get(name, name)
    figure = f"{title}@{cutoff}" if cutoff else title
    return f"{figure} in per cent on {table.data}, {table.mentions:,} mentions; best in bold."


def footnote(table: PaperTable, better: str, worse: str) -> str:
    """What the marks mean."""
    return (
        f"{better} better and {worse} worse than {table.systems[0]} (paired permutation test over documents, "
        f"p < {ALPHA} after Holm's correction)."
    )


def markdown(table: PaperTable) -> str:
    """The table in Markdown."""
    lines = [
        "| system | " + " | ".join(map(escape_markdown, table.subsets)) + " |",
        "|---|" + "--:|" * len(table.subsets),
    ]
    signs = {BETTER: " ▲", WORSE: " ▼", "": ""}
    for system, row in zip(table.systems, table.cells, strict=True):
        texts = []
        for cell in row:
            text = "–" if cell.value is None else f"{100 * cell.value:.1f}"
            texts.append((f"**{text}**" if cell.best else text) + signs[cell.mark])
        lines.append(f"| {escape_markdown(system)} | {' | '.join(texts)} |")
    notes = [escape_markdown(caption(table))]
    if len(table.systems) > 1:
        notes.append(escape_markdown(footnote(table, "▲", "▼")))
    return "\n".join(lines) + "\n\n" + " ".join(notes) + "\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|*_`[]<>~" else c for c in plain)


def latex(table: PaperTable) -> str:
    """The table in LaTeX; it needs the package booktabs."""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(caption(table))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.subsets)}}}",
        r"\toprule",
        " & ".join(["System", *map(escape_latex, table.subsets)]) + r" \\",
        r"\midrule",
    ]
    signs = {BETTER: r"$^{\uparrow}$", WORSE: r"$^{\downarrow}$", "": ""}
    for system, row in zip(table.systems, table.cells, strict=True):
        lines.append(" & ".join([escape_latex(system), *(latex_cell(c, signs) for c in row)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if len(table.systems) > 1:
        note = escape_latex(footnote(table, "UP", "DOWN"))
        note = note.replace("UP", r"$\uparrow$", 1).replace("DOWN", r"$\downarrow$", 1)
        lines.append(rf"\par\smallskip\footnotesize {note}")
    return "\n".join([*lines, r"\end{table}", ""])


def latex_cell(cell: Cell, signs: dict[str, str]) -> str:
    """A figure in LaTeX."""
    text = "--" if cell.value is None else f"{100 * cell.value:.1f}"
    return (rf"\textbf{{{text}}}" if cell.best else text) + signs[cell.mark]


def escape_latex(text: str) -> str:
    """Text that LaTeX shows as it is; control characters are left out."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(LATEX_ESCAPES.get(c, c) for c in plain)


def render(tables: Sequence[PaperTable], form: str) -> str:
    """Tables one after the other, in `markdown` or `latex`."""
    return "\n".join((latex if form == "latex" else markdown)(table) for table in tables)
