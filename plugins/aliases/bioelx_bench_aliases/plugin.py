"""What this plugin declares."""

from __future__ import annotations

from bioelx_bench import hookimpl
from bioelx_bench.declarations import AliasSourceSpec, CommandSpec, KnowledgeBaseSpec


@hookimpl
def alias_sources() -> list[AliasSourceSpec]:
    """Wikidata by two routes, ontologies and their translations."""
    return [
        AliasSourceSpec(
            name="wikidata-sparql",
            summary="Wikidata through a SPARQL endpoint",
            factory="bioelx_bench_aliases.wikidata_sparql:WikidataSparql",
            options="bioelx_bench_aliases.options:SparqlOptions",
        ),
        AliasSourceSpec(
            name="wikidata-dump",
            summary="Wikidata's JSON dump",
            factory="bioelx_bench_aliases.wikidata_dump:WikidataDump",
            options="bioelx_bench_aliases.options:DumpOptions",
        ),
        AliasSourceSpec(
            name="babelon",
            summary="Babelon translation tables (HPO)",
            factory="bioelx_bench_aliases.ontologies:Babelon",
            options="bioelx_bench_aliases.options:BabelonOptions",
        ),
        AliasSourceSpec(
            name="obo",
            summary="Ontologies with UMLS cross-references",
            factory="bioelx_bench_aliases.ontologies:Obo",
            options="bioelx_bench_aliases.options:OboOptions",
        ),
    ]


@hookimpl
def commands() -> list[CommandSpec]:
    """The command `aliases`."""
    return [
        CommandSpec(
            name="aliases",
            summary="Fetch names in many languages for a knowledge base",
            factory="bioelx_bench_aliases.command:make_app",
        )
    ]


@hookimpl
def knowledge_bases() -> list[KnowledgeBaseSpec]:
    """`open` with the names of this plugin."""
    return [
        KnowledgeBaseSpec(
            name="open-x",
            summary="`open` with 12,316 more names of its concepts, in ten languages",
            factory="bioelx_bench_aliases.open_x:build",
            revision="1",
            licence="CC BY-SA 3.0, CC BY 4.0, CC BY 3.0, CC0-1.0, HPO licence and others (see its manifest)",
        )
    ]
