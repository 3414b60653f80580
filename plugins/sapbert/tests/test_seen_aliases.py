from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bioelx_bench_sapbert.seen_aliases import canonical, hash_alias, read_seen, write_seen
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.errors import DataError


def test_the_set_of_seen_aliases(tmp_path: Path) -> None:
    names = ["Headache", "ＨＥＡＤＡＣＨＥ", "頭痛", "a  b"]
    assert write_seen(names, tmp_path) == 3
    seen = read_seen(tmp_path)
    assert seen is not None
    assert seen.flags(["headache", "A B", "頭", ""]) == [True, True, False, False]
    assert hash_alias("Straße") == hash_alias("STRASSE")
    assert hash_alias("Headache") == 0xD0FE532886DB5C5B  # of files that are out
    assert read_seen(tmp_path / "none") is None
    (tmp_path / "seen_aliases.npy").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="training aliases"):
        read_seen(tmp_path)


@given(st.sets(st.text(max_size=8), max_size=20), st.text(max_size=8))
def test_seen_is_membership_of_normalised_strings(tmp_path_factory: Any, names: set[str], asked: str) -> None:
    folder = tmp_path_factory.mktemp("seen")
    write_seen(sorted(names), folder)
    seen = read_seen(folder)
    assert seen is not None
    assert (asked in seen) is (canonical(asked) in {canonical(n) for n in names})
