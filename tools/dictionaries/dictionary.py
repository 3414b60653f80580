"""`dictionary`: bilingual dictionaries, joined to a knowledge base by name.

Where one side of an entry is a name of a concept in its language, the other side becomes an alias of the concept. Of
the knowledge base's names only those that the dictionaries ask for are held, in one pass over its table.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bioelx_bench_aliases.ontologies import hash_files, split_paths

from bioelx_bench.base import BaseAliasSource, Environment
from bioelx_bench.errors import MissingError, UsageError
from bioelx_bench.kb import schemas
from bioelx_bench.kb.catalogue import open_knowledge_base
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.progress import Progress
from bioelx_bench.records import Alias
from bioelx_bench.text import fold_text
from dictionaries.dictd import dictionary_path
from dictionaries.dictionary_files import Entry, kind_of, languages_by_name, read_entries
from dictionaries.hanja import HAN, make_normalizers, make_readings, read_hanja
from dictionaries.options import DictionaryOptions

HANJA_LANGUAGES: Final = ("ko", "hanja")
CHINESE_CHARACTERS: Final = frozenset({"ja", "zh"})
"""Languages whose names are compared with hanja."""

CJK: Final = re.compile(r"[\u3040-\u30FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF]")
MIN, MIN_CJK = 3, 2
"""Characters of a name that joins; shorter ones are mostly acronyms."""

MAX_ACRONYM_CHARACTERS: Final = 8
"""A name of one word with capitals joins nothing up to this length: GET is a disease, and to a dictionary a verb."""

COMPOSED: Final = "ja"
"""The language whose names are read by composing words: Korean medicine took its words from Japanese."""

Word = tuple[str, str]
"""A language and a normalised name."""

Concepts = dict[Word, tuple[str, ...]]
"""The concepts that bear names."""

Key = Callable[[str], str | None]
"""Gives the form in which a name of the knowledge base is asked for, or None where it is not."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A file with what is known of it before it is read.

    Attributes:
        path: The file; for dictd the index.
        kind: `dictd`, `edict` or `hanja`.
        languages: Of headwords and translations.
        source: The source that its aliases bear.
    """

    path: Path
    kind: str
    languages: tuple[str, str]
    source: str


class DictionarySource(BaseAliasSource):
    """The source `dictionary`.

    Raises:
        MissingError: A file is not there.
        UsageError: A file's format or languages are unknown.
    """

    def __init__(self, options: DictionaryOptions, environment: Environment) -> None:
        super().__init__()
        self.options = options
        self.progress = environment.progress
        self.dictionaries = [describe(path, options) for path in split_paths(options.files)]
        if not self.dictionaries:
            raise UsageError(
                "no dictionary is named", where="-O files", hint="-O files=freedict-eng-fin.index"
            )
        companions = [dictionary_path(d.path) for d in self.dictionaries if d.kind == "dictd"]
        self.kb = open_knowledge_base(options.kb, environment)
        self.files = hash_files([*(d.path for d in self.dictionaries), *companions])
        self.files[f"knowledge base {self.kb.name}"] = self.kb.sha256

    def __iter__(self) -> Iterator[Alias]:
        """The aliases of bilingual dictionaries, then those by Chinese characters."""
        self.counts.clear()
        join = Join(self.kb, self.options, self.counts, self.progress)
        yield from join.bilingual([d for d in self.dictionaries if d.kind != "hanja"])
        for dictionary in self.dictionaries:
            if dictionary.kind == "hanja":
                yield from join.hanja(dictionary)


def describe(path: Path, options: DictionaryOptions) -> Dictionary:
    """A file's format, languages and source.

    Raises:
        MissingError: It is not there.
        UsageError: Its format or its languages cannot be told, or its source cannot be written.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", where=f"-O files: {path}")
    kind = kind_of(path)
    source = options.source or path.stem
    if why := schemas.validation_error("source", source):
        raise UsageError(f"{source!r} is no name of a source", where="-O source", why=why)
    if kind == "hanja":
        return Dictionary(path, kind, HANJA_LANGUAGES, source)
    by_name = languages_by_name(path, kind) or ("", "")
    languages = (options.source_language or by_name[0], options.target_language or by_name[1])
    for language, option in zip(languages, ("source_language", "target_language"), strict=True):
        if why := schemas.validation_error("language", language):
            raise UsageError(
                f"{language!r} is no language" if language else f"the languages of {path.name} are unknown",
                where=f"-O {option}",
                why=why if language else "the file is not named like freedict-eng-fin.index",
                hint="-O source_language=en -O target_language=fi",
            )
    return Dictionary(path, kind, languages, source)


@dataclass(frozen=True, slots=True)
class Join:
    """Joining dictionaries to the names of a knowledge base.

    Attributes:
        kb: The knowledge base.
        options: The source's options.
        tally: Takes what is read and left out.
        progress: Shows progress.
    """

    kb: KnowledgeBase
    options: DictionaryOptions
    tally: Counter[str]
    progress: Progress

    def bilingual(self, dictionaries: Iterable[Dictionary]) -> Iterator[Alias]:
        """The aliases of bilingual dictionaries, in both directions."""
        entries = {d: list(read_entries(d.path, d.kind, self.tally)) for d in dictionaries}
        asked: dict[str, set[str]] = defaultdict(set)
        for _, language, word, _ in sides(entries):
            if long_enough(word):
                asked[language].add(fold_text(word))
            else:
                self.tally["skipped:short_name"] += 1
        concepts = self.concepts_by_name(
            {language: self.asked_for(words) for language, words in asked.items()}
        )
        for name in ambiguous(concepts, entries, self.options.max_senses):
            del concepts[name]
            self.tally["skipped:name_of_several_senses"] += 1
        for dictionary, language, word, others in sides(entries):
            source, target = dictionary.languages
            yield from self.aliases(
                concepts.get((language, fold_text(word)), ()),
                others,
                Alias(
                    concept_id="",
                    language=target if language == source else source,
                    text="",
                    source=dictionary.source,
                    property="translation",
                    joined_by=f"name:{language}",
                ),
            )

    def hanja(self, dictionary: Dictionary) -> Iterator[Alias]:
        """Korean aliases by the Japanese and Chinese names of concepts."""
        japanese, other = make_normalizers()
        readings = make_readings(read_hanja(dictionary.path, self.tally), other)
        composing = COMPOSED if self.options.compose else None

        def readable(language: str) -> Key:
            unify = japanese if language == "ja" else other

            def key(text: str) -> str | None:
                name = unify(text) if HAN.fullmatch(text) else ""
                return name if readings.read(name, compose=language == composing)[0] else None

            return key

        languages = [x for x in self.kb.languages if x.partition("-")[0] in CHINESE_CHARACTERS]
        concepts = self.concepts_by_name({language: readable(language) for language in languages})
        for (language, name), cuis in concepts.items():
            found, composed = readings.read(name, compose=language == composing)
            made = Alias(
                concept_id="",
                language=dictionary.languages[0],
                text="",
                source=dictionary.source,
                property="hanja composed" if composed else "hanja",
                joined_by=f"name:{language}",
            )
            for alias in self.aliases(cuis, found, made):
                self.tally["composed"] += composed
                yield alias

    def asked_for(self, words: set[str]) -> Key:
        """The key of names that are among some words, and no acronyms."""

        def key(text: str) -> str | None:
            name = fold_text(text)
            if name not in words:
                return None
            if is_acronym(text):
                self.tally["skipped:acronym"] += 1
                return None
            return name

        return key

    def concepts_by_name(self, keys: Mapping[str, Key]) -> Concepts:
        """The concepts that bear the names asked for, in one pass over the names of some languages.

        Names that more than `max_concepts` bear are counted and left out.

        Args:
            keys: The key of each language.
        """
        rows: dict[Word, set[int]] = defaultdict(set)
        for language, text, row in self.names(frozenset(keys)):
            if (name := keys[language](text)) is not None:
                rows[language, name].add(int(self.kb.name_concepts[row]))
        self.tally["names_joined"] += len(rows)
        shared = [word for word, found in rows.items() if len(found) > self.options.max_concepts]
        for word in shared:
            del rows[word]
        self.tally["skipped:name_of_many_concepts"] += len(shared)
        return {word: tuple(map(self.kb.concept_id, sorted(found))) for word, found in rows.items()}

    def names(self, languages: frozenset[str]) -> Iterator[tuple[str, str, int]]:
        """Language, text and row of the knowledge base's names in some languages."""
        import pyarrow as pa
        import pyarrow.compute as pc

        codes = [code for code, language in enumerate(self.kb.languages) if language in languages]
        wanted = pa.array(codes, type=pa.int16())
        start = 0
        with self.progress.task("Looking names up", total=self.kb.name_count, unit="names") as task:
            for batch in self.kb.name_batches(["text", "language"]):
                places = pc.indices_nonzero(pc.is_in(batch.column("language"), wanted))
                columns = [places, *batch.take(places).columns]
                for place, text, code in zip(*(c.to_pylist() for c in columns), strict=True):
                    yield self.kb.languages[code], text, start + place
                start += batch.num_rows
                task.advance(batch.num_rows)

    def aliases(self, concepts: Iterable[str], names: Iterable[str], made: Alias) -> Iterator[Alias]:
        """Names as aliases of concepts, where their language is wanted and they are no descriptions.

        Args:
            concepts: The concepts.
            names: The names.
            made: The alias without concept and name.
        """
        wanted = self.options.wanted()
        for cui in concepts:
            for name in names:
                if wanted and made.language not in wanted:
                    self.tally["skipped:language"] += 1
                elif len(name.split()) > self.options.max_words:
                    self.tally["skipped:description"] += 1
                else:
                    yield replace(made, concept_id=cui, text=name)


def sides(
    entries: Mapping[Dictionary, list[Entry]],
) -> Iterator[tuple[Dictionary, str, str, tuple[str, ...]]]:
    """Each word that can be a name: its dictionary, its language, itself, and the words on the other side."""
    for dictionary, found in entries.items():
        source, target = dictionary.languages
        for entry in found:
            if entry.is_name:
                yield from ((dictionary, source, word, entry.translations) for word in entry.headwords)
                yield from ((dictionary, target, word, entry.headwords) for word in entry.translations)


def ambiguous(concepts: Concepts, entries: Mapping[Dictionary, list[Entry]], most: int) -> set[Word]:
    """The names that a dictionary has as headwords of several senses: which of them the concept is, is unknown.

    A word that is a translation in one dictionary may be a headword in another, and its senses there count.
    """
    found: set[Word] = set()
    for dictionary, own in entries.items():
        senses: dict[Word, set[tuple[str, ...]]] = defaultdict(set)
        for entry in own:
            for headword in entry.headwords:
                word = (dictionary.languages[0], fold_text(headword))
                if word in concepts:
                    senses[word].add(entry.translations)
        found.update(word for word, different in senses.items() if len(different) > most)
    return found


def long_enough(word: str) -> bool:
    """Whether a word is long enough to be a name and not an acronym."""
    return len(word) >= (MIN_CJK if CJK.search(word) else MIN)


def is_acronym(text: str) -> bool:
    """Whether a name is one short word with capitals behind its first letter."""
    short = len(text) <= MAX_ACRONYM_CHARACTERS and " " not in text and not CJK.search(text)
    return short and text[1:] != text[1:].lower()
