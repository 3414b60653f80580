from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.datasets.context import cut_window
from bioelx_bench.records import Span


@given(st.data())
def test_a_window_keeps_the_mention_and_its_size(data):
    text = data.draw(st.text(st.sampled_from("ab ö漢\n"), min_size=1, max_size=200))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=4)))
    spans = [Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    size = data.draw(st.integers(1, 120))
    window, moved = cut_window(text, spans, size)
    assert [window[s.start : s.end] for s in moved] == [text[s.start : s.end] for s in spans]
    assert window in text
    assert len(window) <= max(size, spans[-1].end - spans[0].start)


def test_words_are_not_cut_and_the_window_is_used():
    text = " ".join(f"word{number:03d}" for number in range(100))
    at = text.index("word050")
    window, (span,) = cut_window(text, [Span(at, at + 7)], 100)
    assert window[span.start : span.end] == "word050"
    assert all(len(word) == 7 for word in window.split())
    assert len(window) > 80


def test_near_an_end_the_other_side_gets_the_room():
    text = " ".join(f"word{number:03d}" for number in range(100))
    assert len(cut_window(text, [Span(0, 7)], 100)[0]) > 85
    assert len(cut_window(text, [Span(len(text) - 7, len(text))], 100)[0]) > 85


def test_scripts_without_spaces_are_cut_at_the_size():
    text = "漢" * 500
    window, (span,) = cut_window(text, [Span(250, 252)], 100)
    assert len(window) == 100
    assert span == Span(49, 51)


def test_a_short_text_is_its_own_window():
    assert cut_window("a short text", [Span(2, 7)], 100) == ("a short text", (Span(2, 7),))
    assert cut_window("no position here", [], 5) == ("no", ())
