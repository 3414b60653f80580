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
    """The benchmarks the field uses, and readers of a user's own files."""
    from bioelx_bench.datasets import (
        bc5cdr,
        bigbio,
        mantra,
        medmentions,
        ncbi_disease,
        own_brat,
        own_pubtator,
        table,
        wikimed_de,
        xl_bel,
    )

    return [
        xl_bel.SPEC,
        mantra.EMEA,
        mantra.PATENT,
        mantra.WHOLE,
        medmentions.SPEC,
        wikimed_de.SPEC,
        ncbi_disease.SPEC,
        bc5cdr.SPEC,
        bigbio.SPEC,
        own_pubtator.SPEC,
        own_brat.SPEC,
        table.SPEC,
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
        "link": "Link mentions in text of your own, without gold",
        "list": "List datasets, knowledge bases, retrievers, rankers, metrics and presets",
        "plugins": "Show installed plugins, and broken ones with the reason",
        "datasets": "Prepare, verify and show benchmarks",
        "cards": "Build the dataset cards, and check that they agree",
        "kb": "Build and show knowledge bases",
        "doctor": "Check this machine, its plugins and models",
        "cache": "Show and prune what is kept between runs",
        "completion": "Print the completion script of a shell",
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
