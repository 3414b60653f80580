"""Options of the sources of aliases. Importing this module imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from bioelx_bench.options import Options, runtime_field


class LanguageOptions(Options):
    """Options that every source of several languages has."""

    languages: str = Field(
        "", description="Languages with commas between, such as de,fr,mul; empty means all."
    )

    def wanted(self) -> frozenset[str]:
        """The languages as a set; empty means all."""
        return frozenset(x.strip() for x in self.languages.split(",") if x.strip())


class WikidataOptions(LanguageOptions):
    """How Wikidata items are joined to concepts."""

    properties: str = Field(
        "P2892",
        description="Properties that join items to concepts, commas between; beside P2892 they need a crosswalk.",
    )
    crosswalk: Path | None = Field(
        None, description="Identifiers of other vocabularies: TSV (vocabulary, id, cui) or MRCONSO.RRF."
    )
    date: str = Field("", description="Date of the dump, for the record; a service's answers bear today's.")

    def joining(self) -> tuple[str, ...]:
        """The properties as a tuple."""
        return tuple(x.strip() for x in self.properties.split(",") if x.strip())


class SparqlOptions(WikidataOptions):
    """Options of `wikidata-sparql`."""

    endpoint: str = Field("https://query.wikidata.org/sparql", description="URL of the SPARQL endpoint.")
    kb: str = Field("open", description="Knowledge base whose concepts are asked for: NAME or FOLDER.")
    user_agent: str = Field(
        "bioelx-bench (https://pypi.org/project/bioelx-bench/)",
        description="Name and contact, as the service asks.",
    )
    page: int = runtime_field(
        150, ge=1, le=2000, description="Identifiers asked for at once; halved on time-outs."
    )
    timeout: float = runtime_field(90.0, gt=0, description="Seconds to wait for an answer.")
    pause: float = runtime_field(0.2, ge=0, description="Seconds between requests.")
    retries: int = runtime_field(6, ge=0, description="Attempts after the first, for each page.")

    @field_validator("endpoint")
    @classmethod
    def without_credentials(cls, endpoint: str) -> str:
        """Refuse addresses that hold a password, since the address is written into the table's record."""
        address = urlsplit(endpoint)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("the endpoint is an http or https address")
        if address.username or address.password:
            raise ValueError("the endpoint's address must hold no user name or password")
        return endpoint


class DumpOptions(WikidataOptions):
    """Options of `wikidata-dump`."""

    file: str = Field(description="JSON dump: .json, .json.gz, .json.bz2, or - for standard input.")
    threads: int = runtime_field(
        0, ge=0, description="Threads that decompress bz2; 0: one for each processor."
    )


class BabelonOptions(LanguageOptions):
    """Options of `babelon`."""

    files: str = Field(description="Babelon or synonym tables, commas between, such as hp-fr.babelon.tsv.")
    ontology: Path | None = Field(None, description="OBO file whose terms have UMLS cross-references.")
    crosswalk: Path | None = Field(None, description="Instead of it: TSV (vocabulary, id, cui).")
    statuses: str = Field("", description="Translation statuses to take, commas between; empty means all.")
    source: str = Field("HPO-translations", description="Name of the source.")


class OboOptions(Options):
    """Options of `obo`."""

    files: str = Field(description="OBO or OBO-graph JSON files, commas between.")
    language: str = Field("en", description="Language of the names.")
    scopes: str = Field("exact", description="Scopes of synonyms to take, commas between.")
    source: str | None = Field(None, description="Name of the source; by default each ontology's own.")
