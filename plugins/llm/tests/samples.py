"""Mentions and candidates for tests."""

from __future__ import annotations

from bioelx_bench.records import Candidate, Mention
from bioelx_bench.testing import make_mention


def items(count: int, candidates: int = 10) -> list[tuple[Mention, list[Candidate]]]:
    """Mentions that each have their own candidates."""
    return [
        (
            make_mention(
                f"Herzinfarkt {i}", "de", number=i, context="Der Patient litt an {} und bekam Aspirin."
            ),
            [Candidate(f"C{j:07d}", 1.0 - j / 20, f"concept {i} {j}") for j in range(candidates)],
        )
        for i in range(count)
    ]
