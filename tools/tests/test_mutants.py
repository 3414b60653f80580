"""The mutants of `tools/mutation` still fit the code, and a few of them are noticed; the script tries all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))

from mutants import MUTANTS, REPOSITORY, Mutant, lives, path_of


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}-{mutant.old[:30]}")
def test_a_mutant_fits_one_place(mutant: Mutant) -> None:
    assert path_of(mutant, REPOSITORY).read_text("utf-8").count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_there_are_enough() -> None:
    assert len(set(MUTANTS)) == len(MUTANTS) >= 30


@pytest.mark.slow
def test_nothing_is_noticed_where_nothing_is_wrong() -> None:
    assert lives(None)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 14, 25])
def test_a_mutant_is_noticed(place: int) -> None:
    assert not lives(MUTANTS[place])
