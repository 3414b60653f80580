"""What every source of aliases must do, as a pytest class to subclass."""

# ruff: noqa: D102 - these are tests: their names say what they check

from __future__ import annotations

import re
from abc import abstractmethod
from typing import ClassVar

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.records import Alias
from bioelx_bench.testing.component import ComponentConformance, expect

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class AliasSourceConformance(ComponentConformance):
    """Subclass it as `Test...` and give `make_source`; pytest then runs every check."""

    aliases: ClassVar[list[Alias]]
    files_at_first: ClassVar[dict[str, str]]
    source: ClassVar[BaseAliasSource]

    @classmethod
    @abstractmethod
    def make_source(cls, environment: Environment) -> BaseAliasSource:
        """A new source; every call gives one with the same options."""

    @classmethod
    def setup_class(cls) -> None:
        """Read the source once."""
        super().setup_class()
        cls.source = cls.make_source(cls.environment)
        cls.files_at_first = dict(cls.source.files)
        cls.aliases = list(cls.source)

    @classmethod
    def teardown_class(cls) -> None:
        """Close the source and remove the files."""
        cls.source.close()
        super().teardown_class()

    def test_satisfies_the_protocol(self) -> None:
        expect(
            isinstance(self.source, BaseAliasSource),
            f"{type(self.source).__name__} must subclass bioelx_bench.base.BaseAliasSource",
            "`aliases fetch` reads its files and counts",
        )
        expect(self.aliases, "the source gives no alias", "there is nothing to add")

    def test_aliases_are_well_formed(self) -> None:
        for alias in self.aliases:
            expect(
                isinstance(alias, Alias),
                f"the source gives {alias!r}, not a bioelx_bench.records.Alias",
                "each becomes a row with its provenance",
            )
            who = f"the alias {alias.text!r} of {alias.concept_id!r}"
            expect(
                alias.concept_id and alias.text.strip(),
                f"{who} has no concept or no text",
                "it names nothing",
            )
            expect(
                LANGUAGE.fullmatch(alias.language),
                f"{who} has the language {alias.language!r}, not an ISO 639 code (mul for every language)",
                "retrievers choose analyzers by it",
            )
            expect(alias.source, f"{who} has no source", "its licence and origin must be known")

    def test_reading_again_gives_the_same(self) -> None:
        again = self.make_source(self.environment)
        try:
            expect(
                list(again) == self.aliases,
                "a second reading gives other aliases",
                "a table must be repeatable",
            )
            expect(
                again.counts == self.source.counts, "a second reading counts otherwise", "counts are shown"
            )
        finally:
            again.close()

    def test_files_are_known_before_they_are_read(self) -> None:
        expect(
            self.files_at_first == self.source.files,
            f"files are {self.files_at_first} before iteration and {self.source.files} afterwards",
            "a finished table is found again by them",
        )
        for name, sha256 in self.source.files.items():
            expect(
                re.fullmatch(r"[0-9a-f]{64}", sha256),
                f"the file {name!r} has {sha256!r}, not a sha256 in hex",
                "it says what the table was made from",
            )

    def test_counts_are_whole_numbers(self) -> None:
        bad = {k: v for k, v in self.source.counts.items() if type(v) is not int or v < 0}
        expect(not bad, f"counts hold {bad}", "they say what was left out")
