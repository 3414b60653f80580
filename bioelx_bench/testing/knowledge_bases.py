"""What every builder of a knowledge base must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from bioelx_bench.base import Environment
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.testing.component import ComponentConformance, content_of, expect


class KnowledgeBaseConformance(ComponentConformance):
    """Subclass it as `Test...` and give `build`; pytest then runs every check."""

    built: ClassVar[KnowledgeBase]

    @classmethod
    @abstractmethod
    def build(cls, folder: Path, environment: Environment) -> None:
        """Build the knowledge base into an empty folder: what the declaration's factory does."""

    @classmethod
    def build_in(cls, name: str) -> KnowledgeBase:
        """Build it into a new folder and open it."""
        folder = cls.workplace / name
        folder.mkdir()
        cls.build(folder, cls.environment)
        return KnowledgeBase.open(folder)

    @classmethod
    def setup_class(cls) -> None:
        """Build it once."""
        super().setup_class()
        cls.built = cls.build_in("built")

    def test_there_are_concepts_and_names(self) -> None:
        expect(len(self.built), "it has no concept", "nothing can be found")
        expect(
            self.built.name_count >= len(self.built), "it has fewer names than concepts", "each needs a name"
        )

    def test_every_concept_can_be_read(self) -> None:
        step = max(len(self.built) // 500, 1)
        for row in range(0, len(self.built), step):
            concept = self.built.concept(self.built.concept_id(row))
            expect(concept.names, f"{concept.id} has no name", "it can never be found")
            for name in concept.names:
                expect(
                    name.text == name.text.strip() and name.text,
                    f"{concept.id} has the name {name.text!r}, which is empty or has spaces around it",
                    "an exact match would miss it",
                )

    def test_a_second_build_is_the_same(self) -> None:
        again = self.build_in("again")
        expect(
            again.sha256 == self.built.sha256,
            f"two builds have the hashes {self.built.sha256[:12]} and {again.sha256[:12]}; sort rows, and leave "
            "times and paths out",
            "runs with the same knowledge base must have the same id on every machine",
        )

    def test_opening_changes_nothing(self) -> None:
        before = content_of(self.built.folder)
        KnowledgeBase.open(self.built.folder)
        expect(content_of(self.built.folder) == before, "opening changes files", "it is shared by runs")
