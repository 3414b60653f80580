"""`bioelx-bench train`: train a retriever on the names of a knowledge base."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.options import parse_pairs, validate_options
from bioelx_bench_sapbert.training.settings import TrainingSettings

if TYPE_CHECKING:
    from rich.console import Console


def make_app() -> typer.Typer:
    """The command `train`."""
    app = typer.Typer(no_args_is_help=True, help="Train a retriever on the names of a knowledge base.")
    app.command("sapbert-x")(train_sapbert_x)
    app.command("settings")(show_settings)
    return app


def train_sapbert_x(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Base encoder: folder, id on the Hub, or offline:e5-small.")],
    kb: Annotated[str, typer.Option(help="Knowledge base whose names are trained on: NAME or FOLDER.")],
    output: Annotated[Path, typer.Option(help="New model folder.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="key=value of a setting; see `train settings`.")
    ] = None,
    dev: Annotated[
        list[Path] | None, typer.Option(help="Development mentions: a file of CUI||mention lines.")
    ] = None,
    keep_checkpoints: Annotated[
        bool, typer.Option("--keep-checkpoints", help="Keep the checkpoints of a finished run.")
    ] = False,
) -> None:
    """Train by SapBERT's method; the same command continues a run that was stopped.

    For several GPUs: torchrun --no-python --nproc-per-node N bioelx-bench train sapbert-x ...
    """
    session: Session = context.obj
    settings = read_settings(set_ or ())
    from bioelx_bench.kb.catalogue import open_knowledge_base
    from bioelx_bench_sapbert.training.run import TrainingRequest, train

    environment = session.environment(seed=settings.seed)
    request = TrainingRequest(
        model=model,
        kb=open_knowledge_base(kb, environment),
        output=output,
        settings=settings,
        development=tuple(dev or ()),
        command=command_line(model, kb, output, set_ or (), dev or ()),
        keep_checkpoints=keep_checkpoints,
    )
    report = train(request, environment)
    shown = {key: value for key, value in report.items() if key != "log"}
    session.emit(shown, lambda console: show_report(console, shown, output))


def read_settings(pairs: list[str] | tuple[str, ...]) -> TrainingSettings:
    """Settings from `key=value` pairs; lists have commas between.

    Raises:
        UsageError: An unknown setting, or a value that it does not take.
    """
    return validate_options(TrainingSettings, dict(parse_pairs(pairs, "--set")), "sapbert-x", "--set")


def command_line(
    model: str, kb: str, output: Path, pairs: list[str] | tuple[str, ...], dev: list[Path] | tuple[Path, ...]
) -> str:
    """The command that repeats this training, with folders by their last name."""
    parts = ["bioelx-bench", "train", "sapbert-x", "--model", model, "--kb", Path(kb).name, "--output"]
    parts += [output.name]
    parts += [part for pair in pairs for part in ("--set", pair)]
    parts += [part for file in dev for part in ("--dev", file.name)]
    return shlex.join(parts)


def show_report(console: Console, report: dict[str, Any], output: Path) -> None:
    """Print the figures of a finished training."""
    if report["status"] != "finished":
        return  # not the first process of several
    console.print(f"{report['pairs']} pairs, {report['steps']} steps, {report['pairs_per_second']} pairs/s")
    figures = report.get("development_figures") or {"trained": {}, "untrained": {}}
    for group, value in figures["trained"].items():
        before = figures["untrained"][group]
        console.print(f"  {group:<24} Recall@1 {100 * before:5.1f} -> {100 * value:.1f}")
    console.print(f"model folder: {output}", markup=False, soft_wrap=True)


def show_settings(context: typer.Context) -> None:
    """Show every setting with its default."""
    session: Session = context.obj
    fields = {
        name: {"default": field.default, "description": field.description}
        for name, field in TrainingSettings.model_fields.items()
    }

    def human(console: Console) -> None:
        for name, field in fields.items():
            console.print(f"{name}={field['default']}", markup=False, style="bold")
            console.print(f"    {field['description']}", markup=False)

    session.emit(fields, human)
