"""The ranking stage: every ranking is logged as soon as it is there, none is asked for twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bioelx_bench.base import BaseRanker
from bioelx_bench.errors import BenchError
from bioelx_bench.progress import Progress
from bioelx_bench.records import Candidate, Mention, Ranking
from bioelx_bench.runs.logs import RankingLog

Item = tuple[Mention, Sequence[Candidate]]


def rank(ranker: BaseRanker, items: Iterable[Item], total: int, path: Path, progress: Progress) -> None:
    """Rank what the log does not hold yet.

    Args:
        ranker: The ranker.
        items: Every mention with the candidates to rank, in order.
        total: How many they are.
        path: `rankings.jsonl`.
        progress: Shows the bar.

    Raises:
        BenchError: The ranker lost a mention or returned something else than a permutation.
    """
    log = RankingLog(path)
    try:
        done = log.mention_ids()
        waiting: dict[str, Sequence[Candidate]] = {}
        with progress.task("Ranking", total=total, unit="mentions", done=len(done)) as task:

            def pending() -> Iterator[Item]:
                for mention, candidates in items:
                    if mention.id in done:
                        continue
                    if len(candidates) < 2:
                        log.append(Ranking(mention.id, tuple(candidates)))
                        task.advance()
                        continue
                    waiting[mention.id] = candidates
                    yield mention, candidates

            for ranking in ranker.rank_many(pending()):
                check_permutation(ranking, waiting.pop(ranking.mention_id, None))
                log.append(ranking)
                task.advance()
        if waiting:
            raise BenchError(
                f"the ranker returned no ranking for {len(waiting)} mentions, such as {next(iter(waiting))}",
                why="every mention must be answered (contract of bioelx_bench.base.BaseRanker)",
                hint="repeat the command: it asks only for what is missing",
            )
    finally:
        log.close()


def check_permutation(ranking: Ranking, given: Sequence[Candidate] | None) -> None:
    """Make sure that a ranking holds exactly the candidates that went in."""
    if given is None:
        raise BenchError(
            f"the ranker returned a ranking for {ranking.mention_id!r}, which was not asked for or came twice"
        )
    before = sorted(c.concept_id for c in given)
    after = sorted(c.concept_id for c in ranking.candidates)
    if before != after:
        raise BenchError(
            f"the ranking of {ranking.mention_id} is no permutation of its candidates",
            why="the ranker breaks the contract of bioelx_bench.base.BaseRanker",
            hint="run the plugin's conformance tests (bioelx_bench.testing)",
        )
