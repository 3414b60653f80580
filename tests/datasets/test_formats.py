"""Whatever text comes, a parser gives entities whose offsets slice to them, or an error with file and line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.datasets.brat import parse_brat
from bioelx_bench.datasets.pubtator import parse_pubtator
from bioelx_bench.datasets.text import split_fields
from bioelx_bench.datasets.token_lines import parse_token_lines
from bioelx_bench.errors import DataError
from bioelx_bench.io.text import decode, numbered_lines

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60)
WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "M")), min_size=1, max_size=8)


def assert_names_a_line(error: DataError, file: str) -> None:
    assert error.where is not None
    assert re.match(rf"{re.escape(file)}:\d+$", error.where), error.where


BRAT_LINES = st.one_of(
    TEXTS,
    st.builds(
        "T{}\tC0000001 {} {}{}\t{}".format,
        st.integers(0, 3),
        st.integers(-1, 70),
        st.integers(-1, 70),
        st.sampled_from(["", ";3 5", ";", ";9 a", " 4"]),
        TEXTS,
    ),
    st.builds(
        '#{}\tAnnotatorNotes T{}\t"C0000001", "{}"'.format, st.integers(0, 9), st.integers(0, 3), TEXTS
    ),
)


@given(TEXTS, st.lists(BRAT_LINES, max_size=5))
def test_any_brat_text_parses_or_names_its_line(text, lines):
    try:
        entities = parse_brat(text, "\n".join(lines), "unit.ann")
    except DataError as error:
        assert_names_a_line(error, "unit.ann")
        return
    for entity in entities:
        found = " ".join(text[span.start : span.end] for span in entity.spans)
        assert re.sub(r"\s", " ", found) == re.sub(r"\s", " ", entity.text)


@given(st.data())
def test_well_formed_brat_is_read_back(data):
    text = data.draw(TEXTS.filter(lambda t: len(t) > 3))
    lines, wanted = [], []
    for number in range(data.draw(st.integers(0, 4))):
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=4)))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
        surface = " ".join(text[start:end] for start, end in pairs)
        offsets = ";".join(f"{start} {end}" for start, end in pairs)
        lines.append(f"T{number}\tC{number:07d} {offsets}\t" + re.sub(r"[\r\n]", " ", surface))
        wanted.append((f"C{number:07d}", pairs))
    entities = parse_brat(text, "\n".join(lines), "unit.ann")
    assert [(e.type, [(s.start, s.end) for s in e.spans]) for e in entities] == wanted


def test_brat_keeps_discontinuous_and_nested_spans_and_notes():
    text = "heart and lung failure"
    lines = [
        "T1\tC0018802 0 5;15 22\theart failure",
        "T2\tC0018787 0 5\theart",
        "T3\tC0231174 15 22\tfailure",
        "#1\tAnnotatorNotes T1\tsome note",
        "R1\tPart Arg1:T1 Arg2:T2",
        "",
    ]
    entities = parse_brat(text, "\r\n".join(lines), "u.ann")
    assert [len(entity.spans) for entity in entities] == [2, 1, 1]
    assert entities[0].notes == ["some note"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("T1\tC1 0 99\theart", "do not lie in the text"),
        ("T1\tC1 5 0\theart", "do not lie in the text"),
        ("T1\tC1 0 99999999999999999999\theart", "too large"),
        ("T1\tC1 0 4\theart", "the annotation says"),
        ("T1 C1 0 5 heart", "standoff format"),
        ("?", "standoff format"),
        ("#1\tAnnotatorNotes T9\tx", "not there"),
        ("T0\tC1 0 5\theart", "twice"),
    ],
)
def test_a_broken_brat_line_is_named(line, what):
    with pytest.raises(DataError, match=what) as caught:
        parse_brat("heart failure", f"T0\tC1 0 5\theart\n{line}", "u.ann")
    assert caught.value.where == "u.ann:2"


PUBTATOR_LINES = st.one_of(
    st.sampled_from(["", "1|t|A title", "1|a|An abstract", "2|t|B", "2|a|", "1|x|y"]),
    st.builds(
        "{}\t{}\t{}\t{}\tT047\t{}".format,
        st.sampled_from(["1", "2"]),
        st.integers(-1, 25),
        st.integers(-1, 25),
        st.sampled_from(["A title", "title", "An", "x"]),
        st.sampled_from(["C0000001", "UMLS:C0000002", ""]),
    ),
    TEXTS,
)


@given(st.lists(PUBTATOR_LINES, max_size=8))
def test_any_pubtator_text_parses_or_names_its_line(lines):
    try:
        documents = list(parse_pubtator("\n".join(lines), "corpus.txt"))
    except DataError as error:
        assert_names_a_line(error, "corpus.txt")
        return
    for document in documents:
        for annotation in document.annotations:
            assert document.text[annotation.span.start : annotation.span.end] == annotation.text


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_well_formed_pubtator_is_read_back(documents):
    blocks = []
    for number, (title, abstract) in enumerate(documents):
        start, end = len(title) + 1, len(title) + 1 + len(abstract)
        blocks.append(
            f"{number}|t|{title}\n{number}|a|{abstract}\n"
            f"{number}\t0\t{len(title)}\t{title}\tT001,T002\tC0000001\n"
            f"{number}\t{start}\t{end}\t{abstract}\t\tUMLS:C0000002\n"
        )
    found = list(parse_pubtator("\n".join(blocks), "c"))
    assert [document.text for document in found] == [f"{t} {a}" for t, a in documents]
    assert all([a.types for a in document.annotations] == [("T001", "T002"), ()] for document in found)


def test_a_repeated_document_is_refused():
    with pytest.raises(DataError, match="twice") as caught:
        list(parse_pubtator("1|t|x\n1|a|y\n\n1|t|x\n1|a|y\n", "c"))
    assert caught.value.where == "c:4"


@given(
    st.lists(
        st.one_of(TEXTS, st.builds("{}\t{}".format, WORDS, st.sampled_from(["O", "B-C1", "I-C1", "I-"])))
    )
)
def test_any_token_lines_parse_or_name_their_line(lines):
    try:
        sentences = list(parse_token_lines("\n".join(lines), "tokens.tsv"))
    except DataError as error:
        assert_names_a_line(error, "tokens.tsv")
        return
    for sentence in sentences:
        for chunk in sentence.chunks:
            piece = sentence.text[chunk.start : chunk.end]
            assert piece and piece == piece.strip(" ")


def test_an_inner_tag_without_its_beginning_opens_a_mention():
    text = "a\tB-C1\r\nb\tI-C1\r\nc\tI-C2\r\n\t\r\nd\tI-C3\r\ne\tO\r\nf\tB-C3\r\ng\tB-C3"
    sentences = list(parse_token_lines(text, "t"))
    assert [s.text for s in sentences] == ["a b c", "d e f g"]
    chunks = [(s.text[c.start : c.end], c.concept, c.begun) for s in sentences for c in s.chunks]
    assert chunks == [
        ("a b", "C1", True),
        ("c", "C2", False),
        ("d", "C3", False),
        ("f", "C3", True),
        ("g", "C3", True),
    ]


@given(TEXTS)
def test_any_query_line_splits_or_is_an_error(line):
    try:
        gold, mention = split_fields(line, ("CUI", "mention"), "q:1")
    except DataError as error:
        assert error.where == "q:1"
        assert not re.match(r".+?\|\|.+", line, re.DOTALL) or line.startswith("||")
        return
    assert f"{gold}||{mention}" == line
    assert "||" not in gold


def test_only_newlines_end_lines():
    assert list(numbered_lines("a\u2028b\x85c\r\nd\n\ne")) == [
        (1, "a\u2028b\x85c"),
        (2, "d"),
        (3, ""),
        (4, "e"),
    ]


@given(st.binary(max_size=80))
def test_any_bytes_decode_or_name_their_line(data):
    try:
        assert decode(data, "f").encode() == data.removeprefix(b"\xef\xbb\xbf")
    except DataError as error:
        if "HTML" not in error.what:
            assert_names_a_line(error, "f")


def test_mixed_encodings_are_named_by_line():
    with pytest.raises(DataError, match="not UTF-8") as caught:
        decode("Läuse\n".encode() + "Läuse\n".encode("latin-1"), "f.txt")
    assert caught.value.where == "f.txt:2"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n <HTML lang='en'>", b"\xef\xbb\xbf<html>"])
def test_a_web_page_in_place_of_the_file_is_recognised(page):
    with pytest.raises(DataError, match="HTML page"):
        decode(page, "f.txt")
