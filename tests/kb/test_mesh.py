"""Knowledge bases from MeSH."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bioelx_bench.errors import DataError
from bioelx_bench.kb.mesh import build_from_mesh
from bioelx_bench.records import Name

XML = """<?xml version="1.0"?>
<!DOCTYPE DescriptorRecordSet SYSTEM "https://www.nlm.nih.gov/databases/dtd/nlmdescriptorrecordset_20250101.dtd">
<DescriptorRecordSet LanguageCode="eng">
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D005334</DescriptorUI>
<DescriptorName><String>Fever</String></DescriptorName>
<PharmacologicalActionList><PharmacologicalAction><DescriptorReferredTo><DescriptorUI>D000001</DescriptorUI>
<DescriptorName><String>Other</String></DescriptorName></DescriptorReferredTo></PharmacologicalAction>
</PharmacologicalActionList>
<ConceptList><Concept PreferredConceptYN="Y"><ConceptName><String>Fever</String></ConceptName>
<ScopeNote>An abnormal elevation of body temperature.
</ScopeNote><TermList><Term><String>Fever</String></Term><Term><String>Pyrexia &amp; co</String></Term></TermList>
</Concept></ConceptList></DescriptorRecord></DescriptorRecordSet>
"""
ASCII = """*NEWRECORD
RECTYPE = D
MH = Fever
PRINT ENTRY = Pyrexia & co|T033|NON|EQV|UNK (19XX)|900306|abcdef
ENTRY = Fever
MS = An abnormal elevation of body temperature.
UI = D005334

*NEWRECORD
RECTYPE = C
NM = rare disease
SY = very rare|T047
UI = C535662
"""
FEVER = (Name("Fever", "en", "MSH", preferred=True), Name("Pyrexia & co", "en", "MSH"))


@pytest.mark.parametrize(("text", "name"), [(XML, "desc.xml"), (ASCII, "d2025.bin")])
def test_records_become_concepts(tmp_path: Path, text: str, name: str) -> None:
    for file, data in (
        (tmp_path / name, text.encode()),
        (tmp_path / f"{name}.gz", gzip.compress(text.encode())),
    ):
        file.write_bytes(data)
        kb = build_from_mesh([file], "mesh", tmp_path / f"kb-{file.name}")
        assert kb.id_scheme == "mesh"
        assert kb.concept("D005334").names == FEVER
        assert kb.concept("D005334").definition == "An abnormal elevation of body temperature."
        assert ("C535662" in kb) is (text is ASCII)
        assert "D000001" not in kb


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (XML[:-200], "cut off"),
        ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>', "declares XML entities"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "declares XML entities"),
        ("<DescriptorRecordSet/>", "no MeSH record"),
        ("nothing", "no MeSH record"),
    ],
)
def test_broken_and_hostile_files(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "desc.xml").write_text(text)
    with pytest.raises(DataError, match=says):
        build_from_mesh([tmp_path / "desc.xml"], "mesh", tmp_path / "kb")
