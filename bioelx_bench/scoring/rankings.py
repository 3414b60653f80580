"""Finding the ranking of a mention in a log that is in the order of answers."""

from __future__ import annotations

import mmap
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from bioelx_bench.errors import DataError
from bioelx_bench.results import UsageTotals
from bioelx_bench.runs.logs import RankingLine, RankingLog, damaged, numbered_lines, parse_ranking
from bioelx_bench.scoring.interpolation import ScoreScale, score_scale

FAILED: Final = "failed"
"""Status of a mention whose ranking failed."""

SCALE_BLOCK: Final = 100_000


class RankingIndex:
    """Where the ranking of each mention lies in its log, with some twenty bytes a mention.

    The log is read once when the index is made; the first line of a mention counts.

    Attributes:
        path: The log.
        usage: What ranking cost, over all mentions.
        scale: Mean and spread of the retriever's scores of all ranked candidates.

    Raises:
        DataError: A line is damaged.
    """

    def __init__(self, log: RankingLog) -> None:
        self.path = log.path
        self._keys = np.empty(0, np.int64)
        self._offsets = np.empty(0, np.int64)
        self._counts: Counter[str] = Counter()
        self._fallbacks: Counter[str] = Counter()
        self._cost = 0.0
        self.scale: ScoreScale = score_scale(self._read())
        self.usage = UsageTotals(
            **self._counts, cost_usd=round(self._cost, 9), fallbacks=dict(sorted(self._fallbacks.items()))
        )
        self._file = self.path.open("rb")
        self._view = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if len(self._keys) else None

    def _read(self) -> Iterator[npt.NDArray[np.float64]]:
        keys, offsets, scores = array("q"), array("q"), array("d")
        offset = 0
        for number, raw in numbered_lines(self.path):
            try:
                line = parse_ranking(raw)
                keys.append(hash(line.mention_id))
                offsets.append(offset)
                scores.extend(line.scores)
                self._count(line)
            except (ValueError, TypeError, KeyError) as error:
                raise damaged(self.path, number, error) from error
            offset += len(raw)
            if len(scores) > SCALE_BLOCK:
                yield np.frombuffer(scores, np.float64).copy()
                scores = array("d")
        yield np.frombuffer(scores, np.float64)
        found, first = np.unique(np.frombuffer(keys, np.int64), return_index=True)
        self._keys, self._offsets = found, np.frombuffer(offsets, np.int64)[first]

    def _count(self, line: RankingLine) -> None:
        calls, prompt, completion, cost = line.usage
        self._counts["calls"] += calls
        self._counts["prompt_tokens"] += prompt
        self._counts["completion_tokens"] += completion
        self._counts["errors"] += line.status == FAILED
        self._counts["nil"] += line.nil
        self._cost += cost
        self._fallbacks.update(line.fallbacks)

    def __len__(self) -> int:
        return len(self._keys)

    def lines(self, mention_ids: Sequence[str]) -> list[RankingLine]:
        """The rankings of mentions.

        Raises:
            DataError: One has no ranking.
        """
        wanted = np.fromiter(map(hash, mention_ids), np.int64, len(mention_ids))
        places = np.searchsorted(self._keys, wanted)
        found = []
        for mention_id, key, place in zip(mention_ids, wanted, places, strict=True):
            line = self._line(int(place)) if place < len(self._keys) and self._keys[place] == key else None
            if line is None or line.mention_id != mention_id:
                raise DataError(
                    f"the rankings log has no line for {mention_id}",
                    where=self.path,
                    why="the retriever's order in its place would be a figure of another system",
                    hint="repeat the command: it asks only for what is missing",
                )
            found.append(line)
        return found

    def _line(self, place: int) -> RankingLine:
        assert self._view is not None  # noqa: S101 - an index with a place has a file with content
        start = int(self._offsets[place])
        return parse_ranking(self._view[start : self._view.find(b"\n", start)])

    def close(self) -> None:
        """Close the log."""
        if self._view is not None:
            self._view.close()
        self._file.close()
