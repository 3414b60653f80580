"""JSON in any layout, in any blocks, and JSON that is broken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioelx_bench.errors import DataError
from bioelx_bench.io.json_documents import json_documents

DOCUMENTS = st.lists(
    st.dictionaries(st.text(max_size=4), st.text(max_size=9) | st.integers() | st.none(), max_size=3),
    max_size=4,
)


@given(DOCUMENTS, st.booleans(), st.booleans(), st.integers(1, 40))
def test_json_is_read_in_any_layout_and_blocks(documents, array, indented, size):
    indent = 2 if indented else None
    if array:
        text = json.dumps(documents, ensure_ascii=False, indent=indent)
    else:
        text = "\n".join(json.dumps(d, ensure_ascii=False) for d in documents)
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    assert [document for _, document in json_documents(blocks, "f")] == documents


@given(st.text(max_size=60))
def test_any_json_text_parses_or_names_its_line(text):
    try:
        list(json_documents([text], "f.json"))
    except DataError as error:
        assert error.where is not None
        assert error.where.startswith("f.json")


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"a": 1}\n{"a": ', 2), ("[\n{},\n{}", 3), ("{}\nnonsense\n", 2), ("[{}]\n{}", 2), ("[" * 100_000, 1)],
)
def test_broken_json_is_named_by_its_line(text, line):
    with pytest.raises(DataError) as caught:
        list(json_documents([text], "f.json"))
    assert caught.value.where == f"f.json:{line}"


def test_lines_are_counted_for_each_document():
    assert [line for line, _ in json_documents(['{}\n\n{"a":\n1}\n{}'], "f")] == [1, 3, 5]
