"""The dense retrievers: encode the names once, then search exactly or approximately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioelx_bench.base import BaseRetriever, Environment, Notes
from bioelx_bench.errors import BenchError
from bioelx_bench.records import Candidate, Mention, Unit
from bioelx_bench_sapbert.building import embed_names, encoding_identity
from bioelx_bench_sapbert.collapse import Collapse
from bioelx_bench_sapbert.distinct import NameStrings, name_strings
from bioelx_bench_sapbert.embeddings import Embeddings
from bioelx_bench_sapbert.locating import ModelFiles, locate_model
from bioelx_bench_sapbert.options import DenseOptions
from bioelx_bench_sapbert.own_encoding import fill_in, unlike_training

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench_sapbert.encoding import Encoder
    from bioelx_bench_sapbert.exact import ExactSearch, Scores
    from bioelx_bench_sapbert.ivf import IvfSearch

SPARE: Final = 64
"""Vectors kept beyond four times k, so that several names of one concept and near ties have room."""


class DenseRetriever(BaseRetriever):
    """Finds concepts whose names' vectors have the greatest product with the mention's."""

    def __init__(self, options: DenseOptions, environment: Environment) -> None:
        self.given = options
        self.environment = environment
        self._kb: KnowledgeBase | None = None
        self._strings: NameStrings | None = None
        self._embeddings: Embeddings | None = None
        self._ivf: IvfSearch | None = None
        self._exact: ExactSearch | None = None

    @cached_property
    def files(self) -> ModelFiles:
        """The model's files."""
        return locate_model(self.given.model, self.environment, self.given.revision)

    @cached_property
    def options(self) -> DenseOptions:
        """The options as given, and for the others what the model's `encoding.json` asks for, or the defaults."""
        return fill_in(self.given, self.files)

    @cached_property
    def dtype(self) -> str:
        """The precision that the option stands for on this machine."""
        if self.options.dtype != "auto":
            return self.options.dtype
        from bioelx_bench_sapbert.hardware import choose_device, choose_dtype, dtype_name

        return dtype_name(choose_dtype("auto", choose_device(self.options.device)))

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder."""
        from bioelx_bench_sapbert.encoding import Encoder

        return Encoder.load(self.files, self.environment, self.options)

    @cached_property
    def model_revision(self) -> str:
        """The model's commit on the Hub, or the hash of its files."""
        return self.files.revision

    def index_identity(self) -> Mapping[str, Any]:
        """Encoding options, and those of the approximate index."""
        identity = encoding_identity(self.options, self.files, self.dtype)
        identity["lowercase"] = self.options.lowercase != "none"
        if self.options.engine == "ivf":
            identity["ivf"] = {"nlist": self.options.nlist}
        return identity

    def index(self, kb: KnowledgeBase, folder: Path) -> None:
        """Group the names by string and encode the strings (see `BaseRetriever.index`)."""
        strings = name_strings(kb, self.options.lowercase != "none")
        strings.save(folder)
        embeddings = self._embed(kb, strings)
        if self.options.engine == "ivf":
            from bioelx_bench_sapbert.ivf import build_ivf

            build_ivf(embeddings, folder, self.options.nlist, self.environment)

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Open the index; cached vectors are verified, and made again if they are gone or damaged."""
        self._kb = kb
        self._strings = NameStrings.open(folder)
        self._embeddings = self._embed(kb, self._strings)
        if self.options.engine == "ivf":
            from bioelx_bench_sapbert.ivf import IvfSearch

            self._ivf = IvfSearch(folder, self._embeddings, self.options.nprobe)

    def _embed(self, kb: KnowledgeBase, strings: NameStrings) -> Embeddings:
        return embed_names(kb, strings, self.options, self.files, self.dtype, self.environment)

    def search(self, mentions: Sequence[Mention], k: int, unit: Unit = "concept") -> list[list[Candidate]]:
        """Find candidates (see `BaseRetriever.search`)."""
        if self._kb is None or self._strings is None or self._embeddings is None:
            raise BenchError("search was called before open")
        if not mentions or k < 1:
            return [[] for _ in mentions]
        texts = [self.query_text(mention) for mention in mentions]
        distinct = list(dict.fromkeys(texts))
        with self.environment.progress.task(
            "Encoding mentions", total=len(distinct), unit="mentions"
        ) as task:
            queries = self.encoder.encode(distinct, task, few=True)
        collapse = Collapse(self._kb, self._strings, k, unit)
        found: dict[str, list[Candidate]] = {}
        for number, rows, scores in self._find(queries, collapse):
            found[distinct[number]] = collapse.candidates(rows, scores)
        return [list(found[text]) for text in texts]

    def _find(self, queries: Scores, collapse: Collapse) -> Any:
        width = 4 * collapse.k + SPARE
        if self._ivf is not None:
            return self._ivf.search(queries, width, collapse, self.exact, self.environment.progress)
        return self.exact.search(queries, width, collapse.is_complete, self.environment.progress)

    @property
    def exact(self) -> ExactSearch:
        """The exact engine, made when first used."""
        if self._exact is None:
            from bioelx_bench_sapbert.exact import ExactSearch
            from bioelx_bench_sapbert.hardware import choose_device, has_fast_bf16

            if self._embeddings is None:
                raise BenchError("search was called before open")
            device = choose_device(self.options.device)
            self._exact = ExactSearch(self._embeddings, device, bf16=has_fast_bf16(device))
        return self._exact

    def trained_on(self, texts: Sequence[str]) -> list[bool] | None:
        """Whether each text is among the aliases that the model was trained on; None if its folder does not say."""
        from bioelx_bench_sapbert.seen_aliases import read_seen

        seen = read_seen(self.files.folder)
        return None if seen is None else seen.flags(texts)

    def query_text(self, mention: Mention) -> str:
        """The string of a mention that is encoded."""
        return mention.text.lower() if self.options.lowercase == "both" else mention.text

    def notes(self) -> Notes:
        """What the result records: engine, exactness, precision and memory repairs."""
        counts: dict[str, int] = {}
        notes: dict[str, Any] = {"model": self.files.reference, "model_revision": self.files.revision}
        if different := unlike_training(self.options, self.files):
            notes["options_unlike_training"] = different
        if self._embeddings is not None:
            manifest = self._embeddings.manifest
            notes["vectors"] = {
                "rows": manifest.rows,
                "dimension": manifest.dimension,
                "storage": manifest.dtype,
                "encoder_precision": manifest.precision,
                "batch_halvings": manifest.halvings,
            }
        if self._ivf is not None:
            notes |= self._ivf.notes()
        elif self._exact is not None:
            report = self._exact.report
            notes |= {"engine": self._exact.name, "device": str(self._exact.device)}
            counts = {"queries_searched": report.queries, "queries_searched_again_in_fp32": report.again}
        return Notes(counts=counts, facts=notes)

    def close(self) -> None:
        """Release the model and the vectors."""
        self.__dict__.pop("encoder", None)
        self._kb = self._strings = self._embeddings = self._ivf = self._exact = None


def make_retriever(options: DenseOptions, environment: Environment) -> DenseRetriever:
    """Factory of `sapbert` and `sapbert-x`; they differ in the defaults of their options only."""
    return DenseRetriever(options, environment)
