"""What all conformance classes share: a workplace, a knowledge base, an environment, and failures in plain words."""

from __future__ import annotations

import json
import shutil
import tempfile
from abc import ABC
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from bioelx_bench.base import Environment, Notes
from bioelx_bench.cache import Cache
from bioelx_bench.files import hash_file
from bioelx_bench.plugins import load_plugins
from bioelx_bench.progress import Progress
from bioelx_bench.testing.data import make_knowledge_base

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase


def expect(condition: object, what: str, why: str) -> None:
    """Fail the check in two lines unless the condition holds.

    Args:
        condition: What must be true.
        what: What the component does instead, and what to change.
        why: What would go wrong in a run.
    """
    if not condition:
        pytest.fail(f"{what}\n  why it matters: {why}", pytrace=False)


class ComponentConformance(ABC):
    """Base of the conformance classes.

    Attributes:
        plugin_files: Plugins in one file that the environment must know, beside the installed ones. Models of
            declared sources, such as `offline:e5-small`, can be used.
    """

    plugin_files: ClassVar[tuple[Path, ...]] = ()

    workplace: ClassVar[Path]
    kb: ClassVar[KnowledgeBase]
    environment: ClassVar[Environment]

    @classmethod
    def setup_class(cls) -> None:
        """Make the workplace, with a knowledge base of a few multilingual names."""
        cls.workplace = Path(tempfile.mkdtemp(prefix="conformance-"))
        cls.kb = make_knowledge_base(cls.workplace / "kb")
        cls.environment = Environment(
            cache=Cache(cls.workplace / "cache"),
            offline=True,
            progress=Progress(enabled=False),
            kb=cls.kb,
            plugins=load_plugins(cls.plugin_files),
        )

    @classmethod
    def teardown_class(cls) -> None:
        """Remove the workplace."""
        shutil.rmtree(cls.workplace, ignore_errors=True)


def check_notes(notes: Notes) -> None:
    """Counts are whole numbers, so that processes can be added up; facts are JSON values."""
    expect(
        isinstance(notes, Notes),
        f"notes() gives a {type(notes).__name__}, not a bioelx_bench.base.Notes",
        "the result shows them",
    )
    for name, count in notes.counts.items():
        expect(
            type(count) is int and count >= 0,
            f"notes().counts[{name!r}] is {count!r}, not a whole number; put other values into facts",
            "counts of several processes and batches are added up",
        )
    try:
        json.dumps(dict(notes.facts), allow_nan=False)
    except (TypeError, ValueError) as error:
        expect(False, f"notes().facts are no JSON values: {error}", "they are written to result.json")


def content_of(folder: Path) -> dict[str, str]:
    """Every file of a folder with its hash."""
    return {
        str(path.relative_to(folder)): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
