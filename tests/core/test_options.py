from __future__ import annotations

import pytest
from pydantic import Field

from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.options import (
    Options,
    did_you_mean,
    identity_options,
    load_object,
    parse_pairs,
    runtime_field,
    validate_options,
)


class Example(Options):
    k1: float = Field(0.9, gt=0, description="saturation")
    pooling: str = "cls"
    threads: int = runtime_field(2, description="threads", ge=1)


def test_values_are_converted_and_runtime_options_stay_out_of_the_identity() -> None:
    options = validate_options(Example, {"k1": "1.2", "threads": "8"}, "bm25", "-R")
    assert options.k1 == 1.2
    assert options.threads == 8
    assert identity_options(options) == {"k1": 1.2, "pooling": "cls"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"poolin": "cls"}, "did you mean 'pooling'"),
        ({"k1": "much"}, "k1=much"),
        ({"threads": "0"}, "threads=0"),
    ],
)
def test_wrong_options_name_themselves(values: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate_options(Example, values, "bm25", "-R")
    assert expected in str(caught.value)
    assert "list --verbose" in str(caught.value)


def test_pairs() -> None:
    assert parse_pairs(["a=1", "b-c=x=y"], "-R") == {"a": "1", "b_c": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError):
            parse_pairs(wrong, "-R")


def test_a_missing_module_says_what_needs_it() -> None:
    with pytest.raises(MissingError, match="'thing' needs the Python module 'no_such_module'"):
        load_object("no_such_module:x", "'thing'")
    with pytest.raises(MissingError, match="cannot be loaded"):
        load_object("bioelx_bench.records:NoSuchRecord", "'thing'")


def test_did_you_mean() -> None:
    assert did_you_mean("bm52", ["bm25", "sapbert"]) == "; did you mean 'bm25'?"
    assert did_you_mean("zzz", ["bm25"]) == " (known: bm25)"
