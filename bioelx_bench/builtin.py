"""What the core itself declares, through the same hooks that plugins use."""

from __future__ import annotations

from bioelx_bench.declarations import (
    CommandSpec,
    DatasetSpec,
    KnowledgeBaseSpec,
    MetricSpec,
    RetrieverSpec,
)
from bioelx_bench.markers import hookimpl


@hookimpl
def datasets() -> list[DatasetSpec]:
    """The benchmarks the field uses."""
    return [
        DatasetSpec(
            name="xl-bel",
            summary="XL-BEL: 1,000 Wikipedia mentions in each of ten languages",
            factory="bioelx_bench.datasets.xl_bel:XlBel",
            revisions=("v1.0", "v0.0"),
            subsets=("en", "es", "de", "fi", "ru", "tr", "ko", "zh", "ja", "th"),
            licence="MIT",
            homepage="https://github.com/cambridgeltl/sapbert",
            context="sentence",
            shipped=True,
        ),
        DatasetSpec(
            name="emea",
            summary="EMEA: drug labels of the Mantra corpus in five languages",
            factory="bioelx_bench.datasets.mantra:emea",
            revisions=("2015",),
            subsets=("en", "fr", "de", "es", "nl"),
            licence="GPL-3.0",
            homepage="https://github.com/mi-erasmusmc/Mantra-Gold-Standard-Corpus",
            context="unit",
        ),
        DatasetSpec(
            name="patent",
            summary="Patent: patent claims of the Mantra corpus in three languages",
            factory="bioelx_bench.datasets.mantra:patent",
            revisions=("2015",),
            subsets=("en", "fr", "de"),
            licence="GPL-3.0",
            homepage="https://github.com/mi-erasmusmc/Mantra-Gold-Standard-Corpus",
            context="unit",
        ),
        DatasetSpec(
            name="mantra",
            benchmark=False,
            summary="Mantra: the whole gold standard corpus, drug labels, patent claims and Medline titles",
            factory="bioelx_bench.datasets.mantra:whole",
            revisions=("2015",),
            subsets=(
                *(f"emea-{language}" for language in ("en", "fr", "de", "es", "nl")),
                *(f"patent-{language}" for language in ("en", "fr", "de")),
                *(f"medline-{language}" for language in ("en", "fr", "de", "es", "nl")),
            ),
            licence="GPL-3.0",
            homepage="https://github.com/mi-erasmusmc/Mantra-Gold-Standard-Corpus",
            context="unit",
        ),
        DatasetSpec(
            name="medmentions",
            summary="MedMentions: PubMed abstracts with every UMLS concept marked",
            factory="bioelx_bench.datasets.medmentions:load",
            revisions=("full", "st21pv", "token-per-line", "sample"),
            subsets=("en",),
            splits=("test", "dev", "train", "all"),
            revision_splits={"token-per-line": ("dev", "test"), "sample": ("all",)},
            licence="CC0-1.0",
            homepage="https://github.com/chanzuckerberg/MedMentions",
            context="abstract",
        ),
        DatasetSpec(
            name="wikimed-de",
            summary="WikiMed-DE: German Wikipedia articles whose links are mapped to UMLS",
            factory="bioelx_bench.datasets.wikimed_de:load",
            revisions=("bel", "full", "queries"),
            subsets=("de",),
            splits=("all",),
            revision_splits={"queries": ("test", "dev", "train")},
            licence="CC-BY-SA (text of Wikipedia); see Zenodo for the annotations",
            homepage="https://doi.org/10.5281/zenodo.8188966",
            context="window",
        ),
        DatasetSpec(
            name="bigbio",
            benchmark=False,
            summary="Any corpus in the bigbio_kb schema: folder, Parquet, JSONL or Hub id (-D path=)",
            factory="bioelx_bench.datasets.bigbio:BigBio",
            options="bioelx_bench.datasets.bigbio:BigBioOptions",
            revisions=("user",),
            subsets=("all",),
            open_subsets=True,
            splits=("all", "test", "dev", "train"),
            licence="the corpus's own",
            homepage="https://github.com/bigscience-workshop/biomedical",
            context="document",
        ),
        DatasetSpec(
            name="table",
            benchmark=False,
            summary="Your own mentions in a CSV, TSV or JSONL file (-D path=)",
            factory="bioelx_bench.datasets.table:Table",
            options="bioelx_bench.datasets.table:TableOptions",
            revisions=("user",),
            subsets=("all",),
            open_subsets=True,
            splits=("all",),
            licence="your own",
            homepage="",
            context="as given",
        ),
    ]


@hookimpl
def knowledge_bases() -> list[KnowledgeBaseSpec]:
    """The open knowledge base."""
    return [
        KnowledgeBaseSpec(
            name="open",
            summary="MONDO, Disease Ontology, Wikidata labels and HPO, by UMLS CUI",
            factory="bioelx_bench.kb.open_kb:build_open",
            revision="1",
            licence="CC-BY-4.0, CC0-1.0, HPO licence",
        ),
        KnowledgeBaseSpec(
            name="open-doid",
            summary="The Disease Ontology's part of `open`: small, for trying things out",
            factory="bioelx_bench.kb.open_kb:build_doid",
            revision="1",
            licence="CC0-1.0",
        ),
    ]


@hookimpl
def retrievers() -> list[RetrieverSpec]:
    """Fusion of two retrievers of plugins."""
    return [
        RetrieverSpec(
            name="fused",
            summary="Reciprocal rank fusion of two retrievers, such as sapbert-x and bm25",
            factory="bioelx_bench.retrievers.fusion:make_fused",
            options="bioelx_bench.retrievers.fusion:FusionOptions",
        ),
    ]


@hookimpl
def metrics() -> list[MetricSpec]:
    """The metrics of the field."""
    table = {
        "recall": ("Recall@k: mentions with a gold concept among the first k candidates", "recall"),
        "mrr": ("Mean reciprocal rank of the first gold concept", "mrr"),
        "map": ("MAP@k: mean average precision over all gold concepts", "average_precision"),
        "ndcg": ("nDCG@k: normalised discounted cumulative gain, binary relevance", "ndcg"),
    }
    return [
        MetricSpec(name=name, summary=summary, factory=f"bioelx_bench.scoring.figures:{function}")
        for name, (summary, function) in table.items()
    ]


@hookimpl
def commands() -> list[CommandSpec]:
    """The core's own commands."""
    table = {
        "run": "Run a retriever and a ranker on a benchmark and score them",
        "list": "List datasets, knowledge bases, retrievers, rankers, metrics and presets",
        "plugins": "Show installed plugins, and those set aside with the reason",
        "datasets": "Prepare, verify and show benchmarks",
        "cards": "Build the dataset cards, and check that they agree",
        "kb": "Build and show knowledge bases",
        "doctor": "Check this machine, its plugins and models",
        "config": "Show every setting and where it comes from",
        "runs": "List the finished runs, filter and remove them",
        "show": "Show a finished run again: its table, time, tokens and cost",
        "rescore": "Score a finished run again with another mix or other metrics",
        "compare": "Compare runs mention by mention, with paired tests",
        "leaderboard": "Add runs to the leaderboards and build their pages",
    }
    return [
        CommandSpec(name=name, summary=summary, factory=f"bioelx_bench.cli.{name}_command:make_app")
        for name, summary in table.items()
    ]
