"""Every upstream file of the built-in benchmarks: address, size, hash and licence.

A hash or size is None where upstream publishes none and the file could not be had to compute it: then the hash
of the file at hand is recorded with every result, and `datasets verify` compares the number of mentions with
the published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bioelx_bench.datasets.sources import Source

SAPBERT: Final = ("cambridgeltl/sapbert", "1a528f66d277d91f99b6463b43ce5309a9279506")
MANTRA: Final = ("mi-erasmusmc/Mantra-Gold-Standard-Corpus", "8ef737daa2208938a2c64ca600b117482ebe3c42")
MEDMENTIONS: Final = ("chanzuckerberg/MedMentions", "14578232bb6cdf290fea9dd7fee60a3e01ee6fd5")
MEDICAL_NER: Final = ("javiagu13/MedicalNER", "7b0e1797bbb38f239195f2878b556cdacd230830")
MEDPATH: Final = ("mnishant2/MedPath", "8be25af5d0f480c89d0fdb4de2cf0fd83c5443a1")
PERMEDIQ: Final = ("PERMEDIQ/German-Bio-Entity-Linking", "aca0f944822f83089e6e59c4bcea7d08ac14ed47")
"""Repository and commit that each file comes from."""

ZENODO: Final = "https://doi.org/10.5281/zenodo.8188966"
CC0: Final = "CC0-1.0"
WIKIPEDIA: Final = "CC-BY-SA (text of Wikipedia); see Zenodo for the annotations"

XL_BEL_SHA256: Final[Mapping[str, Mapping[str, str]]] = {
    "v0.0": {
        "en": "309efbf026baf32f556aea99e81d68994c04fb1032a24e80fb25ec94923e653b",
        "es": "7070d8a5e4c3fef5002129cb61fe10edaaeb110bba9de8bd410014639ff44a2d",
        "de": "b4e10eff39e65e027ec86e4ac5f3c30267d09a36d7f2eccc645d103337007b87",
        "fi": "7fe30d4120024aa951820ddf64dfe035c2e9bd18efc6f0a1e90a7862e7bde6cb",
        "ru": "67e188c8ac4fa0f5b8822bf7826104e832604bd05696bf45ab6adcc96fe800c4",
        "tr": "06c10170bd3469b3694c9f6765e9d54675e1bd3d7d0c5b7c8f88c036ab666588",
        "ko": "7448facccd2d56eed4a29c55c96c3952fb5f61303ce186a9fbf6054a61ffc2be",
        "zh": "54921f5b811e04d44245b7d70962cf8cce0977725829f8780e4ff7dbf5707158",
        "ja": "1e7ba34007875e18ef9035e5c7f256f3b65d4252de4e0f8dadad599992d750a1",
        "th": "e62768dbb8f472872d188c92429b8b99f4cdd5689bef122475e4bbf67e709d93",
    },
    "v1.0": {
        "en": "0200852635b1d45a907166afa5473222d4753b89013064cbfd0a1cda34f1aaf3",
        "es": "a3f509dd6046039cbf2ed4f36ae59ee9702d3e12ab528585114612aa7013e46b",
        "de": "b00a26ff4249a654865c07ee6f61ff0be6d40a0b31de74d5bcd427ba8d1e047e",
        "fi": "7f01c3ae81fb37658620cda6ea5364dc48f0747fedf94d4e7215a8f0a8bddcf5",
        "ru": "e78ee1079cec9e5ec9ea0f3f665e28f59f033d2a5d9896ceb200d2f2718c599d",
        "tr": "caa8c65407c187e8080fe9836e7f780921e1e966bd66f89d10eb8ae4cf61b937",
        "ko": "531569c41a4769c2e4e4a02650a4fbb1999d10d2ffd65aef0695c1b2bfce97f2",
        "zh": "498d37f1514f9e3452a043adc09bae4b25912107334507aa1d45029354816e15",
        "ja": "7c499bbdd63835dd92445218d6667294b4644b727fb909d66677b12dbc1a3e13",
        "th": "acb75cf727ec6d8f1a8d22381bc8f75683d104b8471d5796dd7df2cd05e165ef",
    },
}
"""sha256 of the file of each revision and language of XL-BEL."""

PMIDS: Final[Mapping[str, tuple[str, int, str]]] = {
    "train": ("trng", 23_715, "ab037fc5606588b4294fa1ead987a66652fe8f3c81e7832e6a02d0c1cdb1c7e6"),
    "dev": ("dev", 7_902, "d03508c74df795000599509b997b7280c0ff5bc53b064547e98b29be8b616abd"),
    "test": ("test", 7_911, "fece5bcb8c61edf8de73884980b80daf274132ef6d69f0d195c0114acbfdd4ab"),
}
"""Upstream's name, size and sha256 of the PMID list of each split."""

TOKEN_FILES: Final[Mapping[str, tuple[int | None, str | None]]] = {
    "dev": (2_900_883, "3fc52b4a7fe4a2ee4c20c746eda7fc0459e8e8df8682d8b7dea04d7944395a15"),
    "test": (None, None),
}
"""Size and sha256, where known, of the token-per-line files."""

QUERY_FILES: Final[Mapping[str, tuple[int | None, str | None]]] = {
    "train": (2_221_218, "5472df16d8107d8d1957b4e56a986f7a9d846b85a7aabffa54bb1117e0af7c04"),
    "dev": (509_744, "47093ba374c873c9f659d57b7b70de363a01c2e522e551d74e9a567eec4c5887"),
    "test": (None, None),
}
"""Size and sha256, where known, of the query file of each split."""

ARTICLE_FILES: Final[Mapping[str, str]] = {"bel": "WikiMed-DE-BEL", "full": "WikiMed-DE"}
"""File of each revision of WikiMed-DE with articles."""


def on_github(
    repository: tuple[str, str],
    path: str,
    *,
    at: str,
    licence: str,
    size: int | None = None,
    sha256: str | None = None,
    acknowledge: bool = False,
) -> Source:
    """A file of a repository on GitHub at a commit, which lies at `at` below a data root."""
    name, commit = repository
    return Source(
        path=at,
        url=f"https://raw.githubusercontent.com/{name}/{commit}/{path}",
        page=f"https://github.com/{name}",
        licence=licence,
        size=size,
        sha256=sha256,
        acknowledge=acknowledge,
    )


def xl_bel(revision: str, language: str) -> Source:
    """XL-BEL: the file of a revision and language, which is also shipped in the package."""
    name = f"{language}_1k_test_query{'_with_context' if revision == 'v1.0' else ''}.txt"
    return on_github(
        SAPBERT,
        f"evaluation/xl_bel/xlbel_{revision}/{name}",
        at=f"xl_bel/{revision}/{name}",
        licence="MIT",
        sha256=XL_BEL_SHA256[revision][language],
    )


def mantra() -> Source:
    """Mantra: the archive of brat files."""
    return on_github(
        MANTRA,
        "Mantra-GSC-brat.zip",
        at="mantra_gsc/Mantra-GSC-brat.zip",
        licence="GPL-3.0",
        size=2_624_976,
        sha256="81bce226240215892035a8ba7ee6bf0fb23be844abb129de638e27716f3030fb",
        acknowledge=True,
    )


def medmentions_corpus(revision: str) -> Source:
    """MedMentions: the PubTator file of a revision."""
    if revision == "sample":
        return Source(
            path="medmentions/pubtator_sample/corpus_pubtator_10docs.txt",
            url="",
            page=f"https://github.com/{MEDPATH[0]} at {MEDPATH[1][:8]}",
            licence=CC0,
            size=48_538,
            sha256="de67b8d6859f7338f195f4d070d09ba094133afce2c6213ff60eb87482262b00",
        )
    path = f"{revision}/data/corpus_pubtator.txt.gz"
    return on_github(MEDMENTIONS, path, at=f"medmentions/upstream/{path}", licence=CC0)


def medmentions_pmids(split: str) -> Source:
    """MedMentions: the list of a split's documents."""
    name, size, sha256 = PMIDS[split]
    path = f"full/data/corpus_pubtator_pmids_{name}.txt"
    at = f"medmentions/upstream/{path}"
    return on_github(MEDMENTIONS, path, at=at, licence=CC0, size=size, sha256=sha256)


def medmentions_tokens(split: str) -> Source:
    """MedMentions: the token-per-line file of a split."""
    size, sha256 = TOKEN_FILES[split]
    name = f"medMentions-{split}-CUI-version.tsv"
    return on_github(
        MEDICAL_NER,
        f"BIO-CUI/{name}",
        at=f"medmentions/bio_full/{name}",
        licence="none stated; derived from MedMentions (CC0-1.0)",
        size=size,
        sha256=sha256,
    )


def wikimed_articles(revision: str) -> Source:
    """WikiMed-DE: the corpus of articles of a revision, which Zenodo gives in a browser."""
    stem = ARTICLE_FILES[revision]
    return Source(
        path=f"wikimed_de/{stem}.json",
        alternatives=tuple(f"wikimed_de/{stem}{end}" for end in (".jsonl", ".json.gz", ".jsonl.gz")),
        url="",
        page=ZENODO,
        licence=WIKIPEDIA,
    )


def wikimed_queries(split: str) -> Source:
    """WikiMed-DE: the query file of a split."""
    size, sha256 = QUERY_FILES[split]
    name = f"de_wikimed_bel_{split}_query.txt"
    at = f"wikimed_de/bel_queries/{name}"
    return on_github(PERMEDIQ, f"data/{name}", at=at, licence=WIKIPEDIA, size=size, sha256=sha256)


def sources_of(dataset: str, revision: str, split: str, subsets: tuple[str, ...]) -> list[Source]:
    """The files that a part of a built-in benchmark is read from; empty for other datasets."""
    if dataset == "xl-bel":
        return [xl_bel(revision, language) for language in subsets]
    if dataset in {"emea", "patent", "mantra"}:
        return [mantra()]
    if dataset == "medmentions" and revision == "token-per-line":
        return [medmentions_tokens(split)]
    if dataset == "medmentions":
        return [medmentions_corpus(revision), *([] if split == "all" else [medmentions_pmids(split)])]
    if dataset == "wikimed-de":
        return [wikimed_queries(split) if revision == "queries" else wikimed_articles(revision)]
    return []
