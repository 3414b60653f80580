"""What the core itself declares, through the same hooks that plugins use."""

from __future__ import annotations

from bioelx_bench.declarations import CommandSpec, DatasetSpec, KnowledgeBaseSpec, MetricSpec
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
    ]


@hookimpl
def metrics() -> list[MetricSpec]:
    """Recall@k."""
    return [
        MetricSpec(
            name="recall-at-k",
            summary="Share of mentions with a gold concept among the first k candidates",
            factory="bioelx_bench.scoring.metric:RecallAtK",
        ),
    ]


@hookimpl
def commands() -> list[CommandSpec]:
    """The core's own commands."""
    table = {
        "run": "Run a retriever and a ranker on a benchmark and score them",
        "list": "List datasets, knowledge bases, retrievers, rankers, metrics and presets",
        "plugins": "Show installed plugins, and those set aside with the reason",
        "datasets": "Prepare, verify and show benchmarks",
        "kb": "Build and show knowledge bases",
        "doctor": "Check this machine, its plugins and models",
        "config": "Show every setting and where it comes from",
        "leaderboard": "Add runs to the leaderboards and build their pages",
    }
    return [
        CommandSpec(name=name, summary=summary, factory=f"bioelx_bench.cli.{name}_command:make_app")
        for name, summary in table.items()
    ]
