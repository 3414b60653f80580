"""The BioCreative V CDR corpus (Li et al. 2016): PubMed abstracts with chemicals and diseases, MeSH ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bioelx_bench.base import DatasetRequest
from bioelx_bench.datasets.own_pubtator import CompositeOptions, PubTatorFiles
from bioelx_bench.datasets.sources import locate
from bioelx_bench.declarations import CardText, DatasetSpec, Source

NAME: Final = "bc5cdr"
PAGE: Final = "https://biocreative.bioinformatics.udel.edu/tasks/biocreative-v/track-3-cdr/"
LICENCE: Final = "public domain (work of the US government), see the corpus's page"
FILES: Final = {
    "test": "CDR_TestSet.PubTator.txt",
    "dev": "CDR_DevelopmentSet.PubTator.txt",
    "train": "CDR_TrainingSet.PubTator.txt",
}
"""File of each split in the archive."""

FOLDERS: Final = ("", "CDR.Corpus.v010516/", "CDR_Data/CDR.Corpus.v010516/")
"""Where people have the unpacked files, below `bc5cdr`."""

TYPES: Final = {"chemical": "Chemical", "disease": "Disease"}
"""Type of each subset."""

SPEC: Final = DatasetSpec(
    name=NAME,
    summary="BC5CDR: 1,500 PubMed abstracts with chemical and disease mentions and MeSH ids",
    factory="bioelx_bench.datasets.bc5cdr:load",
    options="bioelx_bench.datasets.own_pubtator:CompositeOptions",
    revisions=("2016",),
    subsets=tuple(TYPES),
    splits=("test", "dev", "train"),
    licence=LICENCE,
    homepage=PAGE,
    context="abstract",
    id_scheme="mesh",
    sources="bioelx_bench.datasets.bc5cdr:sources",
    card=CardText(
        title="BC5CDR",
        licence="other",
        about=(
            "The corpus of the BioCreative V track on chemical-disease relations: 1,500 PubMed titles and "
            "abstracts, 500 in each split, with every chemical (subset `chemical`) and disease (`disease`) "
            "marked. Relations are not read."
        ),
        annotation=(
            "By indexers of Medical Subject Headings, with MeSH ids. Mentions without a concept (`-1`) give "
            "no row and are counted. Composite mentions have several ids joined by `|`; the option "
            "`composite` says how they count (`any` by default)."
        ),
        context="Title and abstract.",
        citation="""
@article{li2016biocreative,
  title = {BioCreative V CDR task corpus: a resource for chemical disease relation extraction},
  author = {Li, Jiao and Sun, Yueping and Johnson, Robin J and Sciaky, Daniela and Wei, Chih-Hsuan and
            Leaman, Robert and Davis, Allan Peter and Mattingly, Carolyn J and Wiegers, Thomas C and Lu, Zhiyong},
  journal = {Database}, year = {2016}
}""",
    ),
)


def sources(revision: str, split: str, subset: str) -> Sequence[Source]:  # noqa: ARG001
    """The archive, which holds all splits, or a split's file unpacked."""
    return [
        Source(
            path="bc5cdr/CDR_Data.zip",
            alternatives=tuple(f"bc5cdr/{folder}{FILES[split]}" for folder in FOLDERS),
            url="http://www.biocreative.org/media/store/files/2016/CDR_Data.zip",
            page=PAGE,
            licence=LICENCE,
        )
    ]


def load(request: DatasetRequest) -> PubTatorFiles:
    """The reader of a split's chemicals or diseases."""
    options = CompositeOptions.model_validate(dict(request.options))
    (source,) = sources(request.revision, request.split, request.subset)
    found = locate(source, request, NAME)
    return PubTatorFiles(
        NAME,
        {source.path: (found.path, found.sha256)},
        scheme="mesh",
        composite=options.composite,
        member=rf".*{FILES[request.split]}",
        wanted=TYPES[request.subset],
    )
