"""A hand-written UMLS release with every odd case. It holds no UMLS content: names and codes are invented."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path


def conso(
    cui: str, lat: str, text: str, sab: str, *, preferred: bool = False, suppress: str = "N", end: str = "\n"
) -> str:
    status = "P|L1|PF|S1|Y" if preferred else "S|L2|VO|S2|N"
    return f"{cui}|{lat}|{status}|A0000001||M1|D1|{sab}|PT|X1|{text}|0|{suppress}|256|{end}"


MRCONSO = "".join(
    [
        conso("C0000001", "ENG", "Fever", "MSH", preferred=True),
        conso("C0000001", "ENG", "Fever", "NCI"),
        conso("C0000001", "ENG", 'fever "high"', "MSH", end="\r\n"),
        conso("C0000001", "GER", "Fieber", "MSHGER", preferred=True),
        conso("C0000001", "ENG", "old fever", "MSH", suppress="O"),
        conso("C0000001", "ENG", "edited fever", "MSH", suppress="E"),
        conso("C0000002", "ENG", "Acetaminophen", "RXNORM", preferred=True),
        conso("C0000002", "JPN", "アセトアミノフェン", "MDRJPN"),
        conso("C0000003", "ENG", "Tylox", "RXNORM", preferred=True),
        conso("C0000003", "ENG", "Tylox suppressed", "RXNORM", suppress="Y"),
        conso("C0000004", "ENG", "Dolorin", "MSH", preferred=True),
        conso("C0000005", "XYZ", "fremd", "OTHER", preferred=True),
        "\n",
        conso("C0000006", "ENG", "Only suppressed", "MSH", suppress="O"),
        conso("C0000007", "ENG", "", "MSH"),
        conso("C0000007", "ENG", "Cough\u00a0sign", "SNOMEDCT_US"),
    ]
)
MRSTY = (
    "C0000001|T184|A2.2.2|Sign or Symptom|AT1|256|\n"
    "C0000002|T121|A1.4.1.1.1|Pharmacologic Substance|AT2||\n"
    "C0000002|T109|A1.4.1.2.1|Organic Chemical|AT3||\n"
    "C0000003|T121|A1.4.1.1.1|Pharmacologic Substance|AT4||\n"
    "C0000004|T121|A1.4.1.1.1|Pharmacologic Substance|AT5||\n"
    "C0000005|T033|A2.2|Finding|AT6||\n"
    "C0000007|T033|A2.2|Finding|AT7||\n"
    "C0000008|T047|B2.2.1.2.1|Disease or Syndrome|AT8||\n"
)
MRDEF = (
    "C0000001|A1|AT1||NCI|A raised temperature.|N||\n"
    "C0000001|A1|AT2||MSH|An abnormal elevation of body temperature.|N||\n"
    "C0000001|A1|AT3||MSHGER|Erhöhte Temperatur.|N||\n"
    "C0000001|A1|AT4||MSH|Suppressed text.|O||\n"
    "C0000008|A1|AT5||MSH|Of a concept without a name.|N||\n"
)
MRREL = (
    "C0000003|A1|AUI|RO|C0000002|A2|AUI|has_tradename|R1||RXNORM|RXNORM|||N||\n"
    "C0000002|A1|AUI|RO|C0000003|A2|AUI|tradename_of|R2||RXNORM|RXNORM|||N||\n"
    "C0000002|A1|AUI|RO|C0000004|A2|AUI|tradename_of|R3||RXNORM|RXNORM|||N||\n"
    "C0000001|A1|AUI|RO|C0000002|A2|AUI|may_be_treated_by|R4||X|X|||N||\n"
    "C0000009|A1|AUI|RO|C0000008|A2|AUI|has_tradename|R5||X|X|||N||\n"
)
MRCUI = (
    "C0000101|2019AA|SY|||C0000001|Y|\n"
    "C0000102|2018AB|SY|||C0000101|Y|\n"
    "C0000103|2018AB|DEL|||||\n"
    "C0000104|2018AB|RB|||C0000001|Y|\n"
    "C0000105|2018AB|SY|||C0000001|Y|\n"
    "C0000105|2018AB|SY|||C0000002|Y|\n"
)
FILES = {"MRCONSO": MRCONSO, "MRSTY": MRSTY, "MRDEF": MRDEF, "MRREL": MRREL, "MRCUI": MRCUI}


def mrfiles(files: dict[str, str]) -> str:
    """MRFILES with the right numbers of rows."""
    rows = {name: sum(1 for line in text.splitlines() if line) for name, text in files.items()}
    return "".join(f"{name}.RRF|{name}||0|{count}|0|\n" for name, count in rows.items())


def write_folder(folder: Path, **changed: str) -> Path:
    """The release as a folder; keyword arguments replace whole files."""
    files = {**FILES, **changed}
    meta = folder / "2020AA" / "META"
    meta.mkdir(parents=True)
    for name, text in {"MRFILES": mrfiles(files), **files}.items():
        (meta / f"{name}.RRF").write_bytes(text.encode())
    return folder


def write_zip(path: Path, **changed: str) -> Path:
    """The release as one zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**FILES, **changed}.items():
            archive.writestr(f"2020AA/META/{name}.RRF", text)
    return path


def write_nested_zip(path: Path) -> Path:
    """The release as a zip of `.nlm` zips, with MRCONSO in two gzipped pieces."""
    lines = MRCONSO.splitlines(keepends=True)
    pieces = {"MRCONSO.RRF.aa.gz": "".join(lines[:5]), "MRCONSO.RRF.ab.gz": "".join(lines[5:])}
    first, second = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(first, "w") as archive:
        for name, text in pieces.items():
            archive.writestr(f"2020AA/META/{name}", gzip.compress(text.encode()))
    with zipfile.ZipFile(second, "w") as archive:
        for name in ("MRSTY", "MRDEF", "MRREL", "MRCUI"):
            archive.writestr(f"2020AA/META/{name}.RRF.gz", gzip.compress(FILES[name].encode()))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("2020aa-full/2020aa-1-meta.nlm", first.getvalue())
        archive.writestr("2020aa-full/2020aa-2-meta.nlm", second.getvalue())
        archive.writestr("2020aa-full/mmsys.zip", b"not read")
    return path
