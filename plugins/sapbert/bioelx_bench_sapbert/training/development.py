"""Recall@1 on development data during training: aliases held out, and mentions of a query file."""

# ruff: noqa: ARG002 - the Trainer fixes the arguments of what it calls

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bioelx_bench.errors import DataError, MissingError, at
from bioelx_bench.kb.store import KnowledgeBase
from bioelx_bench.text import fold_text
from bioelx_bench_sapbert.training.encoder import NameEncoder, Tokens, encode_names
from bioelx_bench_sapbert.training.settings import TrainingSettings

ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Query:
    """A development mention: its text, its group (a language or a file's name) and gold concept rows."""

    text: str
    group: str
    gold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DevelopmentSet:
    """Queries with the dictionary in which they are searched: English name rows of the knowledge base."""

    queries: list[Query]
    dictionary: list[int]


def is_held_out(text: str, share: float, seed: int) -> bool:
    """Whether an alias is held out: by the hash of its normalised text, so everywhere or nowhere."""
    digest = hashlib.blake2b(f"{seed}:{fold_text(text)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def held_out_mask(
    kb: KnowledgeBase, share: float, seed: int, texts: pa.Array, languages: npt.NDArray[np.int16]
) -> npt.NDArray[np.bool_]:
    """Which of these names are held out; English ones never are, they make the dictionary."""
    english = kb.languages.index(ENGLISH) if ENGLISH in kb.languages else -1
    return np.array(
        [
            code != english and is_held_out(text, share, seed)
            for text, code in zip(texts.to_pylist(), languages.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )


def read_queries(path: Path, kb: KnowledgeBase) -> list[Query]:
    """Mentions of a file of `CUI||mention` lines (several CUIs with `|` between), those whose gold is known.

    Raises:
        MissingError: There is no such file.
        DataError: A line is not of that form, or no CUI is in the knowledge base.
    """
    if not path.is_file():
        raise MissingError(f"there is no development file {path}", where=path)
    found: list[Query] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cuis, bars, mention = line.partition("||")
        if not bars or not mention.strip():
            raise DataError("the line is not CUI||mention", where=at(path, number), hint="hint the line")
        rows = [row for cui in cuis.split("|") if (row := kb.concept_row(cui)) is not None]
        if rows:
            found.append(Query(mention.split("||")[0], path.stem, tuple(rows)))
    if not found:
        raise DataError(
            "no mention of the development file has a concept of the knowledge base",
            where=path,
            why="nothing could be found right, whatever the model",
            hint="give a file whose CUIs are in the knowledge base",
        )
    return found


def held_out_queries(kb: KnowledgeBase, settings: TrainingSettings) -> list[Query]:
    """A seeded sample of the held-out aliases whose concept has an English name."""
    if not settings.held_out or ENGLISH not in kb.languages:
        return []
    english = kb.languages.index(ENGLISH)
    languages = kb.names.column("language").to_numpy().astype(np.int16)
    has_english = np.zeros(len(kb), dtype=np.bool_)
    has_english[np.asarray(kb.name_concepts)[languages == english]] = True
    candidates = np.flatnonzero((languages != english) & has_english[np.asarray(kb.name_concepts)])
    texts = kb.names.column("text").take(pa.array(candidates))
    mask = held_out_mask(kb, settings.held_out, settings.seed, texts, languages[candidates])
    rows = candidates[mask]
    generator = np.random.default_rng([settings.seed, 7])
    chosen = np.sort(generator.permutation(rows)[: settings.development_queries])
    return [
        Query(kb.name_text(r), kb.languages[languages[r]], (int(kb.name_concepts[r]),))
        for r in chosen.tolist()
    ]


def make_development_set(
    kb: KnowledgeBase, settings: TrainingSettings, files: Sequence[Path]
) -> DevelopmentSet | None:
    """The development set of these settings, or None if there is neither a file nor a held-out share."""
    generator = np.random.default_rng([settings.seed, 11])
    queries = held_out_queries(kb, settings)
    languages = kb.names.column("language").to_numpy()
    english = np.flatnonzero(languages == kb.languages.index(ENGLISH)) if ENGLISH in kb.languages else None
    if english is None or not (queries or files):
        return None
    named = np.zeros(len(kb), dtype=np.bool_)
    named[np.asarray(kb.name_concepts)[english]] = True
    for file in files:
        usable = [q for q in read_queries(file, kb) if named[list(q.gold)].any()]
        chosen = generator.permutation(len(usable))[: settings.development_queries]
        queries += [usable[i] for i in sorted(chosen.tolist())]
    gold = np.zeros(len(kb), dtype=np.bool_)
    for query in queries:
        gold[list(query.gold)] = True
    of_gold = gold[np.asarray(kb.name_concepts)[english]]
    others = generator.permutation(english[~of_gold])[: settings.development_names]
    return DevelopmentSet(queries, np.sort(np.concatenate([english[of_gold], others])).tolist())


def recall_at_1(
    encoder: NameEncoder, tokens: Tokens, precision: str, kb: KnowledgeBase, development: DevelopmentSet
) -> dict[str, float]:
    """Recall@1 (0 to 1) of each group, and `mean` over groups, by cosine."""
    names = encode_names(encoder, tokens, precision, [kb.name_text(r) for r in development.dictionary])
    queries = encode_names(encoder, tokens, precision, [q.text for q in development.queries])
    concepts = torch.from_numpy(np.asarray(kb.name_concepts[development.dictionary], dtype=np.int64))
    best = torch.cat([concepts[(part @ names.T).argmax(1)] for part in torch.split(queries, 512)]).tolist()
    hits: dict[str, list[bool]] = {}
    for query, found in zip(development.queries, best, strict=True):
        hits.setdefault(query.group, []).append(found in query.gold)
    recalls = {group: sum(h) / len(h) for group, h in sorted(hits.items())}
    return {"mean": sum(recalls.values()) / len(recalls), **recalls}


class DevelopmentCallback(TrainerCallback):
    """Measures Recall@1 on the development set every `every` steps, in the first process."""

    def __init__(self, measure: Callable[[], dict[str, float]], every: int) -> None:
        self.measure = measure
        self.every = every

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Measure, and write the figures into the trainer's log."""
        if state.global_step % self.every == 0 and state.is_world_process_zero:
            figures = {f"dev_recall@1/{group}": value for group, value in self.measure().items()}
            state.log_history.append({"step": state.global_step, **figures})
