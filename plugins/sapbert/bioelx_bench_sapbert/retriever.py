"""The retrievers `sapbert` and `sapbert-x`: any encoder of the Hugging Face Hub or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioelx_bench.base import Environment, Notes
from bioelx_bench.records import Mention
from bioelx_bench_sapbert.aggregation import ConceptAggregation, TopK
from bioelx_bench_sapbert.embedding_retriever import EmbeddingRetriever, Vectors
from bioelx_bench_sapbert.model_encoding import ModelEncoding, read_model_encoding, with_model_encoding
from bioelx_bench_sapbert.model_files import ModelFiles, locate_model
from bioelx_bench_sapbert.name_strings import NameStrings
from bioelx_bench_sapbert.name_vectors import NameEncoding, embed_names
from bioelx_bench_sapbert.options import DenseOptions
from bioelx_bench_sapbert.vectors import StorageType, VectorStore

if TYPE_CHECKING:
    from bioelx_bench.kb.store import KnowledgeBase
    from bioelx_bench_sapbert.encoder import Encoder
    from bioelx_bench_sapbert.ivf import IvfSearch


class DenseRetriever(EmbeddingRetriever):
    """Encodes names and mentions with one encoder."""

    def __init__(self, options: DenseOptions, environment: Environment) -> None:
        super().__init__(environment)
        self.given = options
        self.device = options.device
        self._ivf: IvfSearch | None = None

    @cached_property
    def files(self) -> ModelFiles:
        """The model's files."""
        return locate_model(self.given.model, self.environment, self.given.revision)

    @cached_property
    def model_encoding(self) -> ModelEncoding:
        """How the model's folder says that strings are to be encoded."""
        return read_model_encoding(self.files)

    @cached_property
    def options(self) -> DenseOptions:  # type: ignore[override]  # computed when asked for
        """The options as given, and for the others what the model's folder asks for, or the defaults."""
        return with_model_encoding(self.given, self.model_encoding)

    @cached_property
    def encoding(self) -> NameEncoding:
        """How names become vectors, with what `auto` stands for in this run and on this machine."""
        from bioelx_bench_sapbert.hardware import choose_device, choose_dtype, dtype_name

        counts_names = self.environment.unit == "name"
        dtype: str = self.options.dtype
        if dtype == "auto" and counts_names:
            dtype = "fp32"
        elif dtype == "auto":
            dtype = dtype_name(choose_dtype("auto", choose_device(self.options.device)))
        storage: StorageType = "fp32" if counts_names else "fp16"
        if self.options.storage != "auto":
            storage = self.options.storage
        return NameEncoding(self.options.model_copy(update={"dtype": dtype}), self.files, storage)

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder."""
        from bioelx_bench_sapbert.encoder import Encoder

        return Encoder.load(self.files, self.environment, self.encoding.options)

    @cached_property
    def model_revision(self) -> str:  # type: ignore[override]  # computed when asked for
        """The model's commit on the Hub, or the hash of its files."""
        return self.files.revision

    @property
    def lowercase_names(self) -> bool:  # type: ignore[override]  # follows the options
        """Whether names are lowercased."""
        return self.encoding.lowercase

    def index_identity(self) -> dict[str, Any]:
        """Encoding options, and the engine."""
        identity = self.encoding.identity()
        identity["lowercase"] = self.encoding.lowercase
        identity["engine"] = self.options.engine
        return identity

    def build_index(self, kb: KnowledgeBase, strings: NameStrings, folder: Path) -> None:
        """Encode the names into the cache, which other indexes share, and cluster them for `ivf`."""
        store = embed_names(kb, strings, self.encoding, self.environment)
        if self.options.engine == "ivf":
            from bioelx_bench_sapbert.ivf import build_ivf

            build_ivf(store, folder, self.environment)

    def open(self, kb: KnowledgeBase, folder: Path) -> None:
        """Open the index; cached vectors are verified, and made again if they are gone or damaged."""
        super().open(kb, folder)
        if self.options.engine == "ivf":
            from bioelx_bench_sapbert.ivf import IvfSearch

            self._ivf = IvfSearch(folder, self.store, self.options.nprobe)

    def open_vectors(self, kb: KnowledgeBase, strings: NameStrings, folder: Path) -> VectorStore:  # noqa: ARG002
        """The vectors from the cache."""
        return embed_names(kb, strings, self.encoding, self.environment)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of names."""
        return self.encoder.encode(texts)

    def embed_mentions(self, texts: Sequence[str]) -> Vectors:
        """The vectors of mentions, in batches made for few strings."""
        with self.environment.progress.task("Encoding mentions", total=len(texts), unit="mentions") as task:
            return self.encoder.encode(texts, task, small_batches=True, prefix=self.options.mention_prefix)

    def find(self, queries: Vectors, width: int, aggregation: ConceptAggregation) -> TopK:
        """The best places of each query, by the engine of the options."""
        if self._ivf is None:
            return super().find(queries, width, aggregation)
        return self._ivf.search(queries, width, aggregation, self.exact, self.environment.progress)

    def trained_on(self, texts: Sequence[str]) -> list[bool] | None:
        """Whether each text is among the aliases that the model was trained on; None if its folder does not say."""
        from bioelx_bench_sapbert.seen_aliases import read_seen

        seen = read_seen(self.files.folder)
        return None if seen is None else seen.flags(texts)

    def query_text(self, mention: Mention) -> str:
        """The string of a mention that is encoded."""
        return mention.text.lower() if self.options.lowercase == "both" else mention.text

    def notes(self) -> Notes:
        """What the result records: model, how it encodes and from where that is known, engine and exactness."""
        found = super().notes()
        facts = {"model": self.files.name, "model_revision": self.files.revision, **found.facts}
        fields = {"pooling", "normalize", "max_length", "prefix", "mention_prefix", "lowercase", "dtype"}
        facts["encoding"] = self.encoding.options.model_dump(mode="json", include=fields)
        if self.model_encoding.source:
            facts["encoding_from"] = self.model_encoding.source
        if different := self.model_encoding.differences(self.options):
            facts["options_unlike_model"] = different
        if self._ivf is None:
            return Notes(counts=found.counts, facts=facts)
        facts |= self._ivf.facts()
        return Notes(counts={"queries_searched": self._ivf.queries}, facts=facts)

    def close(self) -> None:
        """Release the model and the vectors."""
        super().close()
        self.__dict__.pop("encoder", None)
        self._ivf = None


def make_retriever(options: DenseOptions, environment: Environment) -> DenseRetriever:
    """Factory of `sapbert` and `sapbert-x`; they differ in the defaults of their options only."""
    return DenseRetriever(options, environment)
