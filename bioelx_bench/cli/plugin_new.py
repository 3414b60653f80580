"""`bioelx-bench plugins new`: a complete package, or one file, to start a plugin from."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bioelx_bench.cli.session import Session
from bioelx_bench.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Template


class Kind(StrEnum):
    """What a plugin can add."""

    retriever = "retriever"
    ranker = "ranker"
    dataset = "dataset"
    kb = "kb"
    aliases = "aliases"
    metric = "metric"
    command = "command"
    strategy = "strategy"


LABELS: Final = {"kb": "knowledge base", "aliases": "alias source", "strategy": "LLM strategy"}
"""What the kinds are called where it is not the kind's own word."""


def new_plugin(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the plugin: lower-case letters, digits and '-'.")],
    kind: Annotated[Kind, typer.Option(help="What it adds.")],
    one_file: Annotated[bool, typer.Option("--one-file", help="One Python file, for --plugin FILE.")] = False,
    output: Annotated[Path, typer.Option(help="Folder in which it is made.")] = Path(),
) -> None:
    """Start a plugin: a package that installs, works and passes its tests, or one file."""
    session: Session = ctx.obj
    if kind is Kind.strategy and one_file:
        raise UsageError(
            "a strategy is chosen by an import path, so it must be in a package",
            where="--one-file",
            hint=f"bioelx-bench plugins new {name} --kind strategy",
        )
    files, use = render(name, kind.value, one_file)
    target = output / (next(iter(files)) if one_file else name)
    if target.exists():
        raise UsageError(
            f"{target} is already there", where=str(target), hint="choose another name, or --output FOLDER"
        )
    for relative, text in files.items():
        path = output / relative if one_file else target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    commands = next_commands(target, one_file, use)
    session.emit(
        {"made": str(target), "files": sorted(files), "commands": commands},
        lambda console: console.print(
            f"made {target}; next:\n  " + "\n  ".join(commands), markup=False, soft_wrap=True
        ),
    )


def next_commands(target: Path, one_file: bool, use: str) -> list[str]:
    """What the author does next."""
    if one_file:
        return [f"bioelx-bench plugins test {target.stem} --plugin {target}", use]
    return [f"pip install --editable '{target}[dev]'", f"pytest {target}", use]


def render(name: str, kind: str, one_file: bool) -> tuple[dict[str, str], str]:
    """The files of a new plugin by relative path, and the command that uses it.

    Raises:
        UsageError: The name cannot be a plugin's or a module's.
    """
    identifier = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(identifier):
        raise UsageError(
            f"{name!r} cannot be a plugin's name",
            where="NAME",
            why="it becomes the name of a distribution and of a Python module",
            hint="use lower-case letters and digits with '-' between words, such as my-retriever",
        )
    if identifier in sys.stdlib_module_names:
        raise UsageError(f"{name!r} is the name of a module of Python", where="NAME", hint=f"use my-{name}")
    module = identifier if one_file else f"{identifier}.component"
    values = {
        "name": name,
        "kind": kind,
        "kind_label": LABELS.get(kind, kind),
        "identifier": identifier,
        "package": identifier,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "source": name.upper(),
        "component_module": module,
        "flag": f" --plugin {identifier}.py" if one_file else "",
        "dependencies": '"bioelx-bench", "bioelx-bench-llm"' if kind == "strategy" else '"bioelx-bench"',
        "at": (lambda x: f'f"{{__name__}}:{x}"') if one_file else (lambda x: f'"{module}:{x}"'),
    }
    blocks = blocks_of(template(f"{kind}.py.jinja"), values)
    values["use"] = blocks["use"]
    if one_file:
        return {f"{identifier}.py": one_module(blocks, values)}, blocks["use"]
    test_imports, _, tests = blocks["tests"].partition("---\n")
    title = f'"""The {values["kind_label"]} {name}."""'
    files = {
        "pyproject.toml": template("pyproject.toml.jinja").render(values),
        "README.md": template("README.md.jinja").render(values),
        f"{identifier}/__init__.py": f'"""A plugin of bioelx-bench: the {values["kind_label"]} {name}."""\n',
        f"{identifier}/py.typed": "",
        f"{identifier}/component.py": module_of(title, blocks["imports"], blocks["component"]),
        f"tests/test_{identifier}.py": module_of(
            f'"""The {values["kind_label"]} keeps its contract."""',
            test_imports,
            tests,
            first_party=identifier,
        ),
    }
    if "declare" in blocks:
        imports = blocks["declare_imports"] + "\nfrom bioelx_bench import hookimpl"
        files[f"{identifier}/plugin.py"] = module_of(
            '"""What this plugin declares."""', imports, blocks["declare"]
        )
    if "template" in blocks:
        files[f"{identifier}/{identifier}.jinja"] = blocks["template"] + "\n"
    return files, blocks["use"]


def one_module(blocks: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """A plugin in one file: the component, then the declaration."""
    imports = blocks["imports"] + "\n" + blocks["declare_imports"] + "\nfrom bioelx_bench import hookimpl"
    title = f'"""The {values["kind_label"]} {values["name"]}, a plugin in one file."""'
    return module_of(title, imports, blocks["component"] + "\n\n\n" + blocks["declare"])


def module_of(title: str, imports: str, body: str, first_party: str = "") -> str:
    """A module with its imports in the order that linters ask for."""
    lines = sorted({line for line in imports.splitlines() if line.strip()}, key=import_key)
    groups: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for line in lines:
        root = line.split()[1].partition(".")[0]
        groups[0 if root in sys.stdlib_module_names else 2 if root == first_party else 1].append(line)
    parts = [title, "from __future__ import annotations", *("\n".join(g) for g in groups.values() if g)]
    between = "\n\n" if re.match(r"[A-Z]", body) else "\n\n\n"
    return "\n\n".join(parts) + between + body.strip() + "\n"


def import_key(line: str) -> tuple[bool, str]:
    """`import x` before `from x import y`, each by module."""
    words = line.split()
    return words[0] == "from", words[1].lower()


def blocks_of(found: Template, values: Mapping[str, Any]) -> dict[str, str]:
    """The text of each block of a template."""
    context = found.new_context(dict(values))
    return {name: "".join(block(context)).strip("\n") for name, block in found.blocks.items()}


def template(file: str) -> Template:
    """A template of the package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("bioelx_bench", "resources/plugin_templates")
    # it renders Python and TOML, never HTML
    made = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)  # noqa: S701
    return made.get_template(file)
