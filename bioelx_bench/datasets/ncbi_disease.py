"""The NCBI Disease corpus (Dogan, Leaman, Lu 2014): PubMed abstracts with disease mentions, MeSH and OMIM ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bioelx_bench.base import DatasetRequest
from bioelx_bench.datasets.own_pubtator import CompositeOptions, PubTatorFiles
from bioelx_bench.datasets.sources import locate
from bioelx_bench.declarations import CardText, DatasetSpec, Source

NAME: Final = "ncbi-disease"
PAGE: Final = "https://www.ncbi.nlm.nih.gov/CBBresearch/Dogan/DISEASE/"
LICENCE: Final = "public domain (work of the US government), see the corpus's page"
FILES: Final = {"test": "NCBItestset_corpus", "dev": "NCBIdevelopset_corpus", "train": "NCBItrainset_corpus"}
"""Upstream's name of each split."""

SPEC: Final = DatasetSpec(
    name=NAME,
    summary="NCBI Disease: 793 PubMed abstracts with disease mentions and MeSH ids",
    factory="bioelx_bench.datasets.ncbi_disease:load",
    options="bioelx_bench.datasets.own_pubtator:CompositeOptions",
    revisions=("2014",),
    subsets=("en",),
    splits=("test", "dev", "train", "all"),
    licence=LICENCE,
    homepage=PAGE,
    context="abstract",
    id_scheme="mesh",
    sources="bioelx_bench.datasets.ncbi_disease:sources",
    expected_mentions={("2014", "test"): {"en": 960}, ("2014", "dev"): {"en": 787}},
    card=CardText(
        title="NCBI Disease",
        licence="other",
        about=(
            "The NCBI Disease corpus is 793 PubMed titles and abstracts in which every mention of a disease is "
            "marked and linked to a concept of MEDIC: MeSH descriptors and supplementary records, and OMIM."
        ),
        annotation=(
            "Fourteen annotators, two for each abstract. Composite mentions have several ids, joined by `|` or "
            "`+`; the option `composite` says how they count (`any` by default). Ids of OMIM are kept and "
            "counted (`id not of scheme`)."
        ),
        context="Title and abstract.",
        citation="""
@article{dogan2014ncbi,
  title = {NCBI disease corpus: a resource for disease name recognition and concept normalization},
  author = {Do{\\u{g}}an, Rezarta Islamaj and Leaman, Robert and Lu, Zhiyong},
  journal = {Journal of Biomedical Informatics}, volume = {47}, year = {2014}
}""",
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The archive of a split, which may also lie unpacked; the training set has one abstract twice."""
    names = FILES.values() if split == "all" else [FILES[split]]
    return [
        Source(
            path=f"ncbi_disease/{name}.zip",
            alternatives=(f"ncbi_disease/{name}.txt",),
            url=f"{PAGE}{name}.zip",
            page=PAGE,
            licence=LICENCE,
        )
        for name in names
    ]


def load(request: DatasetRequest) -> PubTatorFiles:
    """The reader of a split."""
    options = CompositeOptions.model_validate(dict(request.options))
    files = {}
    for source in sources(request.revision, request.split, request.subset):
        found = locate(source, request, NAME)
        files[source.path] = (found.path, found.sha256)
    return PubTatorFiles(NAME, files, scheme="mesh", composite=options.composite)
