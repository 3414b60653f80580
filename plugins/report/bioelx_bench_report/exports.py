"""Runs in the forms that other programs read: data frames, TREC, ranx, and Hugging Face evaluation results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from bioelx_bench.files import atomic_path, write_text
from bioelx_bench.results import AVERAGES
from bioelx_bench.runs.run_result import RunResult
from bioelx_bench_report.lists import read_candidates
from bioelx_bench_report.loading import Runs

if TYPE_CHECKING:
    import pandas as pd

NO_GOLD: Final = "no-gold"
"""Stands as the relevant document of a mention without gold, so that evaluators count the mention."""

LISTS: Final = ("gold", "gold_names", "semantic_types", "retrieval_gold_ranks", "ranking_gold_ranks")


def mention_frame(runs: Runs) -> pd.DataFrame:
    """One row for each run and mention: `RunResult.to_pandas` with the columns `run` and `run_id` before."""
    import pandas as pd

    frames = []
    for label, run in zip(runs.labels, runs.with_data(), strict=True):
        frame = run.to_pandas()
        frame.insert(0, "run_id", run.result.run_id)
        frame.insert(0, "run", label)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def score_frame(runs: Runs) -> pd.DataFrame:
    """One row for each run and subset: `RunResult.to_frame` with the columns `run` and `run_id` before."""
    import pandas as pd

    frames = []
    for label, run in zip(runs.labels, runs.runs, strict=True):
        frame = run.to_frame().reset_index()
        frame.insert(0, "run_id", run.result.run_id)
        frame.insert(0, "run", label)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV; lists become JSON, and what a spreadsheet would take for a formula becomes text."""
    plain = frame.copy()
    for name in plain.columns.intersection(list(LISTS)):
        plain[name] = [None if cell is None else json_list(cell) for cell in plain[name]]
    for name in plain.select_dtypes(["object", "string"]).columns:
        plain[name] = plain[name].map(lambda cell: f"'{cell}" if is_formula(cell) else cell)
    with atomic_path(path) as temporary:
        plain.to_csv(temporary, index=False)


def json_list(cell: Any) -> str:
    """A list as JSON, whatever pandas holds it in."""
    values = cell.tolist() if hasattr(cell, "tolist") else list(cell)
    return orjson.dumps([None if value != value else value for value in values]).decode()


def is_formula(cell: Any) -> bool:
    """Whether a spreadsheet would run a cell."""
    return isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} and len(cell) > 1


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")


def ranked_ids(run: RunResult) -> Iterator[tuple[str, list[str]]]:
    """Each mention of a run with its candidates after the last stage, best first, each concept once."""
    ids = run.predictions().column("mention_id").to_pylist()
    for mention_id, found in zip(ids, read_candidates(run, ids), strict=True):
        yield mention_id, list(dict.fromkeys(found.concepts[place] for place in found.order))


def gold_ids(runs: Runs) -> Iterator[tuple[str, list[str]]]:
    """Each mention with its gold, each concept once."""
    table = runs.runs[0].predictions()
    columns = (table.column(name).to_pylist() for name in ("mention_id", "gold"))
    for mention_id, gold in zip(*columns, strict=True):
        yield mention_id, list(dict.fromkeys(gold)) or [NO_GOLD]


def score_at(rank: int) -> float:
    """The score that stands for a rank: evaluators sort by scores, and break ties each in a way of its own."""
    return 1 / rank


def word(text: str) -> str:
    """An id without white space, as TREC's formats need it."""
    return quote(text, safe="/:@+,;=()[]{}'!*~$&", encoding="utf-8") if re.search(r"[\s%]", text) else text


def write_trec(runs: Runs, folder: Path) -> list[Path]:
    """Write `qrels.txt` and a `.run` file for each run.

    Raises:
        DataError: A run's log is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "qrels.txt"]
    with atomic_path(written[0]) as temporary, temporary.open("w", encoding="utf-8") as file:
        for mention_id, gold in gold_ids(runs):
            file.writelines(f"{word(mention_id)} 0 {word(concept)} 1\n" for concept in gold)
    for label, run in zip(runs.labels, runs.runs, strict=True):
        path = folder / f"{file_stem(label, run)}.run"
        tag = word(file_stem(label, run))
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for mention_id, concepts in ranked_ids(run):
                file.writelines(
                    f"{word(mention_id)} Q0 {word(concept)} {rank} {score_at(rank):.17g} {tag}\n"
                    for rank, concept in enumerate(concepts, 1)
                )
        written.append(path)
    return written


def write_ranx(runs: Runs, folder: Path) -> list[Path]:
    """Write `qrels.json` and a JSON file for each run, as `ranx.Qrels.from_file` and `ranx.Run.from_file` read them.

    Raises:
        DataError: A run's log is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "qrels.json"]
    qrels = {mention_id: dict.fromkeys(gold, 1) for mention_id, gold in gold_ids(runs)}
    write_text(written[0], orjson.dumps(qrels).decode())
    for label, run in zip(runs.labels, runs.runs, strict=True):
        path = folder / f"{file_stem(label, run)}.json"
        found = {
            mention_id: {concept: score_at(rank) for rank, concept in enumerate(concepts, 1)}
            for mention_id, concepts in ranked_ids(run)
        }
        write_text(path, orjson.dumps(found).decode())
        written.append(path)
    return written


def file_stem(label: str, run: RunResult) -> str:
    """A file name that tells the run."""
    plain = re.sub(r"[^A-Za-z0-9.=-]+", "-", label).strip("-.")[:80]
    return f"{plain or 'run'}-{run.result.run_id[:8]}"


def hugging_face_metadata(runs: Runs) -> str:
    """The metadata of a model card (YAML) with the evaluation results of each run, as the Hub shows them."""
    from huggingface_hub import EvalResult, ModelCardData

    cards = []
    for label, run in zip(runs.labels, runs.runs, strict=True):
        result = run.result
        results = [
            EvalResult(
                task_type="entity-linking",
                task_name="Biomedical entity linking",
                dataset_type=result.dataset.name,
                dataset_name=f"{result.dataset.name} {result.dataset.revision}",
                dataset_config=None if subset in AVERAGES else subset,
                dataset_split=result.dataset.split,
                metric_type=figure,
                metric_name=f"{figure} ({subset})",
                metric_value=value,
                metric_args={"subset": subset, "kb": result.kb.name, "run_id": result.run_id},
            )
            for subset, scores in result.scores.items()
            for figure, value in scores.stage(result.stage).figures.items()
            if value is not None
        ]
        card = ModelCardData(model_name=label, eval_results=results, tags=["entity-linking", "biomedical"])
        cards.append(card.to_yaml())
    return "\n---\n".join(cards) + "\n"
