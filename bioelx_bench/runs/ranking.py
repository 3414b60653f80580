"""The ranking stage: every ranking is logged as soon as it is there, none is asked for twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioelx_bench.base import BaseRanker
from bioelx_bench.errors import BenchError
from bioelx_bench.files import atomic_path
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench.runs.contracts import check_ranking, check_unchanged, snapshot
from bioelx_bench.runs.foreign import Origin, calling
from bioelx_bench.runs.logs import RankingLog, is_unchanged, numbered_lines, parse_ranking, warn_changed

Item = tuple[Mention, Sequence[Candidate]]

FAILED: Final = "failed"
"""Status of a ranking that could not be had."""


@dataclass(slots=True)
class ErrorBudget:
    """How many mentions may fail before a run stops.

    Attributes:
        limit: A count, or below 1 a share of all mentions.
        total: Mentions of the run.
        failed: Those that failed.
        asked: Those that the ranker was asked for.
    """

    limit: float
    total: int
    failed: int = 0
    asked: int = 0

    def add(self, ranking: Ranking) -> None:
        """Count a ranking.

        Raises:
            BenchError: More have failed than may.
        """
        self.asked += 1
        if ranking.status != FAILED:
            return
        self.failed += 1
        allowed = self.limit if self.limit >= 1 else self.limit * self.total
        if self.failed > allowed:
            share = f"{self.limit:g}" if self.limit >= 1 else f"{100 * self.limit:g} % of {self.total:,}"
            raise BenchError(
                f"the ranker failed for {self.failed} mentions, and {share} may fail: "
                f"{ranking.error or 'it gave no reason'}",
                where=ranking.mention_id,
                hint="mend the cause and repeat the command, which asks again for what failed; "
                "--max-errors N allows more",
            )

    def check_end(self, last: str) -> None:
        """Refuse a run in which nothing was ranked.

        Raises:
            BenchError: Every mention failed.
        """
        if self.asked and self.failed == self.asked:
            raise BenchError(
                f"the ranker failed for every mention: {last or 'it gave no reason'}",
                hint="mend the cause and repeat the command, which asks again",
            )


class CheckedRanker:
    """A ranker whose answers are checked as they come."""

    def __init__(self, ranker: BaseRanker, origin: Origin) -> None:
        self.origin = origin
        self._ranker = ranker

    def rank(self, items: Iterable[Item]) -> Iterator[Ranking]:
        """The ranking of each item, in any order.

        Raises:
            BenchError: The ranker raised, lost a mention, or broke its contract.
        """
        waiting: dict[str, tuple[Mention, Sequence[Candidate], tuple[object, ...]]] = {}

        def pending() -> Iterator[Item]:
            for mention, candidates in items:
                waiting[mention.id] = (mention, tuple(candidates), snapshot([mention])[0])
                yield mention, [Candidate(c.concept_id, c.score, c.name) for c in candidates]

        answers = iter(())
        with calling(self.origin, "rank"):
            answers = iter(self._ranker.rank_many(pending()))  # type: ignore[arg-type]
        while True:
            with calling(self.origin, "rank"):
                answer = next(answers, None)
            if answer is None:
                break
            key = getattr(answer, "mention_id", None)
            found = waiting.pop(key, None) if isinstance(key, str) else None
            checked = check_ranking(self.origin, answer, None if found is None else found[1], list(waiting))
            if found is not None:
                check_unchanged(self.origin, "rank", [found[0]], [found[2]])
            yield checked
        if waiting:
            raise BenchError(
                f"{self.origin} returned no ranking for {len(waiting)} mentions, such as {next(iter(waiting))}",
                where=self.origin.place("rank_many"),
                why="every mention must be answered (contract of bioelx_bench.base.BaseRanker)",
                hint="repeat the command: it asks only for what is missing",
            )


def rank(
    ranker: CheckedRanker, items: Iterable[Item], budget: ErrorBudget, path: Path, progress: Progress
) -> None:
    """Rank what the log does not hold yet.

    Args:
        ranker: The ranker.
        items: Every mention with the candidates to rank, in order.
        budget: How many may fail.
        path: `rankings.jsonl`.
        progress: Shows the bar.

    Raises:
        BenchError: The ranker broke its contract, or failed for too many mentions.
    """
    forget_failed(path)
    log = RankingLog(path)
    last = ""
    try:
        done = log.mention_ids()
        with progress.task("Ranking", total=budget.total, unit="mentions", done=len(done)) as task:

            def pending() -> Iterator[Item]:
                for mention, candidates in items:
                    if mention.id in done:
                        continue
                    if len(candidates) < 2:
                        log.append(Ranking(mention.id, tuple(candidates)))
                        task.advance()
                        continue
                    yield mention, candidates

            for ranking in ranker.rank(pending()):
                log.append(ranking)
                task.advance()
                last = ranking.error or last
                budget.add(ranking)
        if not any(line.status != FAILED and len(line.concepts) > 1 for line in log.lines()):
            budget.check_end(last)
    finally:
        log.close()


def forget_failed(path: Path) -> None:
    """Take failed and changed rankings out of the log of an unfinished run, so that they are asked for again."""
    if not path.exists():
        return
    kept: list[bytes] = []
    dropped = False
    for number, raw in numbered_lines(path):
        unchanged = is_unchanged(raw)
        if not unchanged:
            warn_changed(path, number, "the mention is asked for again")
        if unchanged and parse_ranking(raw).status != FAILED:
            kept.append(raw)
        else:
            dropped = True
    if dropped:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"".join(kept))
