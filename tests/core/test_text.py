"""The form in which names and mentions are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.text import fold_text, normalise_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fie\u0300vre", "fièvre"),
        ("đa\u0301i tha\u0301o đu\u031b\u031bờng".replace("u\u031b\u031b", "u\u031b"), "đái tháo đường"),
        ("\u1109\u1175\u11b7\u1100\u1173\u11ab\u1100\u1167\u11bc\u1109\u1162\u11a8", "심근경색"),
        ("ｲﾝﾌﾙｴﾝｻﾞ", "インフルエンザ"),
        ("ＡＩＤＳ", "AIDS"),
        ("leuco\u200bvorin", "leucovorin"),
        ("leuco\u00advorin", "leucovorin"),
        ("\ufeffAIDS", "AIDS"),
        ("\u200fملاريا", "ملاريا"),
        ("vitamin\u00a0A", "vitamin A"),
        ("a\u2060b\ufe0f", "ab"),
        ("e\u200d\u0301", "é"),
        (" two \t words\n", "two words"),
    ],
)
def test_what_looks_alike_is_alike(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other) == other


def test_case_is_kept_unless_folded() -> None:
    assert normalise_text("AIDS") == "AIDS"
    assert fold_text("FUẞPILZ") == fold_text("Fusspilz") == "fusspilz"


@given(st.text())
def test_forms_are_settled_at_once(text: str) -> None:
    assert normalise_text(normalise_text(text)) == normalise_text(text)
    assert fold_text(fold_text(text)) == fold_text(text)


def test_persian_words_joined_without_a_width_are_two_words() -> None:
    assert (
        normalise_text("\u0633\u0631\u0637\u0627\u0646\u200c\u0631\u06cc\u0647")
        == "\u0633\u0631\u0637\u0627\u0646 \u0631\u06cc\u0647"
    )
    assert normalise_text("Auf\u200clage") == "Auflage"
