from __future__ import annotations

import contextlib
import gzip
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dictionaries import dictd
from dictionaries.dictd import read_dictd
from dictionaries.dictionary import DictionarySource, is_acronym
from dictionaries.dictionary_files import (
    Entry,
    kind_of,
    languages_by_name,
    parse_edict,
    parse_freedict,
    read_entries,
)
from dictionaries.hanja import make_readings, read_hanja
from dictionaries.options import DictionaryOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from bioelx_bench.base import Environment
from bioelx_bench.cli.main import invoke
from bioelx_bench.errors import DataError, MissingError, UsageError
from bioelx_bench.files import hash_file
from bioelx_bench.testing import make_knowledge_base

PLUGIN = Path(__file__).resolve().parents[1] / "dictionaries" / "plugin.py"
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def number(value: int) -> str:
    """A number as dictd writes it."""
    text = DIGITS[value % 64]
    while value := value // 64:
        text = DIGITS[value % 64] + text
    return text


def write_dictd(
    folder: Path, name: str, entries: Sequence[tuple[Sequence[str], str]], suffix: str = ".dict.dz"
) -> Path:
    """An index and its dictionary, with the metadata that dictfmt puts before the entries."""
    body = b"\n00-database-dictfmt-1.13.0\nA dictionary\n"
    lines = [f"00databaseinfo\tA\t{number(len(body))}"]
    for headwords, text in entries:
        data = text.encode()
        lines += [f"{headword}\t{number(len(body))}\t{number(len(data))}" for headword in headwords]
        body += data
    (folder / f"{name}{suffix}").write_bytes(gzip.compress(body) if suffix == ".dict.dz" else body)
    index = folder / f"{name}.index"
    index.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return index


ENG_FIN = [
    (
        ["diabetes mellitus"],
        "diabetes mellitus //ˌdaɪəˈbiːtiːz// /mˈɛl/ <n>\nsokeritauti, diabetes\nmedical disease\n",
    ),
    (["headache"], "headache /hˈɛdeɪk/ <n>\n1. päänsärky 2.\npain in the head\n 3.\nnuisance\n2. riesa\n"),
    (["cast"], "cast /kˈɑːst/ <n>\n1. heitto\nthrow\n2. kipsi\nof plaster\n"),
    (["to cough", "cough"], "cough /kˈɒf/ <v>\nyskiä\n"),
    (["acute"], "acute /əkjˈuːt/ <adj>\näkillinen &ndash; alkava, akuutti (med.), -tulehdus\n"),
    (["flu"], "flu //fluː// <n>\ninfluenssa, flunssa (puhekieltä)\n"),
]


NAMES = [
    ("C0000001", "en", "Diabetes Mellitus"),
    ("C0000002", "en", "headache"),
    ("C0000003", "en", "CAST"),
    ("C0000004", "en", "cough"),
    ("C0000005", "fi", "Influenssa"),
    ("C0000006", "de", "flu"),
    ("C0000007", "en", "acute"),
    ("C0000008", "en", "acute"),
]


def make_source(environment: Environment, kb: Path, *files: Path, **options: Any) -> Any:
    return DictionarySource(
        DictionaryOptions(files=",".join(map(str, files)), kb=str(kb), **options), environment
    )


def shown(source: Any) -> list[tuple[str, str, str]]:
    return [(a.concept_id, a.language, a.text) for a in source]


def test_words_become_aliases_in_both_directions(tmp_path: Path, environment: Environment) -> None:
    kb = make_knowledge_base(tmp_path / "kb", NAMES).folder
    index = write_dictd(tmp_path, "freedict-eng-fin", ENG_FIN)
    source = make_source(environment, kb, index)
    aliases = list(source)
    assert [(a.concept_id, a.language, a.text, a.joined_by) for a in aliases] == [
        ("C0000001", "fi", "sokeritauti", "name:en"),
        ("C0000001", "fi", "diabetes", "name:en"),
        ("C0000005", "en", "flu", "name:fi"),
    ]
    assert {(a.source, a.property, a.item) for a in aliases} == {("freedict-eng-fin", "translation", "")}
    assert source.counts == {
        "entries": 6,
        "names_joined": 4,
        "skipped:acronym": 1,
        "skipped:name_of_many_concepts": 1,
        "skipped:name_of_several_senses": 1,
        "translations_unread": 1,
    }
    assert set(source.files.values()) > {hash_file(p) for p in (index, tmp_path / "freedict-eng-fin.dict.dz")}


def test_what_joins_is_an_option(tmp_path: Path, environment: Environment) -> None:
    kb = make_knowledge_base(tmp_path / "kb", NAMES).folder
    index = write_dictd(tmp_path, "freedict-eng-fin", ENG_FIN)
    more = make_source(environment, kb, index, max_senses=2, max_concepts=2, languages="fi", source="FD")
    found = list(more)
    assert {a.source for a in found} == {"FD"}
    assert [(a.concept_id, a.text) for a in found[2:]] == [
        ("C0000002", "päänsärky"),
        ("C0000002", "riesa"),
        ("C0000007", "äkillinen – alkava"),
        ("C0000007", "akuutti"),
        ("C0000008", "äkillinen – alkava"),
        ("C0000008", "akuutti"),
    ]
    assert more.counts["skipped:language"] == 1
    short = make_source(environment, kb, index, max_senses=2, max_concepts=2, max_words=1)
    assert "äkillinen – alkava" not in [name for _, _, name in shown(short)]
    assert short.counts["skipped:description"] == 2
    german = make_source(environment, kb, index, source_language="de", target_language="ru")
    assert shown(german) == [("C0000006", "ru", "influenssa"), ("C0000006", "ru", "flunssa")]


def test_the_senses_of_one_dictionary_count_for_another(tmp_path: Path, environment: Environment) -> None:
    kb = make_knowledge_base(tmp_path / "kb", [("C0000001", "en", "stroke")]).folder
    one = write_dictd(tmp_path, "fin-eng", [(["veto"], "veto /x/ <n>\nstroke\n")])
    two = write_dictd(tmp_path, "eng-fin", [(["stroke"], "stroke <n>\n1. isku\n2. aivohalvaus\n")])
    assert shown(make_source(environment, kb, one)) == [("C0000001", "fi", "veto")]
    assert shown(make_source(environment, kb, one, two)) == []


@pytest.mark.parametrize(
    ("index_words", "text", "entries"),
    [
        (["brill"], "Brill //bʁɪl// /b/ <n, masc>\nочки, лорне́т\nGestell\n", [("Brill", "очки|лорнет")]),
        (
            ["a b"],
            "a b ///x// <n>\n1.  [Cellule] nöron\n2.  [x (y)] sinir\n",
            [("a b", "nöron"), ("a b", "sinir")],
        ),
        (
            ["いえ", "家"],
            " [ichi1]  家 /x/, いえ /y/\n(noun)\n (no (x))\nдом (жилой)\n",
            [("家|いえ", "дом")],
        ),
        (["headon"], "head-on /x/ <adj>\nnokka\n", [("head-on", "nokka")]),
        (["washington dc"], "Washington, D.C. <pn>\nВашингтон\n", [("Washington, D.C.", "Вашингтон")]),
        (["x"], "other /x/ <n>\nsana\n", []),
        (["x"], "x /x/ <n>\n1. een\n1. gloss\n2. twee\n", []),
        (["x"], "x /x/ <n>\n", []),
        (["x"], "x /x/\n(noun)\n         Note: wordбуфет\n", []),
        (["x"], "x /x/\n(noun)\n{立食}буфет\n", []),
        (["x"], "x /x/\n1. pekкраска, run  on, (open, so... on, a. b\n", []),
        (["x"], "", []),
    ],
)
def test_entries_of_freedict(index_words: list[str], text: str, entries: list[tuple[str, str]]) -> None:
    found = parse_freedict(index_words, text, Counter())
    assert [("|".join(e.headwords), "|".join(e.translations)) for e in found] == entries


def test_verbs_are_no_names() -> None:
    assert [e.is_name for e in parse_freedict(["x"], "x /x/ <v>\nsana\n", Counter())] == [False]
    assert [e.is_name for e in parse_freedict(["x"], "x /x/ <n, fem>\nsana\n", Counter())] == [True]


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        (
            "糖尿病 [とうにょうびょう] /(n) (med) diabetes/diabetes mellitus (disease)/(P)/EntL1X/",
            [Entry(("糖尿病",), ("diabetes", "diabetes mellitus"))],
        ),
        ("珈琲(ateji);咖啡 [コーヒー(P)] /(n) coffee/", [Entry(("珈琲", "咖啡", "コーヒー"), ("coffee",))]),
        (
            "アタック /(n) (1) attack/assault/(2) (comp) hack (open/",
            [Entry(("アタック",), ("attack", "assault"))],
        ),
        ("肩 /(n) (1) shoulder/(2) top/", [Entry(("肩",), ("shoulder",)), Entry(("肩",), ("top",))]),
        ("no glosses", []),
        ("４° [しど] /", []),
    ],
)
def test_lines_of_edict(line: str, entries: list[Entry]) -> None:
    assert parse_edict(line, Counter()) == entries


def test_edict_is_read_in_its_encoding(tmp_path: Path, environment: Environment) -> None:
    kb = make_knowledge_base(
        tmp_path / "kb", [("C0000001", "en", "mumps"), ("C0000002", "ja", "喘息")]
    ).folder
    lines = ["　？？？ /EDICT, a dictionary/", "流行性耳下腺炎 [x] /(n) mumps/", "喘息 [x] /(n) asthma/"]
    path = tmp_path / "edict"
    path.write_bytes("\n".join(lines).encode("euc_jp"))
    source = make_source(environment, kb, path)
    assert shown(source) == [("C0000001", "ja", "流行性耳下腺炎"), ("C0000002", "en", "asthma")]
    assert source.counts["entries"] == 2
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match="not EUC-JP") as error:
        shown(make_source(environment, kb, path))
    assert str(error.value.where).endswith("edict:1")


HANJA = """# comment

심근:心筋:
경색:梗塞:
급성:急性:
간염:肝炎:
관절:關節:
가구:佳句:
가귀:佳句:
간염바이러스:肝炎바이러스:
""" + "".join(f"{word}증:{hanja}症:\n" for word, hanja in zip("가나다라마", "可那多羅馬", strict=True))


def test_names_are_read_whole_or_as_words(tmp_path: Path) -> None:
    path = tmp_path / "hanja.txt"
    path.write_text(HANJA, encoding="utf-8")
    tally: Counter[str] = Counter()
    readings = make_readings(read_hanja(path, tally), lambda text: text)
    assert tally == {"entries": 13, "skipped:not_a_hanja_word": 1}
    assert readings.read("急性", compose=False) == (("급성",), False)
    assert readings.read("佳句", compose=True) == (("가구", "가귀"), False)
    assert readings.read("心筋梗塞", compose=True) == (("심근경색",), True)
    assert readings.read("心筋梗塞", compose=False) == ((), False)
    assert readings.read("心筋梗塞症", compose=True) == (("심근경색증",), True)
    for unknown in ("急性佳句", "急性症肝炎", "急性鬱", "症急性", "急症", ""):
        assert readings.read(unknown, compose=True) == ((), False), unknown
    path.write_text("급성:急性\n", encoding="utf-8")
    with pytest.raises(DataError, match="hangul:hanja:meaning") as error:
        list(read_hanja(path, tally))
    assert str(error.value.where).endswith("hanja.txt:1")


def test_hanja_join_japanese_and_chinese_names(tmp_path: Path, environment: Environment) -> None:
    pytest.importorskip("opencc")
    names = [
        ("C0000001", "ja", "心筋梗塞"),
        ("C0000002", "zh", "关节"),
        ("C0000003", "ja", "関節"),
        ("C0000004", "zh", "急性肝炎"),
        ("C0000005", "ja", "急性肝炎ウイルス"),
        ("C0000006", "en", "急性"),
    ]
    kb = make_knowledge_base(tmp_path / "kb", names).folder
    path = tmp_path / "hanja.txt"
    path.write_text(HANJA, encoding="utf-8")
    source = make_source(environment, kb, path)
    found = sorted((a.concept_id, a.language, a.text, a.property, a.joined_by) for a in source)
    assert found == [
        ("C0000001", "ko", "심근경색", "hanja composed", "name:ja"),
        ("C0000002", "ko", "관절", "hanja", "name:zh"),
        ("C0000003", "ko", "관절", "hanja", "name:ja"),
    ]
    assert source.counts["composed"] == 1
    assert "C0000001" not in [cui for cui, _, _ in shown(make_source(environment, kb, path, compose=False))]


def test_without_opencc_it_says_how_to_get_it(
    tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opencc", None)
    kb = make_knowledge_base(tmp_path / "kb", NAMES).folder
    path = tmp_path / "hanja.txt"
    path.write_text(HANJA, encoding="utf-8")
    with pytest.raises(MissingError, match="OpenCC") as error:
        shown(make_source(environment, kb, path))
    assert "pip install 'opencc'" in str(error.value)


def test_what_a_file_is_and_its_languages(tmp_path: Path, environment: Environment) -> None:
    kb = make_knowledge_base(tmp_path / "kb", NAMES).folder
    index = write_dictd(tmp_path, "words", ENG_FIN, suffix=".dict")
    assert kind_of(index) == "dictd"
    assert languages_by_name(tmp_path / "freedict-jpn-rus.index", "dictd") == ("ja", "ru")
    assert languages_by_name(tmp_path / "ckb-kha.index", "dictd") == ("ckb", "kha")
    with pytest.raises(UsageError, match=r"languages of words\.index are unknown"):
        make_source(environment, kb, index)
    with pytest.raises(UsageError, match="'English' is no language"):
        make_source(environment, kb, index, source_language="English", target_language="fi")
    with pytest.raises(UsageError, match="no name of a source"):
        make_source(environment, kb, index, source="a|b")
    with pytest.raises(UsageError, match="no dictionary is named"):
        make_source(environment, kb)
    with pytest.raises(MissingError, match="no file"):
        make_source(environment, kb, tmp_path / "none.index")
    assert len(list(read_dictd(index))) == len(ENG_FIN)
    (tmp_path / "words.dict").rename(tmp_path / "words.dict.dz")
    with pytest.raises(UsageError, match="no dictionary of a known format"):
        kind_of(tmp_path / "words.dict.dz")
    (tmp_path / "words.dict.dz").unlink()
    with pytest.raises(MissingError, match=r"no words\.dict\.dz"):
        make_source(environment, kb, index, source_language="en", target_language="fi")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\tA", "headword, offset and length"),
        ("a\tA\t!", "not a number"),
        ("a\t\tB", "not a number"),
        ("a\tBBBBBBB\tB", "not a number"),
        ("a\tBAAAA\tBAAA", "cannot be"),
        ("a\tBAAAAA\tB", "cannot be"),
        ("a\tBAAA\tB", "its index points to"),
        ("a\tA\tB", "not UTF-8"),
    ],
)
def test_damaged_indexes(tmp_path: Path, line: str, message: str) -> None:
    index = tmp_path / "x.index"
    index.write_text(f"00databaseinfo\tA\tB\n{line}\n")
    (tmp_path / "x.dict.dz").write_bytes(gzip.compress(b"\xff" * 10))
    with pytest.raises(DataError, match=message) as error:
        list(read_dictd(index))
    assert str(error.value.where).endswith(("x.index:2", "x.dict.dz")) or "bytes 0 to 1" in str(error.value)


def test_a_damaged_dictionary(tmp_path: Path) -> None:
    index = write_dictd(tmp_path, "x", ENG_FIN)
    path = tmp_path / "x.dict.dz"
    whole = path.read_bytes()
    for data in (
        whole[: len(whole) // 2],
        b"no gzip",
        whole[:-8] + b"\0" * 8,
        whole[:40] + b"\xff" + whole[41:],
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"damaged|index points to"):
            list(read_dictd(index))


WORDS = st.text(
    st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs", "Cc"]), max_size=8
).filter(lambda word: not word.startswith(dictd.METADATA))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(WORDS, min_size=1, max_size=3), st.text(st.characters(codec="utf-8"))), max_size=8
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[list[str], str]]
) -> None:
    folder = tmp_path_factory.mktemp("dictd")
    texts = [(words, f"{place}{text}") for place, (words, text) in enumerate(entries)]
    for suffix in (".dict.dz", ".dict"):
        for old in folder.iterdir():
            old.unlink()
        assert list(read_dictd(write_dictd(folder, "x", texts, suffix))) == texts


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_any_bytes_give_entries_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, index: bytes, data: bytes, packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "eng-fin.index").write_bytes(index)
    (folder / "eng-fin.dict.dz").write_bytes(gzip.compress(data) if packed else data)
    (folder / "edict").write_bytes(index)
    (folder / "hanja.txt").write_bytes(index)
    for name, kind in (("eng-fin.index", "dictd"), ("edict", "edict")):
        try:
            found = list(read_entries(folder / name, kind, Counter()))
        except DataError:
            continue
        assert all(e.headwords and e.translations for e in found)
    with contextlib.suppress(DataError):
        list(read_hanja(folder / "hanja.txt", Counter()))


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_entry_is_read_or_left(header: str, body: str) -> None:
    for text in (f"{header}\n{body}", f"word /x/ <n>\n1. {body}"):
        for entry in parse_freedict(["word", header], text, Counter()):
            assert entry.headwords
            assert entry.translations
    parse_edict(f"{header} /{body}/", Counter())


def test_acronyms() -> None:
    assert [
        t for t in ("GET", "mRNA", "GISt", "Get", "get", "Get It", "Ｃ型肝炎", "AMYOTROPHIC") if is_acronym(t)
    ] == [
        "GET",
        "mRNA",
        "GISt",
    ]


def test_the_command_writes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kb = make_knowledge_base(tmp_path / "kb", NAMES).folder
    index = write_dictd(tmp_path, "freedict-eng-fin", ENG_FIN)
    out = tmp_path / "dict.parquet"
    command = [
        "--plugin",
        str(PLUGIN),
        "aliases",
        "fetch",
        "dictionary",
        "-O",
        f"kb={kb}",
        "-O",
        f"files={index}",
        "--output",
        str(out),
    ]
    assert invoke([*command, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["languages"] == {"fi": 2, "en": 1}
    assert {"freedict-eng-fin.dict.dz", "freedict-eng-fin.index"} < set(record["files"])
    target = tmp_path / "more"
    assert invoke(["kb", "add-aliases", str(kb), str(out), "--name", "more", "--output", str(target)]) == 0
    capsys.readouterr()
    index.write_text("headache\tA\t?\n")
    assert invoke([*command[:-1], str(tmp_path / "other.parquet")]) == 1
    assert "freedict-eng-fin.index:1" in capsys.readouterr().err
