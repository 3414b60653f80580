"""`bioelx-bench completion`: a script with which a shell completes commands and options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from bioelx_bench.cli.main import GLOBAL_OPTIONS
from bioelx_bench.cli.session import Session
from bioelx_bench.options import load_object


class Shell(StrEnum):
    """Shells that there is a script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def make_app() -> typer.Typer:
    """The `completion` command."""
    app = typer.Typer(add_completion=False)
    app.command(name="completion")(print_script)
    return app


def print_script(
    ctx: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell that completes.")]
) -> None:
    """Print a completion script: `bioelx-bench completion bash > ~/.bash_completion.d/bioelx-bench`, or the like."""
    session: Session = ctx.obj
    words = dict(words_of(session))
    text = fish(words) if shell is Shell.fish else bash(words, zsh=shell is Shell.zsh)
    session.emit({"script": text}, lambda console: console.print(text, markup=False, soft_wrap=True))


def words_of(session: Session) -> Iterator[tuple[str, list[str]]]:
    """What may follow each command; the empty command stands for the start."""
    everywhere = [option.split()[0] for option in GLOBAL_OPTIONS]
    names = [registered.spec.name for registered in session.plugins.all("commands")]
    yield "", [*names, *everywhere, "--help", "--version"]
    for registered in session.plugins.all("commands"):
        app = load_object(registered.spec.factory, repr(registered.spec.name))()
        yield from below(registered.spec.name, typer.main.get_command(app), everywhere)


def below(path: str, command: Any, everywhere: list[str]) -> Iterator[tuple[str, list[str]]]:
    """What may follow a command and those below it."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    options = [flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")]
    yield path, [*inner, *options, *everywhere, "--help"]
    for name, further in inner.items():
        yield from below(f"{path} {name}", further, everywhere)


def bash(words: Mapping[str, list[str]], *, zsh: bool) -> str:
    """The script of bash, which zsh can read."""
    cases = "\n".join(
        f"    '{path}') words='{' '.join(sorted(set(following)))}' ;;" for path, following in words.items()
    )
    return f"""{"autoload -U +X bashcompinit && bashcompinit" if zsh else "# bioelx-bench completion bash"}
_bioelx_bench() {{
  local path='' word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) path="${{path:+$path }}$word" ;; esac
  done
  while :; do
    case "$path" in
{cases}
    *) words='' ;;
    esac
    [[ -n "$words" || -z "$path" ]] && break
    case "$path" in *' '*) path="${{path% *}}" ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
  [[ ${{#COMPREPLY[@]}} -eq 0 ]] && COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o filenames -F _bioelx_bench bioelx-bench"""


def fish(words: Mapping[str, list[str]]) -> str:
    """The script of fish."""
    lines = []
    for path, following in words.items():
        seen = " and ".join(f"__fish_seen_subcommand_from {part}" for part in path.split())
        condition = seen.replace(" and ", "; and ") or "__fish_use_subcommand"
        for word in sorted(set(following)):
            kind = (
                f"-l {word[2:]}"
                if word.startswith("--")
                else f"-o {word[1:]}"
                if word.startswith("-")
                else f"-a {word}"
            )
            lines.append(f"complete -c bioelx-bench -n '{condition}' {kind}")
    return "\n".join(lines)
