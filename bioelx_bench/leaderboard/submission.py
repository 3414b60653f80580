"""The branch name and text of a pull request that adds an entry."""

from __future__ import annotations

import re

from bioelx_bench.leaderboard.entry import Entry
from bioelx_bench.leaderboard.pages import cell, percent
from bioelx_bench.leaderboard.rows import row_of
from bioelx_bench.results import AVERAGES


def branch_name(entry: Entry) -> str:
    """A branch name that says what is added."""
    result = entry.result
    plain = re.sub(r"[^a-z0-9]+", "-", f"{result.dataset.name}-{result.retriever.name}".lower()).strip("-")
    return f"leaderboard/{plain[:60]}-{result.run_id[:8]}"


def pull_request(entry: Entry) -> str:
    """The text of a pull request: title, figures, command, what was checked."""
    result = entry.result
    row = row_of(entry, 0.0)
    system = cell(row.retriever) + (f" + {cell(row.ranker)}" if row.ranker else "")
    data = result.dataset
    lines = [
        f"# Leaderboard: {system} on {cell(data.name)}@{cell(data.revision)}",
        "",
        f"Run `{result.run_id}`, split {cell(data.split)}, knowledge base {cell(result.kb.name)} "
        f"(`{result.kb.sha256[:12]}`), protocol {cell(result.protocol.name)}.",
        "",
        "| subset | mentions | coverage | R@1 | in-KB R@1 |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in (*data.subsets, *AVERAGES):
        scores = result.scores[name]
        figures = [scores.coverage, row.recall(1, name), row.in_kb(name).figures["recall@1"]]
        lines.append(f"| {cell(name)} | {scores.n:,} | " + " | ".join(map(percent, figures)) + " |")
    trained = ", ".join(map(cell, entry.manifest.training)) or "none named by the components"
    return "\n".join(
        [
            *lines,
            "",
            f"Made by: {cell(row.command) or 'not recorded'}",
            "",
            f"Training data: {trained}",
            "",
            "- [ ] `bioelx-bench leaderboard check` passes here",
            "- [ ] nothing was trained or tuned on the test split",
            "",
        ]
    )
