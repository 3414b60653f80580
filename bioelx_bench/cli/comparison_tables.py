"""A comparison as tables for the terminal, markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from bioelx_bench.cli.tables import percent, plain_table
from bioelx_bench.results import MACRO
from bioelx_bench.scoring.comparison import Comparison, Difference
from bioelx_bench.visible import visible

SIGNIFICANT = 0.05


def points(value: float | None) -> str:
    """A difference of fractions in points of per cent, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}"


def p_value(row: Difference) -> str:
    """The adjusted p, with a star where it is below 0.05."""
    text = "<.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"
    return text + ("*" if row.p_holm < SIGNIFICANT else " ")


def bounds(row: Difference) -> str:
    """The interval of a difference."""
    return "–" if row.ci95 is None else f"[{100 * row.ci95[0]:+.1f}, {100 * row.ci95[1]:+.1f}]"


def comparison_tables(data: Comparison) -> Iterator[Table | Text]:
    """One table for each pair: a row for each figure and subset."""
    scope = "in-KB mentions" if data.in_kb else "mentions"
    yield Text(
        f"{data.mentions:,} {scope}, per cent; differences are B - A with their 95 % interval", style="dim"
    )
    for pair in data.pairs:
        yield Text(visible(f"A: {data.systems[pair.first]}"))
        yield Text(visible(f"B: {data.systems[pair.second]}"))
        table = plain_table()
        for header in ("figure", "subset"):
            table.add_column(header, overflow="fold")
        for header in ("A", "B", "B - A", "95 % interval", "won/tied/lost", "p (Holm)"):
            table.add_column(header, justify="right", no_wrap=True)
        for row in pair.differences:
            table.add_row(
                row.figure.replace("recall", "R"),
                Text(visible(row.subset)),
                percent(row.first),
                percent(row.second),
                points(row.difference),
                bounds(row),
                f"{row.wins}/{row.ties}/{row.losses}",
                p_value(row),
                style="bold" if row.subset == MACRO else None,
                end_section=row.subset == MACRO,
            )
        yield table


def markdown(data: Comparison) -> str:
    """The pairs as markdown tables."""
    lines = []
    for pair in data.pairs:
        a, b = (cell(data.systems[place]) for place in (pair.first, pair.second))
        lines += [
            f"A: {a}; B: {b}",
            "",
            "| figure | subset | A | B | B - A | 95 % interval | won / tied / lost | p (Holm) |",
            "|---|---|--:|--:|--:|---|---|--:|",
        ]
        for row in pair.differences:
            cells = [
                *(row.figure, cell(row.subset), percent(row.first), percent(row.second)),
                *(points(row.difference), bounds(row), f"{row.wins} / {row.ties} / {row.losses}"),
                p_value(row).strip().replace("*", "\\*"),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Foreign text made safe for a cell of a markdown table."""
    escaped = visible(text)
    for character in "\\`*_[]<>|":
        escaped = escaped.replace(character, "\\" + character)
    return " ".join(escaped.split())


def latex(data: Comparison) -> str:
    """Systems as rows and subsets as columns, for each figure: the best bold, a star where it beats the first system.

    Needs the package booktabs.
    """
    lines = []
    for figure, values in data.values.items():
        subsets = list(values)
        lines += [
            "\\begin{tabular}{l" + "r" * len(subsets) + "}",
            "\\toprule",
            " & ".join([tex(figure.replace("recall", "R")), *map(tex, subsets)]) + " \\\\",
            "\\midrule",
        ]
        for place, system in enumerate(data.systems):
            cells = [tex(system)]
            for subset in subsets:
                shown = values[subset]
                best = max((v for v in shown if v is not None), default=None)
                text = "--" if shown[place] is None else percent(shown[place])
                text = f"\\textbf{{{text}}}" if shown[place] is not None and shown[place] == best else text
                cells.append(text + ("$^{*}$" if differs(data, place, figure, subset) else ""))
            lines.append(" & ".join(cells) + " \\\\")
        lines += ["\\bottomrule", "\\end{tabular}", ""]
    lines.append(
        "% *: differs from the first system, paired permutation test, p < 0.05 after Holm's correction"
    )
    return "\n".join(lines) + "\n"


def differs(data: Comparison, place: int, figure: str, subset: str) -> bool:
    """Whether a system differs significantly from the first one."""
    return any(
        row.p_holm < SIGNIFICANT
        for pair in data.pairs
        if (pair.first, pair.second) == (0, place)
        for row in pair.differences
        if row.figure == figure and row.subset == subset
    )


def tex(text: str) -> str:
    """Foreign text made safe for LaTeX."""
    escapes = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    escapes |= {c: "\\" + c for c in "&%$#_{}"}
    return "".join(escapes.get(character, character) for character in visible(text))
