"""The generated part of the documentation: the reference, from the code, and the examples of the how-to pages.

`python docs/generate.py FOLDER` writes the reference to a folder; MkDocs calls the hooks when it builds the site.
What the pages hold is what is declared, so that nothing can be left out of them: `docs/tests` checks that.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = "https://github.com/bioelx/bioelx-bench/blob/main/"
EXAMPLE = re.compile(r"^\{\{ example:(\w+):(\w+) \}\}$", re.M)
OUTSIDE = re.compile(r"\]\((?:\.\./)+((?!docs/)[A-Za-z._][\w./@-]*)(#[\w-]*)?\)")


def pages() -> dict[str, str]:
    """Every page of the reference by its path below `docs`."""
    from bioelx_bench.plugins import load_plugins

    plugins = load_plugins()
    return {
        "reference/command_line.md": command_line(plugins),
        "reference/settings.md": settings(),
        "reference/components.md": components(plugins),
        "reference/hooks.md": hooks(),
        "reference/python.md": python_api(),
        "reference/result.md": results(),
    }


def command_line(plugins: Any) -> str:
    """Every command with its arguments and options."""
    import typer

    from bioelx_bench.cli.main import GLOBAL_OPTIONS
    from bioelx_bench.options import load_object

    parts = ["# Command line\n", "Options of every command, anywhere on the line:\n", *table(GLOBAL_OPTIONS)]
    for registered in plugins.all("commands"):
        spec = registered.spec
        app = load_object(spec.factory, repr(spec.name))()
        for path, command in leaves(typer.main.get_command(app), (spec.name,)):
            parts += [f"\n## bioelx-bench {' '.join(path)}\n", paragraph(command.help or spec.summary), ""]
            rows = {
                usage(parameter): described(parameter)
                for parameter in command.params
                if parameter.name != "help"
            }
            parts += table(rows)
    return "\n".join(parts) + "\n"


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands below a command, and itself where it does something."""
    below = getattr(command, "commands", {})
    if not below or getattr(command, "invoke_without_command", False):
        yield path, command
    for name, inner in below.items():
        yield from leaves(inner, (*path, name))


def usage(parameter: Any) -> str:
    """How a parameter is written."""
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{flag}`" for flag in [*parameter.opts, *parameter.secondary_opts])


def described(parameter: Any) -> str:
    """What a parameter is for, with its default."""
    text = getattr(parameter, "help", None) or ""
    default = parameter.default
    if callable(default) or default in (None, False, (), [], "") or "Sentinel" in type(default).__name__:
        return text
    return f"{text} Default: `{default}`."


def settings() -> str:
    """Every field of `RunConfig`: flag, keyword and key in files."""
    from bioelx_bench.runs.run_config import RunConfig

    rows = []
    for name, field in RunConfig.model_fields.items():
        cli = (field.json_schema_extra or {}).get("cli")  # type: ignore[union-attr]
        flags = getattr(cli, "flags", ()) or (f"--{name.replace('_', '-')}",)
        marks = [
            word
            for word, holds in (
                ("no part of the run's id", getattr(cli, "runtime", False)),
                ("not in files", not getattr(cli, "in_file", True)),
            )
            if holds
        ]
        default = "" if field.default is None else f"`{field.default}`"
        allowed = ", ".join(f"`{a}`" for a in getattr(cli, "allowed", ()))
        text = (field.description or "") + (f"; {allowed}" if allowed else "")
        rows.append(
            f"| `{name}` | {', '.join(f'`{f}`' for f in flags)} | {cell(text)} | {default} | {', '.join(marks)} |"
        )
    return "\n".join(
        [
            "# Settings of a run\n",
            "One model, `bioelx_bench.RunConfig`, is the command line of `run`, the keywords of `evaluate()`, and "
            "keys in `bioelx-bench.toml`. The command line wins over a preset, a preset over the project's file, "
            "that over the user's.\n",
            "| name | flag | | default | |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def components(plugins: Any) -> str:
    """Every declared component with its options."""
    from bioelx_bench.options import load_object

    parts = [
        "# Components and options\n",
        "With the plugins of this repository; `bioelx-bench list --verbose` shows yours.",
    ]
    for kind in plugins.declared:
        found = plugins.all(kind)
        if not found or kind in ("commands", "checks"):
            continue
        parts.append(f"\n## {kind.replace('_', ' ').capitalize()}\n")
        for registered in found:
            spec = registered.spec
            parts += [
                f"### {kind.removesuffix('s').replace('_', ' ')} `{spec.name}`\n",
                paragraph(spec.summary),
                "",
            ]
            if not hasattr(spec, "options"):
                continue
            rows = {}
            for name, field in load_object(spec.options, repr(spec.name)).model_fields.items():
                default = (
                    "required"
                    if field.is_required()
                    else f"default `{field.get_default(call_default_factory=True)}`"
                )
                rows[f"`{name}`"] = f"{field.description or ''} ({default})"
            parts += [*table(rows), ""] if rows else []
    return "\n".join(parts) + "\n"


def hooks() -> str:
    """Every hook with what it may return and the attributes of its declarations."""
    from bioelx_bench import hookspecs
    from bioelx_bench.plugins import KINDS

    parts = ["# Hooks\n", "[How plugins work](../plugins.md) shows an example of each."]
    for name, value in vars(hookspecs).items():
        if not hasattr(value, "bioelx_bench_spec"):
            continue
        parts += [f"\n## `{name}{inspect.signature(value)}`\n".replace("'", ""), docstring(value)]
        for spec in KINDS.get(name, ()):
            parts += [f"\n### `{spec.__name__}`\n", docstring(spec)]
    return "\n".join(parts) + "\n"


def python_api() -> str:
    """What the package exports, and the public modules of plugin authors."""
    import importlib

    import bioelx_bench

    parts = ["# Python\n", paragraph(bioelx_bench.__doc__ or "")]
    for name in bioelx_bench.__all__:
        parts += entry(f"bioelx_bench.{name}", getattr(bioelx_bench, name))
    for module_name in (
        "records",
        "base",
        "declarations",
        "options",
        "errors",
        "metrics",
        "results",
        "testing",
    ):
        module = importlib.import_module(f"bioelx_bench.{module_name}")
        parts += [f"\n## Module `bioelx_bench.{module_name}`\n", paragraph(module.__doc__ or "")]
        own = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
        ]
        for name in own:
            parts += entry(f"{name}", getattr(module, name), level=3)
    return "\n".join(parts) + "\n"


def entry(name: str, value: Any, level: int = 2) -> list[str]:
    """A heading with the signature, the docstring, and the public methods of a class."""
    try:
        signature = str(inspect.signature(value)) if callable(value) else ""
    except (TypeError, ValueError):
        signature = ""
    parts = [
        f"\n{'#' * level} `{name}`\n",
        f"```python\n{name}{signature}\n```\n" if signature else "",
        docstring(value),
    ]
    if inspect.isclass(value):
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
                parts.append(f"\n`{method}{inspect.signature(function)}`\n\n{docstring(function)}")
    return parts


def results() -> str:
    """Every field of `result.json`, and the lines of the logs."""
    from bioelx_bench.results import Result
    from bioelx_bench.runs import logs

    schema = Result.model_json_schema()
    parts = [
        "# result.json and logs\n",
        "A run's folder holds `manifest.json`, `candidates.jsonl`, `rankings.jsonl` (with a ranker), predictions and "
        "`result.json`, whose models are those of `bioelx_bench.results`.\n",
    ]
    for name, model in {"Result": schema, **schema.get("$defs", {})}.items():
        parts += [f"\n## `{name}`\n", paragraph(model.get("description", "")), ""]
        parts += table({f"`{field}`": kind_of(value) for field, value in model.get("properties", {}).items()})
    parts += ["\n## Logs\n", paragraph(logs.__doc__ or "")]
    for name, value in vars(logs).items():
        if inspect.isclass(value) and value.__module__ == logs.__name__ and hasattr(value, "_fields"):
            parts += [
                f"\n### `{name}`\n",
                docstring(value),
                "",
                *table(dict.fromkeys((f"`{f}`" for f in value._fields), "")),
            ]
    return "\n".join(parts) + "\n"


def kind_of(value: Mapping[str, Any]) -> str:
    """The type of a field of a JSON Schema, in words."""
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(kind_of(option) for option in value["anyOf"])
    if value.get("type") == "array":
        return f"list of {kind_of(value.get('items', {}))}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), Mapping):
        return f"object of {kind_of(value['additionalProperties'])}"
    return str(value.get("const", value.get("type", "any value")))


def table(rows: Mapping[str, str]) -> list[str]:
    """A table of two columns; nothing where there are no rows."""
    return ["| | |", "|---|---|", *(f"| {cell(k)} | {cell(v)} |" for k, v in rows.items())] if rows else []


def cell(text: str) -> str:
    """Text that can stand in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def paragraph(text: str) -> str:
    """A docstring's text; angle brackets would be taken for HTML."""
    return re.sub(r"(?<!`)<(\w+)>(?!`)", r"`<\1>`", inspect.cleandoc(text))


def docstring(value: Any) -> str:
    """A docstring with its sections as lists."""
    lines: list[str] = []
    for line in inspect.cleandoc(inspect.getdoc(value) or "").splitlines():
        if re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields|Example):", line):
            lines += ["", f"**{line[:-1]}**", ""]
        elif match := re.match(r"    (\w[\w.*]*)( \([^)]*\))?: (.*)", line):
            lines.append(f"- `{match[1]}`: {match[3]}")
        else:
            lines.append(line if not line.startswith("        ") else f"  {line.strip()}")
    return "\n".join(lines)


def example(kind: str, part: str) -> str:
    """A file of what `plugins new` makes, as a code block."""
    from bioelx_bench.cli.plugin_new import render

    name = f"my-{kind}"
    files, _ = render(name, kind, one_file=False)
    identifier = name.replace("-", "_")
    path = {
        "component": f"{identifier}/component.py",
        "plugin": f"{identifier}/plugin.py",
        "test": f"tests/test_{identifier}.py",
        "template": f"{identifier}/{identifier}.jinja",
    }[part]
    return f"```{'python' if path.endswith('.py') else 'jinja'}\n{files[path]}```"


def write(folder: Path) -> None:
    """Write the reference below a folder, where it differs."""
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def on_config(config: Any) -> Any:
    """MkDocs: write the reference before pages are looked for."""
    write(Path(config["docs_dir"]))
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs: fill in examples, and lead links out of `docs` to the repository."""
    filled = EXAMPLE.sub(lambda match: example(match[1], match[2]), markdown)
    return OUTSIDE.sub(
        lambda match: f"]({REPOSITORY}{match[1]}{match[2] or ''})" if outside(match[1]) else match[0], filled
    )


def outside(path: str) -> bool:
    """Whether a relative link leads out of `docs`."""
    return not (Path(__file__).parent / path).exists()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
