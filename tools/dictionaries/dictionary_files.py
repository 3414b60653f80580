"""Reading bilingual dictionaries: FreeDict's (dictd) and EDICT. What cannot be read surely is skipped and counted.

An entry here is one sense of a headword, since a word of several senses says little about the concept that it names.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError, UsageError, at
from bioelx_bench.text import fold_text
from dictionaries.dictd import read_dictd

UNREAD: Final = "entries_unread"
UNREAD_TRANSLATION: Final = "translations_unread"

PRONUNCIATION: Final = re.compile(r"\s/{1,3}(?:\s/)?[^/]*/{1,2}(?=[\s,]|$)")
NOTE: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|<[^<>]*>|（[^（）]*）")
BRACKET: Final = re.compile(r"[()\[\]<>{}（）]")
NOTES_ALONE: Final = re.compile(r"(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))+\s*")
SENSE: Final = re.compile(r"(?P<number>[1-9][0-9]?)\. +(?P<rest>\S.*)")
FURTHER_SENSE: Final = re.compile(r"\s[1-9][0-9]*\.$")
NOT_READ: Final = re.compile(r"^\s*(?:Note:|Synonyms?:|see:|\{)", re.MULTILINE)
STRESS: Final = re.compile(r"(?<=[\u0400-\u04FF])[\u0300\u0301]")
TWO_SCRIPTS: Final = re.compile(r"[A-Za-z][\u0400-\u04FF]|[\u0400-\u04FF][A-Za-z]")
RUN_ON: Final = re.compile(r"[.:;!?] |\S\s{2,}\S|[=|\t]")
EDICT_LINE: Final = re.compile(r"(?P<words>\S+) (?:\[(?P<kana>[^\]]*)\] )?/(?P<glosses>.*)/")
EDICT_SENSE: Final = re.compile(r"\(\d+\)")
KATAKANA: Final = re.compile(r"[\u30A0-\u30FF]+")
FREEDICT_NAME: Final = re.compile(r"(?:.*[-_])?(?P<source>[a-z]{3})-(?P<target>[a-z]{3})")
HANJA_LINE: Final = re.compile(r"[^:\s#][^:]*:[^:]+:.*")
SNIFFED: Final = 8192
DEEPEST_NOTE: Final = 3

NO_NAME: Final = re.compile(
    r"<(?:v|[Aa]dv|interjection|numeral|pre(?:position|fix)|postposition|suffix|conjunction|determiner|particle|article|"
    r"letter|symbol|proverb|\w*(?:Adverb|[Pp]ronoun))\b"
)
"""Grammar of words that are no names: all but nouns, adjectives and phrases."""

CODES: Final = {
    "afr": "af", "ara": "ar", "bre": "br", "bul": "bg", "cat": "ca", "ces": "cs", "cym": "cy", "dan": "da",
    "deu": "de", "ell": "el", "eng": "en", "epo": "eo", "est": "et", "eus": "eu", "fas": "fa", "fin": "fi",
    "fra": "fr", "gla": "gd", "gle": "ga", "glg": "gl", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu",
    "hye": "hy", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kat": "ka", "kor": "ko", "kur": "ku",
    "lat": "la", "lav": "lv", "lit": "lt", "mkd": "mk", "nld": "nl", "nor": "no", "oci": "oc", "pol": "pl",
    "por": "pt", "ron": "ro", "rus": "ru", "san": "sa", "slk": "sk", "slv": "sl", "spa": "es", "sqi": "sq",
    "srp": "sr", "swe": "sv", "swh": "sw", "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi",
    "wol": "wo", "zho": "zh",
}  # fmt: skip
"""Two-letter codes, which knowledge bases use, of the three-letter ones in FreeDict's names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sense of a dictionary's entry.

    Attributes:
        headwords: Spellings of the word, in the dictionary's source language.
        translations: Words for this sense in its target language.
        is_name: Whether the word can be a name, for which it must not be a verb or the like.
    """

    headwords: tuple[str, ...]
    translations: tuple[str, ...]
    is_name: bool = True


def kind_of(path: Path) -> str:
    """`dictd`, `edict` or `hanja`, by the file's name and first lines.

    Raises:
        UsageError: It is none of them.
    """
    if path.suffix == ".index":
        return "dictd"
    with path.open("rb") as file:
        head = file.read(SNIFFED)
    if b"EDICT" in head.partition(b"\n")[0] or path.name.lower().startswith("edict"):
        return "edict"
    lines = head.decode("utf-8", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if HANJA_LINE.fullmatch(first):
        return "hanja"
    raise UsageError(
        f"{path.name} is no dictionary of a known format",
        where=f"-O files: {path}",
        hint="name dictd's NAME.index, EDICT's edict, or libhangul's hanja.txt, decompressed",
    )


def languages_by_name(path: Path, kind: str) -> tuple[str, str] | None:
    """Source and target language of a dictionary by its kind and name; None where the name does not tell."""
    if kind == "edict":
        return "ja", "en"
    if found := FREEDICT_NAME.fullmatch(path.stem):
        source, target = found["source"], found["target"]
        return CODES.get(source, source), CODES.get(target, target)
    return None


def read_entries(path: Path, kind: str, tally: Counter[str]) -> Iterator[Entry]:
    """The entries of a dictionary, one for each sense.

    Raises:
        DataError: The file is damaged.
    """
    if kind == "edict":
        yield from read_edict(path, tally)
        return
    for headwords, text in read_dictd(path):
        tally["entries"] += 1
        found = parse_freedict(headwords, text, tally)
        if not found:
            tally[UNREAD] += 1
        yield from found


def parse_freedict(index_words: list[str], text: str, tally: Counter[str]) -> list[Entry]:
    """The senses of an entry as FreeDict's converter writes it; none where it is written otherwise.

    The first line is the headword with pronunciations and grammar. `1. ` begins a line of translations, and glosses
    follow it; without numbers one line of translations follows, and the rest is gloss.
    """
    if NOT_READ.search(text):
        return []
    header, *lines = [line for line in html.unescape(text).splitlines() if line.strip()] or [""]
    headwords = tuple(filter(is_sure, confirmed(header, index_words)))
    while lines and NOTES_ALONE.fullmatch(lines[0]):
        del lines[0]  # grammar
    if not headwords or not lines:
        return []
    senses = numbered(lines) if SENSE.match(lines[0]) else [lines[0]]
    is_name = not NO_NAME.search(header)
    entries = (Entry(headwords, split_words(sense, tally), is_name) for sense in senses)
    return [entry for entry in entries if entry.translations]


def confirmed(header: str, index_words: list[str]) -> tuple[str, ...]:
    """The headwords of an entry's first line that the index confirms, as the line writes them.

    The index has them without capitals and hyphens; the line has several with commas between, or one with a comma.
    """
    known = {squashed(word) for word in index_words} - {""}
    bare = NOTE.sub(" ", PRONUNCIATION.sub("", f" {header}"))
    parts = [" ".join(part.split()) for part in (bare, *bare.split(","))]
    return tuple(dict.fromkeys(part for part in parts if squashed(part) in known))


def squashed(text: str) -> str:
    """Letters and digits alone, by which an index's headwords and an entry's are compared."""
    return "".join(c for c in fold_text(text) if c.isalnum())


def numbered(lines: list[str]) -> list[str]:
    """The lines `1. `, `2. `, ... without their numbers; none where a gloss begins with a number, too."""
    senses: list[str] = []
    for line in lines:
        found = SENSE.match(line)
        if found is None:
            continue
        if int(found["number"]) != len(senses) + 1:
            return []
        senses.append(found["rest"])
    return senses


def split_words(text: str, tally: Counter[str]) -> tuple[str, ...]:
    """The translations in a line with commas between, without notes in brackets."""
    text = without_notes(FURTHER_SENSE.sub("", text.rstrip()))
    words = (word.strip().removesuffix(".").rstrip() for word in re.split(r"[,;]\s|、", text))
    found = []
    for word in words:
        if not word:
            continue
        if is_sure(word):
            found.append(word)
        else:
            tally[UNREAD_TRANSLATION] += 1
    return tuple(dict.fromkeys(found))


def without_notes(text: str) -> str:
    """A text without its notes in brackets, which may stand in one another, and without marks of stress."""
    for _ in range(DEEPEST_NOTE):
        text = NOTE.sub("", text)
    return STRESS.sub("", text)


def is_sure(word: str) -> bool:
    """Whether a translation is a word or phrase of its own: no affix, no sentence, nothing that ran together."""
    return not (
        BRACKET.search(word)
        or RUN_ON.search(word)
        or TWO_SCRIPTS.search(word)
        or word.startswith("-")
        or word.endswith("-")
        or "..." in word
        or "…" in word
    )


def read_edict(path: Path, tally: Counter[str]) -> Iterator[Entry]:
    """The senses of EDICT's lines: `KANJI;VARIANT [KANA] /(n) (1) gloss/gloss/(2) gloss/(P)/`, in EUC-JP.

    Raises:
        DataError: A line is not EUC-JP.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("euc_jp").strip()
            except UnicodeDecodeError as error:
                raise DataError(
                    "the line is not EUC-JP",
                    where=at(path, number),
                    why=str(error),
                    hint="iconv -f utf-8 -t euc-jp makes it so from a UTF-8 copy",
                ) from error
            if not line or line.startswith("？？？"):
                continue
            tally["entries"] += 1
            found = parse_edict(line, tally)
            if not found:
                tally[UNREAD] += 1
            yield from found


def parse_edict(line: str, tally: Counter[str]) -> list[Entry]:
    """The senses of a line of EDICT; none where it is written otherwise."""
    match = EDICT_LINE.fullmatch(line)
    if match is None:
        return []
    words = [without_notes(word) for word in match["words"].split(";")]
    kana = [without_notes(word) for word in (match["kana"] or "").split(";")]
    headwords = tuple(w for w in (*words, *filter(KATAKANA.fullmatch, kana)) if w)
    senses: list[list[str]] = [[]]
    for gloss in match["glosses"].split("/"):
        if gloss == "(P)" or gloss.startswith("EntL"):
            continue
        if EDICT_SENSE.search(gloss) and senses[-1]:
            senses.append([])
        word = " ".join(without_notes(gloss).split())
        if word and is_sure(word):
            senses[-1].append(word)
        elif word:
            tally[UNREAD_TRANSLATION] += 1
    return [Entry(headwords, tuple(dict.fromkeys(sense))) for sense in senses if sense and headwords]
