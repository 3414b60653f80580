"""What notebooks show of mentions, concepts and knowledge bases: escaped."""

from __future__ import annotations

from pathlib import Path

from bioelx_bench.records import Document, LabelledMention
from bioelx_bench.testing import make_knowledge_base

EVIL = "<script>alert(1)</script>"


def test_texts_are_escaped(tmp_path: Path) -> None:
    kb = make_knowledge_base(tmp_path / "kb", [("C0000001", "en", EVIL), ("C0000002", "en", "b")])
    mention = LabelledMention("m", Document("d", EVIL, "en"), (), EVIL, "en", ("C0000001",))
    shown = [x._repr_html_() for x in (kb, kb.concept("C0000001"), mention, mention.unlabelled())]
    assert not [text for text in shown if "<script" in text]
    assert "<td>concepts</td><td>2</td>" in shown[0]
    assert "&lt;script&gt;" in shown[1]
    assert "C0000001" in shown[2]
    assert "C0000001" not in shown[3]
