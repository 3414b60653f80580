"""`bioelx-bench kb`: build knowledge bases and look into them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioelx_bench.cli.kb_tables import show_kb
from bioelx_bench.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from bioelx_bench.kb.store import KnowledgeBase

NameOption = Annotated[str, typer.Option("--name", help="Name under which runs record it.")]
OutputOption = Annotated[Path, typer.Option("--output", help="New folder for the knowledge base.")]
LicenceOption = Annotated[str | None, typer.Option("--licence", help="Licence of the files, for the record.")]
KbArgument = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A known name, or a folder.")]


def make_app() -> typer.Typer:
    """The command `kb`."""
    app = typer.Typer(no_args_is_help=True, help="Build and show knowledge bases.")
    build = typer.Typer(no_args_is_help=True, help="Build a knowledge base folder from files.")
    build.command("table")(build_table)
    build.command("obo")(build_obo)
    build.command("mesh")(build_mesh)
    build.command("umls")(build_umls)
    app.add_typer(build, name="build")
    app.command("add-aliases")(add_aliases)
    app.command("crosswalk")(crosswalk)
    app.command("show")(show)
    app.command("concept")(concept)
    app.command("list")(list_known)
    return app


def build_table(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help=".tsv, .csv or .txt (also .gz, .bz2, .xz), .jsonl or .parquet.")
    ],
    name: NameOption,
    output: OutputOption,
    ids: Annotated[
        str, typer.Option("--ids", help="Scheme of the ids (umls, mesh, any, ...), or a pattern they match.")
    ] = "",
    language: Annotated[
        str | None, typer.Option("--language", help="Language of rows without one (dictionaries: en).")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Source of rows that name none; by default the name.")
    ] = None,
    licence: LicenceOption = None,
) -> None:
    """Build from a table with the columns id (or cui), lang, name and, if you like, source and preferred."""
    from bioelx_bench.kb.table import build_from_table
    from bioelx_bench.schemes import find_scheme

    session: Session = context.obj
    kb = build_from_table(
        file,
        name,
        output,
        scheme=find_scheme(ids) if ids else None,
        language=language,
        source=source,
        licence=licence,
        progress=session.progress,
    )
    show_kb(session, kb)


def build_obo(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="OBO or OBO-graph JSON files (also .gz or .xz).")],
    name: NameOption,
    output: OutputOption,
    ids: Annotated[
        str, typer.Option("--ids", help="native for the terms' own ids, or the scheme they cross-refer to.")
    ] = "umls",
    language: Annotated[str, typer.Option("--language", help="Language of the names.")] = "en",
    scopes: Annotated[
        str, typer.Option("--scopes", help="Synonyms to take: exact, broad, narrow, related; commas between.")
    ] = "exact",
    source: Annotated[
        str | None, typer.Option("--source", help="Source of the names; by default each ontology's own name.")
    ] = None,
    licence: LicenceOption = None,
) -> None:
    """Build from ontologies, by the terms' own ids or their cross-references."""
    from bioelx_bench.kb.obo import build_from_obo

    session: Session = context.obj
    kb = build_from_obo(
        files,
        name,
        output,
        ids=ids,
        language=language,
        scopes=words(scopes),
        source=source,
        licence=licence,
        progress=session.progress,
    )
    show_kb(session, kb)


def build_mesh(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(help="desc*.xml, supp*.xml, d*.bin, c*.bin (also compressed).")
    ],
    name: NameOption,
    output: OutputOption,
    language: Annotated[str, typer.Option("--language", help="Language of the names.")] = "en",
    licence: LicenceOption = None,
) -> None:
    """Build from MeSH's descriptors and supplementary records."""
    from bioelx_bench.kb.mesh import build_from_mesh

    session: Session = context.obj
    kb = build_from_mesh(files, name, output, language=language, licence=licence, progress=session.progress)
    show_kb(session, kb)


def build_umls(
    context: typer.Context,
    release: Annotated[
        Path,
        typer.Option("--release", help="The release's folder or zip from the NLM, or MRCONSO.RRF alone."),
    ],
    name: NameOption,
    output: OutputOption,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="xl-bel, mantra, st21pv or sapbert; other options win over it."),
    ] = None,
    languages: Annotated[
        str | None, typer.Option("--languages", help="ISO 639 codes with commas between, or all.")
    ] = None,
    sources: Annotated[
        str | None, typer.Option("--sources", help="Source abbreviations (SAB) with commas between, or all.")
    ] = None,
    suppressible: Annotated[
        str | None,
        typer.Option("--suppressible", help="Also take suppressible names: E, O, Y; or all, none."),
    ] = None,
    semantic_types: Annotated[
        str | None,
        typer.Option("--semantic-types", help="TUIs with commas between, T038+ with descendants, or all."),
    ] = None,
    trade_names: Annotated[
        bool | None,
        typer.Option("--trade-names/--no-trade-names", help="Give generic concepts their trade names."),
    ] = None,
    definitions: Annotated[
        bool | None, typer.Option("--definitions/--no-definitions", help="Read definitions (the default).")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Known sha256 of the zip.")] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="The files are a part; MRFILES beside them counts the whole.")
    ] = False,
) -> None:
    """Build from a release of the UMLS Metathesaurus, which you download under its licence."""
    from bioelx_bench.kb.umls.build import STRICT, build_from_umls
    from bioelx_bench.kb.umls.presets import choose

    session: Session = context.obj
    values = filter_values(languages, sources, suppressible, semantic_types, trade_names, definitions)
    kb = build_from_umls(
        release,
        name,
        output,
        choose(preset, values),
        preset=preset,
        strict=tuple(values) if preset else STRICT,
        expected_sha256=sha256,
        subset=subset,
        progress=session.progress,
    )
    show_kb(session, kb)


def filter_values(
    languages: str | None,
    sources: str | None,
    suppressible: str | None,
    semantic_types: str | None,
    trade_names: bool | None,
    definitions: bool | None,
) -> dict[str, Any]:
    """The options of `kb build umls` that were given, as values of its filter."""
    flags = {"all": "E,O,Y", "none": ""}.get(suppressible or "", suppressible)
    lists = {
        "languages": languages,
        "sources": sources,
        "suppressible": flags,
        "semantic_types": semantic_types,
    }
    values: dict[str, Any] = {
        key: () if value == "all" else tuple(words(value))
        for key, value in lists.items()
        if value is not None
    }
    switches = {"trade_names": trade_names, "definitions": definitions}
    return values | {key: value for key, value in switches.items() if value is not None}


def words(text: str) -> list[str]:
    """Words with commas between, without repeats."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def add_aliases(
    context: typer.Context,
    kb: KbArgument,
    tables: Annotated[list[Path], typer.Argument(help="Alias tables, as `aliases fetch` writes them.")],
    name: NameOption,
    output: OutputOption,
    languages: Annotated[
        str, typer.Option("--languages", help="Languages to take, commas between; by default all.")
    ] = "",
    new_concepts: Annotated[
        bool, typer.Option("--new-concepts", help="Also take aliases of concepts that are not in it.")
    ] = False,
) -> None:
    """Make a new knowledge base with the names of an existing one and aliases; the old one stays as it is."""
    from bioelx_bench.kb.alias_tables import add_aliases as enrich

    session: Session = context.obj
    made = enrich(
        open_kb(session, kb),
        tables,
        words(languages),
        name,
        output,
        new_concepts=new_concepts,
        progress=session.progress,
    )
    show_kb(session, made)


def crosswalk(
    context: typer.Context,
    kb: KbArgument,
    files: Annotated[list[Path], typer.Argument(help="SSSOM TSV files (also .csv, .parquet, compressed).")],
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Also take broader, narrower and close matches.")
    ] = False,
) -> None:
    """Add mappings from ids of other schemes, so that gold with such ids can be found in a knowledge base."""
    from bioelx_bench.kb.mappings import add_crosswalk

    session: Session = context.obj
    opened = open_kb(session, kb)
    mapped = add_crosswalk(opened, files, inexact=inexact)

    def human(console: Console) -> None:
        for key, number in {
            **mapped.counts,
            **{f"scheme:{s}": n for s, n in mapped.by_scheme.items()},
        }.items():
            console.print(f"  {key}: {number:,}", markup=False)

    session.emit({"folder": str(opened.folder), "counts": mapped.counts, "schemes": mapped.by_scheme}, human)


def show(context: typer.Context, kb: KbArgument) -> None:
    """Show what a knowledge base holds and where it comes from."""
    session: Session = context.obj
    show_kb(session, open_kb(session, kb))


def open_kb(session: Session, name: str) -> KnowledgeBase:
    """Open a knowledge base with this session's plugins, cache and progress bars."""
    from bioelx_bench.kb.catalogue import open_knowledge_base

    return open_knowledge_base(name, session.environment())


def concept(
    context: typer.Context,
    kb: KbArgument,
    cui: Annotated[str, typer.Argument(metavar="ID", help="The concept, such as C0018681.")],
) -> None:
    """Show one concept with all its names."""
    from bioelx_bench.errors import MissingError

    session: Session = context.obj
    opened = open_kb(session, kb)
    if cui not in opened:
        successors = opened.resolve_gold(cui)
        raise MissingError(
            f"the knowledge base {opened.name!r} has no concept {cui!r}",
            where=opened.folder,
            hint=f"its successors are {', '.join(successors)}" if successors else None,
        )
    found = opened.concept(cui)

    def human(console: Console) -> None:
        from rich.table import Table

        console.print(f"{found.id}  {' '.join(found.semantic_types)}", style="bold", markup=False)
        if found.definition:
            console.print(found.definition, markup=False)
        table = Table("name", "language", "source", "preferred", box=None)
        for name in found.names:
            table.add_row(
                plain(name.text), name.language, plain(name.source), "yes" if name.preferred else ""
            )
        console.print(table)

    session.emit(
        {
            "id": found.id,
            "semantic_types": list(found.semantic_types),
            "definition": found.definition,
            "names": [
                {"text": n.text, "language": n.language, "source": n.source, "preferred": n.preferred}
                for n in found.names
            ],
        },
        human,
    )


def plain(text: str) -> Any:
    """Text that rich shows as it is, whatever brackets it holds."""
    from rich.text import Text

    return Text(text)


def list_known(context: typer.Context) -> None:
    """List the knowledge bases that are known by name, and whether each is built already."""
    from bioelx_bench.kb.catalogue import cache_key

    session: Session = context.obj
    plugins = session.plugins
    rows = [
        {
            "name": name,
            "summary": found.spec.summary,
            "plugin": found.plugin.name,
            "revision": found.spec.revision,
            "licence": found.spec.licence,
            "built": session.cache.find("kb", cache_key(found)) is not None,
        }
        for name, found in zip(plugins.names("knowledge_bases"), plugins.all("knowledge_bases"), strict=True)
    ]

    def human(console: Console) -> None:
        from rich.table import Table

        table = Table("name", "built", "licence", "summary", box=None)
        for row in rows:
            table.add_row(
                row["name"], "yes" if row["built"] else "at first use", row["licence"], row["summary"]
            )
        console.print(table)

    session.emit(rows, human)
