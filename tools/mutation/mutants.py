"""Wrong versions of scoring, one change each: `python tools/mutation/mutants.py` says which the tests let pass.

A mutant is a small change of code that gives other figures. Each is made in a copy of the package, and the tests of
scoring run against the copy; one that they do not notice shows what is not tested. The exit code is 1 if one lives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TESTS: Final = (
    "tests/core/test_scoring_rules.py",
    "tests/core/test_interpolation.py",
)
"""What must notice a mutant: tests that take seconds. Simulations and whole runs would, too, but take minutes."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place, which must occur exactly once in the file."""

    file: str
    old: str
    new: str


MUTANTS: Final = (
    Mutant(
        "figures", "(hits.ranks <= k).astype(np.float64) for k", "(hits.ranks < k).astype(np.float64) for k"
    ),
    Mutant("figures", "found = hits.ranks <= hits.depth", "found = hits.ranks < hits.depth"),
    Mutant("figures", "values[found] = 1 / hits.ranks[found]", "values[found] = 1 / (hits.ranks[found] + 1)"),
    Mutant("figures", "[:-1][owners] + 1\n", "[:-1][owners]\n"),
    Mutant("figures", "sums / np.maximum(counts, 1)", "sums / np.maximum(np.minimum(counts, 1), 1)"),
    Mutant("figures", "precision = number / hits.gold_ranks", "precision = 1 / hits.gold_ranks"),
    Mutant(
        "figures",
        "np.log2(hits.gold_ranks.astype(np.float64) + 1)",
        "np.log2(hits.gold_ranks.astype(np.float64) + 2)",
    ),
    Mutant("figures", "ideal[np.minimum(counts, k)]", "ideal[np.minimum(counts, 1)]"),
    Mutant("intervals", "tail = (1 - level) / 2 * 100", "tail = (1 - level) * 100"),
    Mutant("intervals", "[tail, 100 - tail]", "[tail, 100]"),
    Mutant(
        "intervals", "random.multinomial(count, sizes / count", "random.multinomial(len(sizes), sizes / count"
    ),
    Mutant("intervals", "extreme = 1 + int(", "extreme = int("),
    Mutant("intervals", "return extreme / (draws + 1)", "return extreme / (2 * draws + 1)"),
    Mutant(
        "intervals", "(len(values) - np.arange(len(values)))", "(len(values) - 1 - np.arange(len(values)))"
    ),
    Mutant("intervals", "np.minimum(np.maximum.accumulate(steps), 1.0)", "np.minimum(steps, 1.0)"),
    Mutant("intervals", "np.maximum.accumulate(steps), 1.0)", "np.maximum.accumulate(steps), 2.0)"),
    Mutant("intervals", "sums[sums > 1e-12]", "sums[sums > 1.5]"),
    Mutant("interpolation", "(1 - how.weight) * centred", "how.weight * centred"),
    Mutant("interpolation", "filled / how.temperature", "filled * how.temperature"),
    Mutant("interpolation", "(scores - scale.mean) / scale.spread", "(scores - scale.mean)"),
    Mutant("interpolation", "np.where(counts[owners] > 0, mixed, centred)", "mixed"),
    Mutant("interpolation", "np.lexsort((places, -mixed, owners))", "np.lexsort((-places, -mixed, owners))"),
    Mutant("interpolation", "shift * shift * count * size / total", "shift * shift * count / total"),
    Mutant("protocols", 'unit="name",\n            split=True,', 'unit="concept",\n            split=True,'),
    Mutant("protocols", 'r"[+|]", mention.text)', 'r"[+]", mention.text)'),
    Mutant("protocols", "if protocol.split else [mention.text]", "if not protocol.split else [mention.text]"),
    Mutant("protocols", 'nil: Literal["count", "skip"] = "count"', 'nil: Literal["count", "skip"] = "skip"'),
    Mutant("protocols", 'match: Literal["any", "all"] = "any"', 'match: Literal["any", "all"] = "all"'),
    Mutant("gold", 'retired == "map" or self._foreign', 'retired != "map" or self._foreign'),
    Mutant("gold", 'any(has) if self._protocol.match == "any" else all(has)', "any(has)"),
    Mutant("gold", "row >= 0 for row", "row > 0 for row"),
    Mutant("gold", "if self._protocol.split_gold:", "if not self._protocol.split_gold:"),
)


def path_of(mutant: Mutant, root: Path) -> Path:
    """The file that a mutant changes."""
    return root / "bioelx_bench" / "scoring" / f"{mutant.file}.py"


def lives(mutant: Mutant | None) -> bool:
    """Whether the tests pass with a mutant in place; without one, whether they pass at all."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        root = Path(name)
        shutil.copytree(
            REPOSITORY / "bioelx_bench", root / "bioelx_bench", ignore=shutil.ignore_patterns("__pycache__")
        )
        if mutant is not None:
            path = path_of(mutant, root)
            path.write_text(
                path.read_text(encoding="utf-8").replace(mutant.old, mutant.new), encoding="utf-8"
            )
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        # -P: else the folder in which Python starts comes before PYTHONPATH, and the copy is never imported
        command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, check=False)
        return done.returncode == 0


def main() -> int:
    """Try every mutant, two at a time."""
    if not lives(None):
        print("the tests fail without a mutant")
        return 1
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lives, MUTANTS))
    living = [mutant for mutant, alive in zip(MUTANTS, outcomes, strict=True) if alive]
    for mutant in living:
        print(f"lives: {mutant.file}: {mutant.old!r} as {mutant.new!r}")
    print(f"{len(MUTANTS) - len(living)} of {len(MUTANTS)} mutants were noticed")
    return 1 if living else 0


if __name__ == "__main__":
    sys.exit(main())
