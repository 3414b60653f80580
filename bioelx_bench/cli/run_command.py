"""`bioelx-bench run`: run a retriever and a ranker on a benchmark and score them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.runs.run_config import FIELDS, Layer, command_layer, flags_of, help_of, is_list, metavar_of

if TYPE_CHECKING:
    from bioelx_bench.errors import MissingError
    from bioelx_bench.runs.engine import Outcome
    from bioelx_bench.runs.plan import Plan


def make_app() -> typer.Typer:
    """The `run` command."""
    app = typer.Typer(add_completion=False)
    app.command()(with_options(run, list(FIELDS)))
    return app


def with_options(command: Any, names: list[str]) -> Any:
    """A command whose keyword `options` is spelled out as the command line's options for these run options.

    Values stay text here, so that `RunConfig` alone says what is right, in the same words as for a file or a keyword.
    """

    def wrapped(ctx: typer.Context, **options: Any) -> None:
        own = {name: options.pop(name) for name in list(options) if name not in names}
        command(ctx, options=options, **own)

    own = [p for name, p in inspect.signature(command, eval_str=True).parameters.items() if name != "options"]
    derived = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default_of(name), annotation=annotation_of(name)
        )
        for name in names
    ]
    positional = [p.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in own]
    setattr(wrapped, "__signature__", inspect.Signature([*positional, *derived]))  # noqa: B010 - mypy
    wrapped.__annotations__ = {p.name: p.annotation for p in (*positional, *derived)}
    wrapped.__doc__, wrapped.__name__ = command.__doc__, command.__name__
    return wrapped


def default_of(name: str) -> bool | None:
    """What typer gives for an option that is not there."""
    return False if FIELDS[name].annotation is bool else None


def annotation_of(name: str) -> Any:
    """The type and declaration that typer reads."""
    if FIELDS[name].annotation is bool:
        return Annotated[bool, typer.Option(*flags_of(name), help=help_of(name))]
    option = typer.Option(*flags_of(name), help=help_of(name), metavar=metavar_of(name), show_default=False)
    return Annotated[list[str] | None if is_list(name) else str | None, option]


def run(ctx: typer.Context, options: dict[str, Any]) -> None:
    """Run a retriever and a ranker on a benchmark and score them.

    A run that was stopped continues with the same command; one that is finished is shown again.
    """
    session: Session = ctx.obj
    layer = command_layer(options)
    if layer.values.get("dataset", session.config.get("dataset")) == "all":
        run_all(session, layer)
        return
    from bioelx_bench.cli.tables import show_result
    from bioelx_bench.runs.plan import plan_run

    plan = plan_run(session, layer)
    if plan.config.dry_run:
        session.emit(plan.describe(), lambda console: console.print_json(data=plan.describe()))
        return
    outcome = perform(session, plan)
    result = outcome.run.result.model_dump(mode="json")
    session.emit(result, lambda console: show_result(console, outcome))


def perform(session: Session, plan: Plan) -> Outcome:
    """Carry out a plan; warnings are told on stderr."""
    from bioelx_bench.api import carry_out

    outcome = carry_out(session, plan)
    for warning in outcome.warnings:
        session.note(f"warning: {warning}")
    return outcome


def run_all(session: Session, layer: Layer) -> None:
    """Run every benchmark that is available; those that are missing are named with the way to get each."""
    from bioelx_bench.cli.tables import show_missing, show_result
    from bioelx_bench.datasets.availability import first_available
    from bioelx_bench.errors import MissingError
    from bioelx_bench.runs.plan import file_layers, plan_run
    from bioelx_bench.runs.run_config import combine

    config = combine([*file_layers(session.config), layer])
    results: list[Any] = []
    missing: dict[str, MissingError] = {}
    for declared in session.plugins.all("datasets"):
        spec = declared.spec
        if not spec.benchmark:
            continue
        part, lack = first_available(declared, data_root=config.data_root, environment=session.environment())
        if lack is not None:
            missing[f"{spec.name}@{spec.revisions[0]}"] = lack
        if part is None:
            continue
        chosen = {"dataset": part.full_name, "split": config.split or part.split}
        plan = plan_run(session, Layer({**layer.values, **chosen}, layer.places))
        if config.dry_run:
            results.append(plan.describe())
            continue
        try:
            outcome = perform(session, plan)
        except MissingError as error:
            missing[spec.name] = error
            continue
        results.append(outcome.run.result.model_dump(mode="json"))
        if not session.options.json:
            show_result(session.console, outcome)
    absent = {name: {"what": e.what, **dict(e.details())} for name, e in missing.items()}
    session.emit({"results": results, "missing": absent}, lambda console: show_missing(console, absent))
