"""`bioelx-bench datasets`: list, prepare, verify and show benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.options import parse_pairs
from bioelx_bench.plugins import RegisteredSpec

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.datasets.prepared import PreparedSubset

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME[@REVISION]", help="A dataset, such as xl-bel@v0.0 or xl-bel@sample-500."),
]
SubsetOption = Annotated[
    str | None, typer.Option("--subset", help="Subsets with commas between; default all.")
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Split; default the revision's first.")]
RootOption = Annotated[
    Path | None, typer.Option("--data-root", help="Local mirror of the upstream files.", file_okay=False)
]
OptionPairs = Annotated[
    list[str] | None, typer.Option("--dataset-option", "-D", help="key=value for the dataset.")
]


def make_app() -> typer.Typer:
    """The command `datasets`."""
    app = typer.Typer(no_args_is_help=True, help="Prepare, verify and show benchmarks.")
    app.command("list")(list_datasets)
    app.command("prepare")(prepare)
    app.command("verify")(verify)
    app.command("show")(show)
    return app


def list_datasets(context: typer.Context, data_root: RootOption = None) -> None:
    """List every dataset, revision and split, whether it is available, and how to get it."""
    import dataclasses

    from bioelx_bench.datasets.availability import availability, needs_options
    from bioelx_bench.datasets.sources import sources_of

    session: Session = context.obj
    root = root_of(session, data_root)
    found: list[dict[str, Any]] = []
    for declared in session.plugins.all("datasets"):
        spec = declared.spec
        entry = {
            "name": spec.name,
            "summary": spec.summary,
            "licence": spec.licence,
            "homepage": spec.homepage,
            "context": spec.context,
            "id_scheme": spec.id_scheme,
            "subsets": list(spec.subsets),
            "own_files": needs_options(declared),
            "parts": [
                {
                    "revision": part.revision,
                    "split": part.split,
                    "available": part.available,
                    "reason": part.reason,
                    "hint": part.hint,
                    "sources": [
                        dataclasses.asdict(source) for source in sources_of(spec, part.revision, part.split)
                    ],
                }
                for part in availability(declared, data_root=root, environment=session.environment())
            ],
        }
        found.append(entry)
    session.emit({"datasets": found}, lambda console: show_list(console, found))


def show_list(console: Console, found: list[dict[str, Any]]) -> None:
    """Print one row for each revision and split."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "split", "subsets", "licence", "available"):
        table.add_column(column, overflow="fold")
    for entry in found:
        if entry["own_files"]:
            table.add_row(entry["name"], "", "", entry["licence"], "reads your files: -D path=")
        for part in entry["parts"]:
            table.add_row(
                f"{entry['name']}@{part['revision']}",
                part["split"],
                str(len(entry["subsets"])),
                entry["licence"],
                "yes" if part["available"] else "no",
            )
    console.print(table)
    for entry in found:
        for hint in dict.fromkeys(part["hint"] for part in entry["parts"] if not part["available"]):
            console.print(f"\n{entry['name']}: {hint}", markup=False)


def prepare(
    context: typer.Context,
    name: NameArgument,
    subset: SubsetOption = None,
    split: SplitOption = None,
    data_root: RootOption = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the data's licence; remembered in the cache.")
    ] = False,
    dataset_option: OptionPairs = None,
) -> None:
    """Download what is missing, verify it, and parse it into the cache."""
    session: Session = context.obj
    declared, _ = find(session, name)
    spec = declared.spec
    session.note(f"{spec.name}: licence {spec.licence}, {spec.homepage}")
    if accept_licence:
        from bioelx_bench.datasets.sources import acknowledge

        acknowledge(spec.homepage, spec.licence, session.cache)
    result = describe_all(session, prepared(session, name, subset, split, data_root, dataset_option), limit=0)
    session.emit(result, lambda console: show_subsets(console, result))


def verify(
    context: typer.Context,
    name: NameArgument,
    subset: SubsetOption = None,
    split: SplitOption = None,
    data_root: RootOption = None,
    dataset_option: OptionPairs = None,
) -> None:
    """Check hashes of the sources, positions, gold, and the published number of mentions."""
    from bioelx_bench.datasets.verify import verify as check

    session: Session = context.obj
    spec = find(session, name)[0].spec
    found = [
        {"subset": part.subset, "check": f.check, "passed": f.passed, "detail": f.detail}
        for part in prepared(session, name, subset, split, data_root, dataset_option)
        for f in check(part, spec)
    ]
    session.emit({"dataset": name, "checks": found}, lambda console: show_checks(console, found))
    failed = [
        f"{entry['subset']}: {entry['check']} {entry['detail']}"
        for entry in found
        if entry["passed"] is False
    ]
    if failed:
        raise DataError(f"{name} is not what it should be", where="; ".join(failed))


def show_checks(console: Console, found: list[dict[str, Any]]) -> None:
    """Print one row for each check."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("subset", "check", "result", "found"):
        table.add_column(column)
    words = {True: "[green]ok[/green]", False: "[red]wrong[/red]", None: "not known"}
    for entry in found:
        table.add_row(entry["subset"], entry["check"], words[entry["passed"]], entry["detail"])
    console.print(table)


def show(
    context: typer.Context,
    name: NameArgument,
    subset: SubsetOption = None,
    split: SplitOption = None,
    data_root: RootOption = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Examples of each subset.")] = 2,
    dataset_option: OptionPairs = None,
) -> None:
    """Show a dataset's counts and real examples with the mention marked."""
    session: Session = context.obj
    parts = prepared(session, name, subset, split, data_root, dataset_option)
    result = describe_all(session, parts, limit)
    session.emit(result, lambda console: show_examples(console, result))


def show_examples(console: Console, result: dict[str, Any]) -> None:
    """Print the counts, then the examples with their mentions in brackets."""
    from rich.text import Text

    show_subsets(console, result)
    for entry in result["subsets"].values():
        for example in entry["examples"]:
            line = Text(f"\n{example['id']}  ", style="dim")
            line.append("  ".join(example["gold"]), style="cyan")
            line.append(f"  {', '.join(example['semantic_types'])}\n")
            at = 0
            for start, end in example["spans"]:
                line.append(example["context"][at:start], style="not dim")
                line.append(f"[{example['context'][start:end]}]", style="bold not dim")
                at = end
            line.append(example["context"][at:], style="not dim")
            if not example["spans"]:
                line.append(f" [{example['mention']}]", style="bold not dim")
            console.print(line)


def show_subsets(console: Console, result: dict[str, Any]) -> None:
    """Print one row for each subset."""
    from rich.table import Table

    title = f"{result['name']}@{result['revision']} {result['split']}: {result['summary']}"
    console.print(
        f"{title}\nlicence {result['licence']}, context: {result['context']}, {result['homepage']}\n"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("subset")
    table.add_column("documents", justify="right")
    table.add_column("mentions", justify="right")
    table.add_column("handled and counted", overflow="fold")
    for subset, entry in result["subsets"].items():
        odd = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in entry["counts"].items())
        table.add_row(subset, f"{entry['documents']:,}", f"{entry['mentions']:,}", odd)
    console.print(table)


def describe_all(session: Session, parts: list[PreparedSubset], limit: int) -> dict[str, Any]:
    """Prepared subsets of one dataset as JSON."""
    from bioelx_bench.datasets.show import describe

    spec = session.plugins.get("datasets", parts[0].name).spec
    return {
        "name": spec.name,
        "revision": parts[0].revision,
        "split": parts[0].split,
        "summary": spec.summary,
        "licence": spec.licence,
        "homepage": spec.homepage,
        "context": spec.context,
        "subsets": {part.subset: describe(part, limit) for part in parts},
    }


def find(session: Session, name: str) -> tuple[RegisteredSpec, str | None]:
    """The declaration and revision that a name stands for."""
    from bioelx_bench.datasets.prepare import parse_dataset_name

    plain, revision = parse_dataset_name(name)
    return session.plugins.get("datasets", plain), revision


def root_of(session: Session, data_root: Path | None) -> Path | None:
    """The data root: the option, or the configuration's."""
    configured = session.config.get("data_root")
    root = data_root or (Path(configured).expanduser() if configured else None)
    if root is not None and not root.is_dir():
        raise UsageError(f"there is no folder {root}", where="--data-root")
    return root


def prepared(
    session: Session,
    name: str,
    subset: str | None,
    split: str | None,
    data_root: Path | None,
    pairs: list[str] | None,
) -> list[PreparedSubset]:
    """Prepare the subsets asked for; where files are missing, name the revisions that are available."""
    from bioelx_bench.datasets.availability import availability
    from bioelx_bench.datasets.prepare import prepare_subset

    declared, revision = find(session, name)
    root = root_of(session, data_root)
    options = {**session.config.component("datasets", declared.spec.name), **parse_pairs(pairs or [], "-D")}
    wanted = [word.strip() for word in subset.split(",")] if subset else list(declared.spec.subsets)
    try:
        return [
            prepare_subset(
                declared,
                revision=revision,
                subset=part,
                split=split,
                data_root=root,
                environment=session.environment(),
                options=options,
            )
            for part in wanted
        ]
    except MissingError as error:
        parts = availability(declared, data_root=root, environment=session.environment(), options=options)
        names = ", ".join(f"{part.full_name} --split {part.split}" for part in parts if part.available)
        if names:
            error.why = "; ".join(filter(None, (error.why, f"available: {names}")))
        raise
