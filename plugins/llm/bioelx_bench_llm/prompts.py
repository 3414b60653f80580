"""Prompts: readable template files, rendered in a sandbox.

A template is a jinja2 file with the blocks its strategy needs (`system` and `user`; for rerank `query` and
`document`). The text of contexts and names reaches it as values, never as template source, and every value is
one line of printable characters, so that data cannot form the paragraphs and headings of the prompt itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.errors import DataError, MissingError, UsageError

if TYPE_CHECKING:
    from jinja2 import Template

BUILT_IN: Final = ("listwise", "pointwise", "qwen3-reranker", "rerank", "setwise")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A loaded template.

    Attributes:
        name: Name of a built-in template, or the file's name.
        sha256: Hash of the template's text; part of the run's identity.
        template: The compiled template.
        system_varies: Whether the system message names candidates.
    """

    name: str
    sha256: str
    template: Template
    system_varies: bool

    def render(self, block: str, values: Mapping[str, Any]) -> str:
        """The text of one block.

        Raises:
            DataError: The template uses a value that its strategy does not give, or fails otherwise.
        """
        from jinja2 import TemplateError

        context = self.template.new_context(dict(values))
        try:
            return "".join(self.template.blocks[block](context)).strip()
        except (TemplateError, TypeError, ValueError, ZeroDivisionError, LookupError) as error:
            raise DataError(
                f"the prompt {self.name!r} cannot be rendered: {error}",
                where=f"block {block}",
                hint=f"values it may use: {', '.join(sorted(values))}; see docs/ranking.md",
            ) from error

    def messages(self, values: Mapping[str, Any]) -> list[dict[str, str]]:
        """The chat messages of one question."""
        return self.messages_after(self.system(values), values)

    def system(self, values: Mapping[str, Any]) -> str | None:
        """The system message where it is the same for all candidates of a mention, else None."""
        return None if self.system_varies else self.render("system", values)

    def messages_after(self, system: str | None, values: Mapping[str, Any]) -> list[dict[str, str]]:
        """The chat messages of one question, with the system message if that is known already."""
        system = self.render("system", values) if system is None else system
        user = self.render("user", values)
        first = [{"role": "system", "content": system}] if system else []
        return [*first, {"role": "user", "content": user}]


def load_prompt(reference: str, needs: Sequence[str]) -> Prompt:
    """A built-in template by name, or one from a file.

    Args:
        reference: Name or file.
        needs: The blocks it must have.

    Raises:
        MissingError: There is neither a template nor a file of that name.
        UsageError: It is not a template, or lacks a block that the strategy needs.
    """
    from jinja2 import StrictUndefined, TemplateError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    source = read_source(reference)
    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    try:
        template = sandbox.from_string(source)
        blocks = {block.name: block for block in sandbox.parse(source).find_all(nodes.Block)}
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise UsageError(
            f"the prompt is not a template: {error}",
            where=reference if line is None else f"{reference}:{line}",
            hint="start from a built-in one, see docs/ranking.md",
        ) from error
    missing = [block for block in needs if block not in template.blocks]
    if missing:
        raise UsageError(
            f"the prompt {reference!r} has no block {' or '.join(missing)}",
            why=f"the strategy needs {' and '.join(needs)}",
            hint="start from the built-in template of that strategy, see docs/ranking.md",
        )
    name = reference if reference in BUILT_IN else Path(reference).name
    names = {n.name for n in blocks["system"].find_all(nodes.Name)} if "system" in blocks else set()
    varies = bool(names & {"candidate", "candidates"})
    return Prompt(name, hashlib.sha256(source.encode()).hexdigest(), template, varies)


def read_source(reference: str) -> str:
    """The text of a built-in template or of a file."""
    if reference in BUILT_IN:
        return (files("bioelx_bench_llm") / "templates" / f"{reference}.jinja").read_text(encoding="utf-8")
    path = Path(reference).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(
            f"there is no prompt {reference!r}",
            where="-K prompt",
            why=getattr(error, "strerror", None) or str(error),
            hint=f"give a template file, or one of {', '.join(BUILT_IN)}",
        ) from error
