"""`bioelx-bench answers export` and `bioelx-bench tune`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bioelx_bench.cli.session import Session
    from bioelx_bench.runs.run_result import RunResult
    from bioelx_bench_llm.tuning import JudgedList, Tuned


def make_answers() -> typer.Typer:
    """The group `answers`."""
    app = typer.Typer(add_completion=False)
    app.command(name="export")(export_answers)
    app.callback()(answers_group)
    return app


def answers_group() -> None:
    """Recorded answers of language models."""


def make_tune() -> typer.Typer:
    """The command `tune`."""
    app = typer.Typer(add_completion=False)
    app.command(name="tune")(tune_run)
    return app


def export_answers(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A finished run with a language model as ranker: folder or id.")],
    output: Annotated[Path, typer.Option(help="The file to write, such as answers.jsonl.gz.")],
    data: Annotated[
        list[str] | None, typer.Option("-D", help="Options of the dataset, where the run had some.")
    ] = None,
    kb: Annotated[
        str | None, typer.Option(help="Knowledge base: NAME or FOLDER; by default that of its name.")
    ] = None,
) -> None:
    """Write a run's answers into one small file, with which `--ranker replay:FILE` repeats it without a model."""
    from bioelx_bench.errors import UsageError
    from bioelx_bench.runs.loading import load
    from bioelx_bench.runs.logs import CANDIDATES, CandidateLog, candidates_of
    from bioelx_bench.runs.run_result import load_run
    from bioelx_bench_llm.ranker import LlmRanker

    session: Session = ctx.obj
    finished = load_run(run, Path(session.config.get("output")))
    result = finished.result
    if result.ranker is None or result.rerank_depth is None:
        raise UsageError(f"the run {result.run_id} has no ranker", hint="give a run with --ranker")
    depth = result.rerank_depth
    loaded = load(plan_again(session, finished, data, kb), session.environment(seed=result.seed))
    try:
        if loaded.run.kb.sha256 != result.kb.sha256:
            raise UsageError(
                f"the run used another knowledge base {result.kb.name!r}",
                hint="name the one it used with --kb",
            )
        ranker = loaded.parts.ranker
        if not isinstance(ranker, LlmRanker):
            raise UsageError(f"{result.ranker.name} asks no language model through this plugin")
        log = CandidateLog(finished.folder / CANDIDATES, writable=False)

        def items() -> Iterator[Any]:
            for mention, line in zip(loaded.mentions.parts(loaded.run.protocol), log.lines(), strict=True):
                yield mention, candidates_of(line)[:depth]

        written, lacking = ranker.export(items(), output)
    finally:
        loaded.parts.close()
    typer.echo(
        f"{output}: {written} answers, {output.stat().st_size:,} bytes; mentions that lack one: {lacking}"
    )


def plan_again(session: Session, finished: RunResult, data: list[str] | None, kb: str | None) -> Any:
    """The plan of a finished run, from what its result records."""
    from bioelx_bench.api import plan_call
    from bioelx_bench.options import parse_pairs

    result = finished.result
    manifest = finished.manifest()
    dataset = result.dataset
    options: dict[str, Any] = {
        "split": dataset.split,
        "subset": ",".join(dataset.subsets),
        "limit": dataset.limit,
        "k": result.k,
        "rerank_depth": result.rerank_depth,
        "seed": result.seed,
        "protocol": result.protocol.name,
        "retriever_options": manifest["retriever"].get("options_given") or {},
        "ranker_options": manifest["ranker"].get("options_given") or {},
        "dataset_options": parse_pairs(data or [], "-D"),
    }
    if dataset.name == "table":
        del options["split"], options["subset"]
    name = dataset.name if dataset.revision in {None, "user"} else f"{dataset.name}@{dataset.revision}"
    ranker = "none" if result.ranker is None else result.ranker.name
    given = {key: value for key, value in options.items() if value not in (None, {})}
    return plan_call(session, (name, result.retriever.name, ranker, kb or result.kb.name), given)


def tune_run(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(help="Finished runs with the ranker on development data: folders or ids.")
    ],
    output: Annotated[Path | None, typer.Option(help="Write the mix as TOML, for --config.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
) -> None:
    """Derive how to mix a ranker's evidence with the retriever's scores, from runs on development data."""
    from bioelx_bench.errors import UsageError
    from bioelx_bench.runs.run_result import load_run
    from bioelx_bench_llm.tuning import tune

    session: Session = ctx.obj
    lists: list[JudgedList] = []
    names: set[str] = set()
    for reference in runs:
        run = load_run(reference, Path(session.config.get("output")))
        if run.result.ranker is None:
            raise UsageError(f"the run {run.result.run_id} has no ranker", hint="give runs with --ranker")
        if run.result.dataset.split == "test":
            raise UsageError(
                f"the run {run.result.run_id} is on a test split",
                why="what is chosen on a test split makes its figures too good",
                hint="run the ranker on --split dev, and tune on that run",
            )
        names.add(run.result.ranker.name)
        lists += judged_lists(run)
    if len(names) > 1:
        raise UsageError(f"the runs have different rankers: {', '.join(sorted(names))}")
    if not lists:
        raise UsageError(
            "no mention of these runs has its gold concept in the knowledge base and two candidates"
        )
    found = tune(lists, seed)
    for line in shown(found):
        typer.echo(line)
    if output is not None:
        write_toml(output, names.pop(), found)
        typer.echo(f"written: {output}")


def judged_lists(run: RunResult) -> list[JudgedList]:
    """A run's lists with scores, evidence and what is right, of mentions whose gold is in the knowledge base."""
    import numpy as np

    from bioelx_bench.runs.logs import CANDIDATES, RANKINGS, CandidateLog, RankingLog
    from bioelx_bench_llm.tuning import JudgedList

    right = gold_by_mention(run)
    rankings = {line.mention_id: line for line in RankingLog(run.folder / RANKINGS, writable=False).lines()}
    found = []
    for line in CandidateLog(run.folder / CANDIDATES, writable=False).lines():
        gold, ranking = right.get(line.mention_id), rankings.get(line.mention_id)
        if not gold or ranking is None or len(ranking.concepts) < 2:
            continue
        evidence = ranking.evidence or [None] * len(ranking.concepts)
        told = dict(zip(ranking.concepts, evidence, strict=True))
        concepts = list(line.concepts)[: len(ranking.concepts)]
        values = [told.get(concept) for concept in concepts]
        found.append(
            JudgedList(
                np.asarray(list(line.scores)[: len(concepts)], np.float64),
                np.asarray([np.nan if value is None else value for value in values], np.float64),
                np.asarray([concept in gold for concept in concepts]),
            )
        )
    return found


def gold_by_mention(run: RunResult) -> dict[str, set[str]]:
    """The gold concepts of each mention that the run's knowledge base holds."""
    table = run.predictions().select(["mention_id", "gold", "in_kb"]).to_pylist()
    return {row["mention_id"]: set(row["gold"]) for row in table if row["in_kb"]}


def shown(found: Tuned) -> list[str]:
    """The curve, and what was chosen."""
    lines = [f"{found.mentions} mentions; temperature {found.interpolation.temperature:g}", "weight  R@1"]
    top = max(found.recall)
    for weight, recall in zip(found.weights, found.recall, strict=True):
        bar = "#" * round(40 * recall / top) if top else ""
        lines.append(f"{weight:6.2f}  {100 * recall:5.1f} {bar}")
    gain, low, high = (100 * value for value in found.gain)
    lines.append(
        f"best weight {found.interpolation.weight:g} (95 % of bootstrap samples: {found.interval[0]:g} to "
        f"{found.interval[1]:g}); R@1 {gain:+.1f} against the retriever alone ({low:+.1f} to {high:+.1f})"
    )
    return lines


def write_toml(path: Path, ranker: str, found: Tuned) -> None:
    """A configuration file that sets the mix of a ranker."""
    import json

    from bioelx_bench.files import write_text

    how = found.interpolation
    write_text(
        path,
        f"# From {found.mentions} development mentions; 95 % of bootstrap samples choose a weight from "
        f"{found.interval[0]:g} to {found.interval[1]:g}.\n"
        f"[rankers.{json.dumps(ranker, ensure_ascii=False)}]\n"
        f"mix = {how.weight}\nevidence_temperature = {how.temperature}\n",
    )
