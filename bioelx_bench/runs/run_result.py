"""A finished run in hand: its result, its rows as data frames, and scoring it again."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bioelx_bench.errors import DataError
from bioelx_bench.files import write_json
from bioelx_bench.metrics import Metric
from bioelx_bench.records import Interpolation, LabelledMention
from bioelx_bench.results import AVERAGES, Result, SubsetScores
from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog
from bioelx_bench.runs.result import find_run, finished_runs, read_result
from bioelx_bench.runs.seal import MANIFEST, PREDICTIONS, RESULT, seal, verify
from bioelx_bench.scoring.evaluation import NamedMetric

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench.scoring.outcome import SubsetOutcome

Mentions = Mapping[str, Iterable[LabelledMention]]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: Where its files are.
        result: The content of `result.json`.
        mentions: Gives the mentions of each subset, for the texts of `to_pandas`; None where the run was loaded from
            its folder alone.
        kb: The knowledge base, for names of gold concepts; None likewise.
    """

    folder: Path
    result: Result
    mentions: Callable[[], Mentions] | None = None
    kb: KnowledgeBase | None = None

    @property
    def scores(self) -> dict[str, SubsetScores]:
        """The figures of each subset, then `macro` and `micro`."""
        return self.result.scores

    @property
    def name(self) -> str:
        """What ran: the retriever, and the ranker if there is one."""
        ranker = self.result.ranker
        return self.result.retriever.name + (f" + {ranker.name}" if ranker else "")

    def manifest(self) -> dict[str, Any]:
        """The content of `manifest.json`: everything the figures come from.

        Raises:
            DataError: It was changed.
        """
        path = self.folder / MANIFEST
        try:
            found: dict[str, Any] = orjson.loads(path.read_bytes())
            dict(found["identity"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(
                "the manifest of the run is damaged",
                where=path,
                why=str(error),
                hint="repeat the run with --fresh",
            ) from error
        return found

    def predictions(self) -> pa.Table:
        """One row a mention, as `scoring.predictions.SCHEMA` describes it; no text of the dataset."""
        import pyarrow.parquet as parquet

        return parquet.read_table(self.folder / PREDICTIONS)

    def outcomes(self) -> Iterator[SubsetOutcome]:
        """Ranks and flags of the mentions of each subset, as arrays.

        Raises:
            DataError: The predictions cannot be read.
        """
        from bioelx_bench.scoring.join import Reordering
        from bioelx_bench.scoring.lists import LoggedLists
        from bioelx_bench.scoring.predictions import read_outcomes
        from bioelx_bench.scoring.rankings import RankingIndex

        def lists(stage: str, mention_ids: Sequence[str]) -> list[list[str]]:
            reordering = None
            if stage == "ranking" and self.result.rerank_depth is not None:
                index = RankingIndex(RankingLog(self.folder / RANKINGS, writable=False))
                reordering = Reordering(index, self.result.rerank_depth, self.interpolation)
            log = CandidateLog(self.folder / CANDIDATES, writable=False)
            return LoggedLists(log, reordering)(stage, mention_ids)

        return read_outcomes(
            self.folder / PREDICTIONS,
            self.result.dataset.subsets,
            ranked=self.result.ranker is not None,
            lists=lists,
        )

    @property
    def interpolation(self) -> Interpolation | None:
        """How scores and evidence were mixed; None where the ranker's own order was taken."""
        mix = self.result.interpolation
        return None if mix is None else Interpolation(**mix)

    def rescore(self, metrics: Sequence[NamedMetric] | Mapping[str, Metric]) -> RunResult:
        """Score the run again with other metrics; nothing is retrieved or asked again, and the run's id stays.

        The new figures replace those in `result.json`; Recall@k is always among them.

        Args:
            metrics: Declared metrics (`scoring.evaluation.load_metrics`), or functions by name.

        Raises:
            BenchError: A metric breaks its contract.
        """
        from bioelx_bench.scoring.figures import recall
        from bioelx_bench.scoring.summary import summarise

        if isinstance(metrics, Mapping):
            metrics = [NamedMetric(name=n, plugin="this program", function=f) for n, f in metrics.items()]
        if all(metric.name != "recall" for metric in metrics):
            metrics = [NamedMetric(name="recall", plugin="bioelx-bench", function=recall), *metrics]
        scores = summarise(
            self.outcomes(), metrics, depth=self.result.k, cutoffs=self.result.cutoffs, seed=self.result.seed
        )
        changed = {"scores": scores, "metrics": tuple(metric.name for metric in metrics)}
        result = self.result.model_copy(update=changed)
        write_json(self.folder / RESULT, result.model_dump(mode="json"))
        seal(self.folder)
        return RunResult(self.folder, result, self.mentions, self.kb)

    def to_frame(self) -> pd.DataFrame:
        """The score table of the last stage: a row for each subset and average, a column for each figure.

        Figures are fractions; those over in-KB mentions are named `in_kb recall@1`.
        """
        import pandas as pd

        stage = self.result.stage
        rows = {}
        for name, scores in self.scores.items():
            row: dict[str, Any] = {"n": scores.n, "coverage": scores.coverage}
            row |= scores.stage(stage).figures
            row |= {f"in_kb {key}": value for key, value in scores.in_kb.stage(stage).figures.items()}
            row |= {"without_candidates": scores.without_candidates, "failed": scores.failed}
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("subset")

    def to_pandas(self) -> pd.DataFrame:
        """One row a mention: what `predictions` holds, with texts where the dataset and knowledge base are at hand.

        Columns beyond those of `predictions`: `language`, `mention`, `context`, `semantic_types` from the dataset and
        `gold_names` (preferred name of each gold concept) from the knowledge base. A run that was loaded from its
        folder has them once `with_data` was called.
        """
        from bioelx_bench.runs.frames import mention_frame

        return mention_frame(self.predictions(), self.mentions, self.kb)

    def with_data(self, mentions: Callable[[], Mentions], kb: KnowledgeBase | None = None) -> RunResult:
        """This run with its dataset (mentions of each subset) and knowledge base at hand."""
        return RunResult(self.folder, self.result, mentions, kb or self.kb)

    def _repr_html_(self) -> str:
        """The score table for notebooks."""
        return result_html(self)


def result_html(run: RunResult) -> str:
    """A run's score table as HTML, every foreign text escaped."""
    result = run.result
    stage = result.stage
    shown = [f for f in next(iter(result.scores.values())).stage(stage).figures if f.startswith("recall@")]
    head = ["subset", "n", "coverage", *(f"R@{f.partition('@')[2]}" for f in shown), "in-KB R@1"]
    rows = []
    for name, scores in result.scores.items():
        values = [scores.stage(stage).figures[f] for f in shown]
        figures = [scores.coverage, *values, scores.in_kb.stage(stage).figures["recall@1"]]
        cells = [name, f"{scores.n:,}", *("–" if v is None else f"{100 * v:.1f}" for v in figures)]
        tag = "th" if name in AVERAGES else "td"
        rows.append("<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>")
    data = result.dataset
    title = (
        f"{run.name} on {data.name}@{data.revision} {data.split}, KB {result.kb.name}, run {result.run_id}"
    )
    header = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    return (
        f"<table><caption>{html.escape(title)}; per cent</caption>"
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def load_run(folder: str | Path, output: Path = Path("runs")) -> RunResult:
    """Load a finished run, after making sure that its files are as they were when it finished.

    Args:
        folder: The run's folder, its `result.json`, or its id (or the start of it).
        output: Folder of runs, where ids are looked up.

    Raises:
        MissingError: There is no such finished run.
        DataError: A file was changed, or is of another version.
    """
    found = find_run(folder, output)
    result = read_result(found / RESULT)
    verify(found)
    return RunResult(found, result)


def runs(folder: str | Path = "runs") -> list[RunResult]:
    """The finished runs in a folder, newest first; their files are not verified, and what cannot be read is left out.

    Args:
        folder: Folder of runs.
    """
    found = []
    for path in finished_runs(Path(folder)):
        try:
            found.append(RunResult(path, read_result(path / RESULT)))
        except DataError:
            continue
    return found
