"""Tables of results for people, made to fit the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bioelx_bench.scoring.names import AVERAGES

if TYPE_CHECKING:
    from bioelx_bench.runs.engine import Outcome

SHOWN_CUTOFFS = (1, 5, 10, 50)


def percent(value: float | None) -> str:
    """A fraction as a percentage with one digit, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def show_result(console: Console, outcome: Outcome) -> None:
    """Print a run's table, its usage and where its files are."""
    result = outcome.result
    console.print(result_table(result))
    ranker = result["ranker"]
    if ranker is not None:
        show_usage(console, result)
    show_notes(console, result)
    state = "" if outcome.computed else " (finished earlier; --fresh does it anew)"
    console.print(f"[dim]{outcome.folder / 'result.json'}{state}[/dim]", soft_wrap=True)


def result_table(result: Mapping[str, Any]) -> Table:
    """Rows: subsets, then macro and micro averages. Columns: Recall@k in per cent, coverage, in-KB Recall@1."""
    data, ranked = result["dataset"], result["ranker"] is not None
    title = f"{data['name']}@{data['revision']} {data['split']} · KB {result['kb']['name']} · {system_name(result)}"
    table = Table(title=title, caption=caption(result), caption_justify="left", title_justify="left")
    table.add_column("subset")
    table.add_column("n", justify="right")
    table.add_column("coverage", justify="right")
    cutoffs = [k for k in SHOWN_CUTOFFS if k in result["cutoffs"]]
    stage = "ranking" if ranked else "retrieval"
    if ranked:
        table.add_column("retr. R@1", justify="right")
    for k in cutoffs:
        table.add_column(f"R@{k}", justify="right")
    if ranked:
        table.add_column("ceiling", justify="right")
    table.add_column("in-KB R@1", justify="right")
    for name, row in result["scores"].items():
        if name == AVERAGES[0]:
            table.add_section()
        cells = [name, f"{row['n']:,}", percent(row["coverage"])]
        if ranked:
            cells.append(percent(row["retrieval"]["recall@1"]))
        cells += [percent(row[stage][f"recall@{k}"]) for k in cutoffs]
        if ranked:
            cells.append(percent(row["retrieval"][f"recall@{result['rerank_depth']}"]))
        cells.append(percent(row["in_kb"][stage]["recall@1"]))
        table.add_row(*cells, style="bold" if name in AVERAGES else None)
    return table


def system_name(result: Mapping[str, Any]) -> str:
    """The retriever, and the ranker if there is one."""
    ranker = result["ranker"]
    return str(result["retriever"]["name"]) + (f" + {ranker['name']}" if ranker else "")


def caption(result: Mapping[str, Any]) -> str:
    """How the figures are to be read, with the interval of the main one."""
    stage = "ranking" if result["ranker"] else "retrieval"
    text = f"Recall@k in per cent, protocol {result['protocol']['name']}, seed {result['seed']}"
    if interval := result["scores"].get("macro", {}).get("ci95", {}).get(stage, {}).get("recall@1"):
        text += f"; macro R@1 95 % interval {percent(interval[0])} to {percent(interval[1])}"
    if result["ranker"]:
        text += (
            f"; R@k after ranking, retr. R@1 before it, ceiling: the retriever's R@{result['rerank_depth']}"
        )
    return text


def show_usage(console: Console, result: Mapping[str, Any]) -> None:
    """Print calls, tokens, cost and repairs of the ranker."""
    usage = result["usage"]
    console.print(
        f"ranker: {usage['calls']:,} calls, {usage['prompt_tokens']:,} prompt and "
        f"{usage['completion_tokens']:,} completion tokens, ${usage['cost_usd']:.4f}"
    )
    if usage["fallbacks"] or usage["errors"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in usage["fallbacks"].items())
        console.print(
            f"[yellow]repaired answers: {kinds or 'none'}; failed mentions: {usage['errors']:,}[/yellow]"
        )


def show_notes(console: Console, result: Mapping[str, Any]) -> None:
    """Print what the retriever and the data had to say, where it is not nothing."""
    notes = {k: v for k, v in result["notes"]["retriever"].items() if v and isinstance(v, int | float | str)}
    if notes:
        said = (
            f"{k.replace('_', ' ')} {v:,}" if isinstance(v, int) else f"{k.replace('_', ' ')} {v}"
            for k, v in notes.items()
        )
        console.print("[dim]retriever: " + ", ".join(said) + "[/dim]")
    odd: dict[str, int] = {}
    for counts in result["notes"]["data"].values():
        for kind, count in counts.items():
            odd[kind] = odd.get(kind, 0) + count
    if odd:
        console.print(
            "[dim]data: " + ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in odd.items()) + "[/dim]"
        )


def show_missing(console: Console, missing: Mapping[str, Mapping[str, str]]) -> None:
    """Print which benchmarks were not at hand, and how to get each."""
    for name, error in missing.items():
        console.print(f"[yellow]{name} is missing:[/yellow] {error['what']}", soft_wrap=True)
        for label in ("where", "why", "hint"):
            if label in error:
                console.print(f"  {label}: {error[label]}", markup=False, soft_wrap=True)
