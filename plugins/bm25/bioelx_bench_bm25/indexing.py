"""Building the Lucene index of a knowledge base: one Lucene document for each name row, in the same order.

The index holds no text. A document's number is the row of its name, so that Lucene's own order of equal
scores (lower number first) is the order of the knowledge base, by concept id, and needs no stored field. That
takes one thread and merges that keep the order, and in return two builds give the same answers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.files import write_json
from bioelx_bench.progress import Progress
from bioelx_bench_bm25.analyzers import Analyzers, make_folding_analyzer
from bioelx_bench_bm25.java import explain_java_errors, import_class
from bioelx_bench_bm25.options import Bm25Options

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase

FORMAT: Final = 3
LANGUAGE_FIELD: Final = "contents"
"""Words as the language's analyzer gives them; the name is the one Anserini uses."""
FOLDED_FIELD: Final = "folded"
LUCENE_FOLDER: Final = "lucene"
META_FILE: Final = "meta.json"
BUFFER_MEGABYTES: Final = 64.0


def field_names(fields: str) -> tuple[str, ...]:
    """The Lucene fields that a value of the option `fields` stands for."""
    return {
        "language": (LANGUAGE_FIELD,),
        "folded": (FOLDED_FIELD,),
        "both": (LANGUAGE_FIELD, FOLDED_FIELD),
    }[fields]


@dataclass(frozen=True, slots=True)
class IndexMeta:
    """What an index was built from.

    Attributes:
        kb: sha256 of the knowledge base.
        names: Number of names.
        revision: Versions of the search library.
        languages: Names by language.
    """

    kb: str
    names: int
    revision: str
    languages: dict[str, int]


def build_index(
    kb: KnowledgeBase,
    folder: Path,
    options: Bm25Options,
    analyzers: Analyzers,
    revision: str,
    progress: Progress,
) -> None:
    """Build the index in a folder; what an interrupted build left there is removed first.

    Raises:
        UsageError: A language has no analyzer and the policy is `error`.
        BenchError: The folder cannot be written; it is left empty.
    """
    clear(folder)
    hint = "free space or move the cache (BIOELX_BENCH_CACHE), then repeat"
    try:
        with explain_java_errors("the BM25 index cannot be written", folder, hint):
            languages = write_names(kb, folder / LUCENE_FOLDER, options, analyzers, progress)
    except BaseException:
        clear(folder)
        raise
    meta = IndexMeta(kb.sha256, kb.name_count, revision, dict(sorted(languages.items())))
    write_json(
        folder / META_FILE,
        {
            "format": FORMAT,
            "kb": meta.kb,
            "names": meta.names,
            "revision": revision,
            "languages": meta.languages,
        },
    )


def clear(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_names(
    kb: KnowledgeBase, folder: Path, options: Bm25Options, analyzers: Analyzers, progress: Progress
) -> Counter[str]:
    """Write one Lucene document for each name; returns the names by language."""
    counts: Counter[str] = Counter()
    folding = make_folding_analyzer()
    analyzer_of: dict[str, Callable[[str], Any]] = {
        LANGUAGE_FIELD: analyzers.of,
        FOLDED_FIELD: lambda _: folding,
    }
    writer = open_writer(folder)
    document, slots = make_document(field_names(options.fields))
    normalize = options.normalize
    try:
        with progress.task("Indexing names for BM25", total=kb.name_count, unit="names") as bar:
            for texts, languages in batches(kb):
                for text, language in zip(map(normalize, texts), languages, strict=True):
                    for name, slot in slots.items():
                        slot.setTokenStream(analyzer_of[name](language).tokenStream(name, text))
                    writer.addDocument(document)
                counts.update(languages)
                bar.advance(len(texts))
        writer.forceMerge(1)
        writer.commit()
    except BaseException:
        writer.rollback()
        raise
    writer.close()
    (folder / "write.lock").unlink(missing_ok=True)
    return counts


def batches(kb: KnowledgeBase) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Texts and languages of the names, in order, some thousands at a time."""
    for batch in kb.name_batches(("text", "language")):
        for start in range(0, batch.num_rows, 8192):
            piece = batch.slice(start, 8192)
            codes = piece.column("language").to_pylist()
            yield piece.column("text").to_pylist(), [kb.languages[code] for code in codes]


def open_writer(folder: Path) -> Any:
    """A Lucene index writer whose merges keep the order of documents."""
    folder.mkdir()
    config = import_class("org.apache.lucene.index.IndexWriterConfig")()
    config.setMergePolicy(import_class("org.apache.lucene.index.LogDocMergePolicy")())
    config.setRAMBufferSizeMB(BUFFER_MEGABYTES)
    config.setUseCompoundFile(False)
    directory = import_class("org.apache.lucene.store.FSDirectory").open(java_path(folder))
    return import_class("org.apache.lucene.index.IndexWriter")(directory, config)


def make_document(names: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A Lucene document to use again for every name, and its fields: indexed with frequencies, not stored."""
    import jnius

    kind = import_class("org.apache.lucene.document.FieldType")()
    kind.setIndexOptions(import_class("org.apache.lucene.index.IndexOptions").DOCS_AND_FREQS)
    kind.setTokenized(True)
    kind.freeze()
    empty = jnius.cast("java.lang.CharSequence", import_class("java.lang.String")(""))
    make_field = import_class("org.apache.lucene.document.Field")
    document = import_class("org.apache.lucene.document.Document")()
    slots = {name: make_field(name, empty, kind) for name in names}
    for slot in slots.values():
        document.add(slot)
    return document, slots


def java_path(path: Path) -> Any:
    """A Java path."""
    return import_class("java.nio.file.Paths").get(str(path))


def read_meta(folder: Path) -> IndexMeta:
    """Read what an index was built from.

    Raises:
        ValueError: The file is missing, damaged or of another format.
    """
    try:
        found = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}, this version reads {FORMAT}")
        return IndexMeta(found["kb"], found["names"], found["revision"], dict(found["languages"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{META_FILE}: {type(error).__name__}: {error}") from error
