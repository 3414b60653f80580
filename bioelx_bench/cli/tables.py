"""Tables of results for people; they fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bioelx_bench.results import AVERAGES, MACRO, Result
from bioelx_bench.visible import visible

if TYPE_CHECKING:
    from bioelx_bench.runs.engine import Outcome
    from bioelx_bench.runs.run_result import RunResult

SHOWN_CUTOFFS = (1, 5, 10, 50)


def percent(value: float | None) -> str:
    """A fraction as a percentage with one digit, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def plain_table() -> Table:
    """A table without rules between columns, so that ten of them fit 80 characters."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")


def show_result(console: Console, outcome: Outcome) -> None:
    """Print a run's table, its usage and where its files are."""
    show_run(console, outcome.run)
    state = "" if outcome.computed else " (finished earlier; --fresh does it anew)"
    show_place(console, outcome.run.folder / "result.json", state)


def show_place(console: Console, path: Path, state: str = "") -> None:
    """Print where something is, on a line that is not broken."""
    console.print(Text(visible(f"{path}{state}"), style="dim"), soft_wrap=True)


def show_run(console: Console, run: RunResult) -> None:
    """Print a run's table and what must be known beside it."""
    result = run.result
    data = result.dataset
    part = "" if data.limit is None else f", first {data.limit:,} mentions of each subset"
    console.print(
        Text(visible(f"{data.name}@{data.revision} {data.split}{part} · KB {result.kb.name}"), style="bold")
    )
    console.print(Text(visible(f"{run.name} · run {result.run_id}")))
    console.print(result_table(result))
    console.print(Text(caption(result), style="dim"))
    other = further_figures(result)
    if other:
        console.print(Text(f"macro: {other}"))
    show_usage(console, result)
    show_notes(console, result)


def result_table(result: Result) -> Table:
    """Rows: subsets, then macro and micro averages. Columns: Recall@k in per cent, coverage, in-KB Recall@1."""
    ranked = result.ranker is not None
    stage = result.stage
    table = plain_table()
    table.add_column("subset", overflow="fold")
    cutoffs = [k for k in SHOWN_CUTOFFS if k in result.cutoffs]
    headers = ["n", "coverage", *(["retr. R@1"] if ranked else []), *(f"R@{k}" for k in cutoffs)]
    for header in [*headers, *(["ceiling"] if ranked else []), "in-KB R@1"]:
        table.add_column(header, justify="right")
    for name, row in result.scores.items():
        if name == MACRO:
            table.add_section()
        cells = [visible(name), f"{row.n:,}", percent(row.coverage)]
        if ranked:
            cells.append(percent(row.retrieval.figures["recall@1"]))
        cells += [percent(row.stage(stage).figures[f"recall@{k}"]) for k in cutoffs]
        if ranked:
            cells.append(percent(row.retrieval.figures[f"recall@{result.rerank_depth}"]))
        cells.append(percent(row.in_kb.stage(stage).figures["recall@1"]))
        table.add_row(*map(Text, cells), style="bold" if name in AVERAGES else None)
    return table


def caption(result: Result) -> str:
    """How the figures are to be read, with the interval of the main one."""
    text = f"Recall@k in per cent, protocol {result.protocol.name}, seed {result.seed}"
    macro = result.scores.get(MACRO)
    if macro is not None and (bounds := macro.stage(result.stage).ci95.get("recall@1")):
        text += f"; macro R@1 95 % interval {percent(bounds[0])} to {percent(bounds[1])}"
    if result.ranker is not None:
        text += f"; R@k after ranking, retr. R@1 before it, ceiling: the retriever's R@{result.rerank_depth}"
    if result.interpolation is not None:
        text += "; evidence mixed with weight {weight:g}, temperature {temperature:g}".format(
            **result.interpolation
        )
    return text


def further_figures(result: Result) -> str:
    """The macro averages of the metrics beside Recall@k: those without a cutoff, and those at 10 or the last one."""
    macro = result.scores.get(MACRO)
    if macro is None:
        return ""
    cutoff = 10 if 10 in result.cutoffs else result.cutoffs[-1]
    figures = macro.stage(result.stage).figures
    shown = (f for f in figures if not f.startswith("recall@") and f.partition("@")[2] in {"", str(cutoff)})
    return ", ".join(f"{figure} {percent(figures[figure])}" for figure in shown)


def show_usage(console: Console, result: Result) -> None:
    """Print calls, tokens, cost and repairs of the ranker."""
    if result.ranker is None:
        return
    usage = result.usage
    console.print(
        f"ranker: {usage.calls:,} calls, {usage.prompt_tokens:,} prompt and "
        f"{usage.completion_tokens:,} completion tokens, ${usage.cost_usd:.4f}"
    )
    if usage.fallbacks or usage.errors:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in usage.fallbacks.items())
        told = f"repaired answers: {kinds or 'none'}; failed mentions: {usage.errors:,}"
        console.print(Text(visible(told), style="yellow"))


def show_notes(console: Console, result: Result) -> None:
    """Print what the retriever and the data had to say, where it is not nothing."""
    empty = sum(row.without_candidates for name, row in result.scores.items() if name not in AVERAGES)
    said = [f"{empty:,} mentions without any candidate"] if empty else []
    said += [
        f"{key.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{key.replace('_', ' ')} {value}"
        for key, value in result.notes.retriever.items()
        if value and isinstance(value, int | float | str)
    ]
    if said:
        console.print(Text(visible("retriever: " + ", ".join(said)), style="dim"))
    odd: dict[str, int] = {}
    for counts in result.notes.data.values():
        for kind, count in counts.items():
            odd[kind] = odd.get(kind, 0) + count
    if odd:
        told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in odd.items())
        console.print(Text(visible(f"data: {told}"), style="dim"))


def show_missing(console: Console, missing: Mapping[str, Mapping[str, str]]) -> None:
    """Print which benchmarks are missing here, and how to get each."""
    for name, error in missing.items():
        console.print(Text(visible(f"{name} is missing: {error['what']}"), style="yellow"), soft_wrap=True)
        for label in ("where", "why", "hint"):
            if label in error:
                console.print(Text(visible(f"  {label}: {error[label]}")), soft_wrap=True)
