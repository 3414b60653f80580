"""`bioelx-bench run`: run a retriever and a ranker on a benchmark and score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.options import parse_pairs

if TYPE_CHECKING:
    from bioelx_bench.runs.engine import Outcome
    from bioelx_bench.runs.request import Plan, RunRequest


def make_app() -> typer.Typer:
    """The `run` command."""
    app = typer.Typer(add_completion=False)
    app.command()(run)
    return app


def run(
    ctx: typer.Context,
    dataset: Annotated[
        str | None, typer.Option(help="NAME or NAME@REVISION; 'all' for every benchmark at hand.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Subsets with commas between; default all.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the dataset.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Local mirror of the upstream files.")] = None,
    dataset_option: Annotated[
        list[str] | None, typer.Option("--dataset-option", "-D", help="key=value for the dataset.")
    ] = None,
    kb: Annotated[str | None, typer.Option(help="Knowledge base: NAME or FOLDER.")] = None,
    preset: Annotated[str | None, typer.Option(help="A named combination of components.")] = None,
    retriever: Annotated[str | None, typer.Option(help="Retriever.")] = None,
    retriever_option: Annotated[
        list[str] | None, typer.Option("--retriever-option", "-R", help="key=value for the retriever.")
    ] = None,
    ranker: Annotated[str | None, typer.Option(help="Ranker, or 'none'.")] = None,
    ranker_option: Annotated[
        list[str] | None, typer.Option("--ranker-option", "-K", help="key=value for the ranker.")
    ] = None,
    k: Annotated[int | None, typer.Option(help="Candidates to retrieve.")] = None,
    rerank_depth: Annotated[int | None, typer.Option(help="Candidates to rank.")] = None,
    protocol: Annotated[str | None, typer.Option(help="How candidates are counted.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="match=any|all, nil=count|skip, retired=map|keep.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="A further metric.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="First N mentions of each subset.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of runs.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and stop.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do the run anew, discarding what is there.")
    ] = False,
) -> None:
    """Run a retriever and a ranker on a benchmark and score them.

    A run that was stopped continues with the same command; one that is finished is shown again.
    """
    from bioelx_bench.runs.request import RunRequest

    session: Session = ctx.obj
    root = data_root or session.config.get("data_root")
    request = RunRequest(
        dataset=dataset,
        subsets=tuple(s.strip() for s in subset.split(",") if s.strip()) if subset else (),
        split=split,
        data_root=Path(root) if root else None,
        dataset_options=tuple(dataset_option or ()),
        kb=kb,
        preset=preset,
        retriever=retriever,
        retriever_options=tuple(retriever_option or ()),
        ranker=ranker,
        ranker_options=tuple(ranker_option or ()),
        protocol=protocol,
        policies=parse_pairs(policy or (), "--policy"),
        metrics=tuple(metric or ()),
        k=k,
        rerank_depth=rerank_depth,
        limit=limit,
        seed=seed,
    )
    folder = output or Path(session.config.get("output"))
    if request.dataset == "all":
        run_all(session, request, folder, dry_run=dry_run, fresh=fresh)
    else:
        run_one(session, request, folder, dry_run=dry_run, fresh=fresh)


def run_one(session: Session, request: RunRequest, output: Path, *, dry_run: bool, fresh: bool) -> None:
    """Carry out one run and show its result."""
    from bioelx_bench.cli.tables import show_result
    from bioelx_bench.runs.request import plan_run

    plan = plan_run(request, session.plugins, session.config)
    if dry_run:
        description = describe_plan(plan)
        session.emit(description, lambda console: console.print_json(data=description))
        return
    outcome = perform(session, plan, request, output, fresh=fresh)
    session.emit(outcome.run.result.model_dump(mode="json"), lambda console: show_result(console, outcome))


def perform(session: Session, plan: Plan, request: RunRequest, output: Path, *, fresh: bool) -> Outcome:
    """Load and execute a plan; event hooks that raised are told on stderr."""
    from bioelx_bench.runs.engine import execute
    from bioelx_bench.runs.request import load_run

    options = parse_pairs(request.dataset_options, "-D")
    loaded = load_run(plan, session.environment(seed=plan.seed), request.data_root, options)
    try:
        outcome = execute(loaded, output, fresh=fresh)
    finally:
        loaded.close()
    for warning in outcome.warnings:
        session.note(f"warning: {warning}")
    return outcome


def run_all(session: Session, request: RunRequest, output: Path, *, dry_run: bool, fresh: bool) -> None:
    """Run every benchmark at hand; those that are missing are named with the way to get each."""
    import dataclasses

    from bioelx_bench.cli.tables import show_missing, show_result
    from bioelx_bench.datasets.survey import at_hand
    from bioelx_bench.errors import MissingError
    from bioelx_bench.runs.request import plan_run

    results: list[Any] = []
    missing: dict[str, MissingError] = {}
    for declared in session.plugins.all("datasets"):
        spec = declared.spec
        if not spec.benchmark:
            continue
        part, lack = at_hand(declared, data_root=request.data_root, environment=session.environment())
        if lack is not None:
            missing[f"{spec.name}@{spec.revisions[0]}"] = lack
        if part is None:
            continue
        one = dataclasses.replace(request, dataset=part.full_name, split=request.split or part.split)
        plan = plan_run(one, session.plugins, session.config)
        if dry_run:
            results.append(describe_plan(plan))
            continue
        try:
            outcome = perform(session, plan, one, output, fresh=fresh)
        except MissingError as error:
            missing[spec.name] = error
            continue
        results.append(outcome.run.result.model_dump(mode="json"))
        if not session.options.json:
            show_result(session.console, outcome)
    absent = {name: {"what": e.what, **dict(e.details())} for name, e in missing.items()}
    session.emit({"results": results, "missing": absent}, lambda console: show_missing(console, absent))


def describe_plan(plan: Plan) -> dict[str, Any]:
    """What `--dry-run` shows."""
    return {
        "dataset": {
            "name": plan.dataset,
            "revision": plan.revision,
            "split": plan.split,
            "subsets": list(plan.subsets),
            "limit": plan.limit,
        },
        "kb": plan.kb,
        "retriever": plan.retriever.describe(),
        "ranker": plan.ranker.describe() if plan.ranker else None,
        "protocol": plan.protocol.describe(),
        "metrics": list(plan.metrics),
        "k": plan.k,
        "rerank_depth": plan.rerank_depth,
        "seed": plan.seed,
    }
