"""Korean words by the Chinese characters that they are written with: `hanja.txt` of libhangul.

Japanese, Chinese and Korean medicine share most of their words, so that a Japanese or Chinese name that is a word of
the table has a Korean name: 心筋梗塞 is 심근경색. Names that the table lacks are read by composing its words:
慢性腎不全 is 慢性 and 腎不全, 만성신부전.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bioelx_bench.errors import DataError, MissingError, at

HAN: Final = re.compile(r"[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U0003FFFF々]{2,}")
MOST_READINGS: Final = 2
"""A word with more is not read: which of them the concept's name is cannot be known."""

EDGE_WORDS: Final = 5
EDGE_SHARE: Final = 0.95
"""A character is read alone where it begins, or ends, so many words, and in this share of them with one reading."""

Unify = Callable[[str], str]


def make_normalizers() -> tuple[Unify, Unify]:
    """Functions that bring Japanese names, and Chinese names and hanja, to simplified characters.

    Raises:
        MissingError: OpenCC is not installed.
    """
    try:
        import opencc
    except ImportError as error:
        raise MissingError(
            "comparing Chinese characters of several countries needs OpenCC, which is not installed",
            where="hanja",
            hint="pip install 'opencc'",
        ) from error
    traditional, simplified = opencc.OpenCC("jp2t"), opencc.OpenCC("t2s")

    def japanese(text: str) -> str:
        return str(simplified.convert(traditional.convert(text)))

    def other(text: str) -> str:
        return str(simplified.convert(text))

    return japanese, other


def read_hanja(path: Path, tally: Counter[str]) -> Iterator[tuple[str, str]]:
    """Hangul and hanja of each word that is written in hanja alone.

    Raises:
        DataError: A line is not hangul, hanja and meaning with colons between.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                raise DataError("the line is not UTF-8", where=at(path, number), why=str(error)) from error
            if not line or line.startswith("#"):
                continue
            cells = line.split(":", 2)
            if len(cells) != 3 or not cells[0] or not cells[1]:
                raise DataError(
                    "the line is not hangul:hanja:meaning",
                    where=at(path, number),
                    hint="the file must be libhangul's hanja.txt",
                )
            tally["entries"] += 1
            if HAN.fullmatch(cells[1]):
                yield cells[0], cells[1]
            else:
                tally["skipped:not_a_hanja_word"] += 1


@dataclass(slots=True)
class Readings:
    """How words in simplified characters are read in Korean.

    Attributes:
        words: The readings of each word.
        longest: Characters of the longest word.
        first: The reading of characters that begin words.
        last: The reading of characters that end words.
    """

    words: dict[str, tuple[str, ...]]
    longest: int = 0
    first: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, *, compose: bool) -> tuple[tuple[str, ...], bool]:
        """The readings of a name, none where they are unknown or too many; and whether words compose it."""
        if name in self.words:
            found = self.words[name]
            return (found if len(found) <= MOST_READINGS else ()), False
        reading = self.composed(name) if compose else None
        return ((reading,), True) if reading else ((), False)

    def composed(self, name: str) -> str | None:
        """The reading of a name as words one after another, the longest first, or None.

        A single character may stand only at an end, as a prefix or suffix (症, 炎, 病), and is read as it is read
        there in almost all words. A word with several readings stands nowhere.
        """
        for prefix in ("", name[:1]):
            if prefix and prefix not in self.first:
                continue
            parts = self.segments(name[len(prefix) :])
            if parts is not None and (len(parts) > 1 or prefix):
                return "".join([self.first.get(prefix, ""), *parts])
        return None

    def segments(self, name: str) -> list[str] | None:
        """The readings of a name's words, the longest first; its last character may be none."""
        parts: list[str] = []
        start = 0
        while start < len(name):
            for end in range(min(len(name), start + self.longest), start + 1, -1):
                if len(found := self.words.get(name[start:end], ())) == 1:
                    parts.append(found[0])
                    start = end
                    break
            else:
                if not parts or start + 1 < len(name) or name[start] not in self.last:
                    return None
                parts.append(self.last[name[start]])
                start += 1
        return parts


def make_readings(pairs: Iterator[tuple[str, str]], unify: Unify) -> Readings:
    """The readings of a table's words."""
    words: dict[str, list[str]] = defaultdict(list)
    first: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, Counter[str]] = defaultdict(Counter)
    for hangul, hanja in pairs:
        word = unify(hanja)
        if hangul not in words[word]:
            words[word].append(hangul)
        if len(hangul) == len(word):
            first[word[0]][hangul[0]] += 1
            last[word[-1]][hangul[-1]] += 1
    return Readings(
        {word: tuple(found) for word, found in words.items()},
        max(map(len, words), default=0),
        usual(first),
        usual(last),
    )


def usual(readings: dict[str, Counter[str]]) -> dict[str, str]:
    """The characters that are almost always read in one way, with it."""
    found = {}
    for character, counts in readings.items():
        reading, count = counts.most_common(1)[0]
        total = counts.total()
        if total >= EDGE_WORDS and count >= EDGE_SHARE * total:
            found[character] = reading
    return found
