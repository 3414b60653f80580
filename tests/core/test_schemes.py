"""Id schemes and the one normalising step."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.errors import UsageError
from bioelx_bench.schemes import SCHEMES, find_scheme, normalise_ids, schemes_of

A, B = "C0346629", "C0009402"


@pytest.mark.parametrize(
    ("scheme", "value", "expected"),
    [
        *(
            ("umls", f"{A}{joint}{B}", (A, B))
            for joint in (",", ";", "|", "+", "/", " ", ", ", " | ", "\t", ",,")
        ),
        ("umls", f"UMLS:{A}|umls:{B}", (A, B)),
        ("umls", f"UMLS_CUI:{A}", (A,)),
        ("umls", f"UMLS: {A}", (A,)),
        ("umls", f" {A.lower()} ", (A,)),
        ("umls", f"\u200b{A}\ufeff\u00a0", (A,)),
        ("umls", f"Ｃ{A[1:]}", (A,)),
        ("umls", f'["{A}"]', (A,)),
        ("umls", f"['{A}', '{B}']", (A, B)),
        ("umls", f"[{A}, {B}]", (A, B)),
        ("umls", [A, None, B, A], (A, B)),
        ("umls", f"https://uts.nlm.nih.gov/uts/umls/concept/{A}", (A,)),
        ("umls", f"{A}|-1", (A,)),
        ("umls", f"{A},nan", (A,)),
        *(
            ("umls", none, ())
            for none in ("", " ", "-1", "CUI-less", "cui-less", "null", "None", "nan", "NaN", "[]")
        ),
        *(("umls", none, ()) for none in (None, math.nan, -1, -1.0, [], ["-1"], "MESH:-1", "umls:CUI-less")),
        ("umls", "D005334", ("D005334",)),
        ("umls", "C0346629,unknown", ("C0346629,unknown",)),
        ("umls", "MESH:D005334,MESH:D012004", ("MESH:D005334", "MESH:D012004")),
        ("mesh", "MESH:D005334", ("D005334",)),
        ("mesh", "mesh:d005334", ("D005334",)),
        ("mesh", "D003110+D015179", ("D003110", "D015179")),
        ("mesh", "D003110|OMIM:256000", ("D003110", "OMIM:256000")),
        ("mesh", "http://id.nlm.nih.gov/mesh/D005334", ("D005334",)),
        ("mesh", "C535662", ("C535662",)),
        ("omim", "OMIM:256000", ("256000",)),
        ("omim", 256000, ("256000",)),
        ("omim", 256000.0, ("256000",)),
        ("omim", "256000.0", ("256000",)),
        ("mondo", "http://purl.obolibrary.org/obo/MONDO_0005148", ("MONDO:0005148",)),
        ("mondo", "mondo:0005148", ("MONDO:0005148",)),
        ("mondo", "0005148", ("MONDO:0005148",)),
        ("hpo", "HP_0000001;HP:0000002", ("HP:0000001", "HP:0000002")),
        ("icd10", "E119", ("E11.9",)),
        ("icd10", "A17.0+", ("A17.0",)),
        ("icd10", "E11.9, e10", ("E11.9", "E10")),
        ("snomed", "SNOMEDCT_US:386661006", ("386661006",)),
        ("orphanet", "Orphanet:558", ("558",)),
        ("ncit", "NCIT:C3262", ("C3262",)),
        ("wikidata", "wd:Q38933", ("Q38933",)),
        ("any", "a/b+c d", ("a/b+c d",)),
        ("any", "x|y", ("x", "y")),
        ("any", "http://example.org/a,b", ("http://example.org/a,b",)),
        ("any", "MESH:D003110+OMIM:256000", ("MESH:D003110", "OMIM:256000")),
        ("TOY:[0-9]+", "TOY:1,TOY:2", ("TOY:1", "TOY:2")),
        ("TOY/[0-9]+", "TOY/1", ("TOY/1",)),
    ],
)
def test_variants(scheme: str, value: Any, expected: tuple[str, ...]) -> None:
    assert normalise_ids(value, find_scheme(scheme), Counter()) == expected


def test_everything_is_counted() -> None:
    counts: Counter[str] = Counter()
    for value in (f"{A},{B}", f"UMLS:{A}", "-1", None, "D005334", f'["{A}"]', f"{A}|{A}", A):
        normalise_ids(value, SCHEMES["umls"], counts)
    assert +counts == Counter(
        ids_joined=2, id_rewritten=1, id_missing=2, id_not_of_scheme=1, id_list_text=1, id_repeated=1
    )


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["[", "-1", A, "MESH:"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@given(ANYTHING, st.sampled_from(sorted(SCHEMES)))
def test_never_raises_and_is_settled_at_once(value: Any, name: str) -> None:
    scheme = SCHEMES[name]
    found = normalise_ids(value, scheme, Counter())
    assert len(set(found)) == len(found)
    for identifier in found:
        if scheme.matches(identifier):
            assert normalise_ids(identifier, scheme, Counter()) == (identifier,)


@given(
    st.lists(st.from_regex(r"C[0-9]{7}", fullmatch=True), min_size=1, unique=True), st.sampled_from(",;|+/ ")
)
def test_joined_ids_come_apart(ids: list[str], joint: str) -> None:
    written = joint.join(
        f"{prefix}{i}" for i, prefix in zip(ids, ["", "UMLS:", "umls:"] * len(ids), strict=False)
    )
    assert normalise_ids(written, SCHEMES["umls"], Counter()) == tuple(dict.fromkeys(ids))


@pytest.mark.parametrize("bad", ["meshh", "", "[0-9", "UMLS2"])
def test_unknown_schemes(bad: str) -> None:
    with pytest.raises(UsageError):
        find_scheme(bad)


def test_schemes_are_recognised() -> None:
    assert schemes_of("C0015967") == ["umls"]
    assert schemes_of("MESH:D005334") == ["mesh"]
    assert schemes_of("D005334") == ["mesh"]
    assert schemes_of("whatever") == []
